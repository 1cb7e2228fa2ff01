# The two commands of the README are `make demo` and `make test`; both build on `make install`.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# bytecode is kept: tests start many processes, and each would compile the sources again
RUN := OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=

.PHONY: install demo test sweeps test-all notebooks docs bench lint

install: $(STAMP)
	@$(if $(filter install,$(MAKECMDGOALS)),echo "next: source $(BIN)/activate and then palmette doctor (what works here) or make demo (two searches)",:)

$(STAMP): pyproject.toml constraints.txt
	@echo "installing into $(VENV): 2 to 10 minutes and 7 GB, once; pip says nothing meanwhile, and warns of folders at the end"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[train,data,tensorboard,ray,postgresql,dashboard,notebooks]" --group dev --group docs
	touch $(STAMP)

# The two searches run side by side, one core each; the second one's answer is printed after.
demo: install
	rm -rf runs/demo && mkdir -p runs/demo
	@$(RUN) $(BIN)/palmette search --target iphone-11/ane --budget-ms 6 \
		--out runs/demo/iphone-11 --export > runs/demo/iphone-11.txt 2>&1 & second=$$!; \
	$(RUN) $(BIN)/palmette search --target iphone-13/ane --budget-ms 0.9 \
		--out runs/demo/iphone-13 --export; first=$$?; \
	wait $$second; status=$$?; cat runs/demo/iphone-11.txt; exit $$((first + status))

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy examples
	$(BIN)/mypy docs/site

test: lint
	$(RUN) $(BIN)/pytest -n 2 --dist loadscope -m "not slow and not sweep" tests

# What continuous integration runs beside the default suite.
sweeps: install
	$(RUN) $(BIN)/pytest -n 2 --dist loadscope -m "sweep and not slow" tests

test-all: lint
	$(RUN) $(BIN)/pytest -n 2 --dist loadscope tests

# One file holds these tests, so they are dealt out one by one. `test-all` runs them too.
notebooks: install
	$(RUN) $(BIN)/pytest -n 2 tests/notebooks

docs: install
	$(RUN) $(BIN)/python docs/site build/site

bench: install
	$(RUN) $(BIN)/python benchmarks/search_quality.py
	$(RUN) $(BIN)/python benchmarks/predictor_throughput.py
	$(RUN) $(BIN)/python benchmarks/prior_ranking.py
	$(RUN) $(BIN)/python benchmarks/per_op_to_network.py
	$(RUN) $(BIN)/python benchmarks/planning.py
	$(RUN) $(BIN)/python benchmarks/few_shot.py
	$(RUN) $(BIN)/python benchmarks/host_loop.py
	$(RUN) $(BIN)/python benchmarks/selected_coverage.py
	$(RUN) $(BIN)/python benchmarks/throughput_beside_latency.py
	$(RUN) $(BIN)/python benchmarks/export_proofs.py
	$(RUN) $(BIN)/python benchmarks/seed_predictions.py
	$(RUN) $(BIN)/python benchmarks/latency_validation.py
	$(RUN) $(BIN)/python benchmarks/scaling_grid.py
	$(RUN) $(BIN)/python benchmarks/digits_folds.py
	$(RUN) $(BIN)/python benchmarks/train_throughput.py
	$(RUN) $(BIN)/python benchmarks/portfolio.py
	$(RUN) $(BIN)/python benchmarks/families.py
	$(RUN) $(BIN)/python benchmarks/supernet_step.py
	$(RUN) $(BIN)/python benchmarks/export_speed.py
	$(RUN) $(BIN)/python benchmarks/rank_card.py --write
	$(RUN) $(BIN)/python benchmarks/compile_spaces.py
	$(RUN) $(BIN)/python benchmarks/package_sizes.py
	$(RUN) $(BIN)/python benchmarks/synthetic_phone.py
	$(RUN) $(BIN)/python benchmarks/expensive_stage.py
	$(RUN) $(BIN)/python benchmarks/tell_measured.py
	$(RUN) $(BIN)/python benchmarks/halving.py
	$(RUN) $(BIN)/python benchmarks/ledger_growth.py --json
	$(RUN) $(BIN)/python benchmarks/search_scaling.py
	$(RUN) $(BIN)/python benchmarks/shared_targets.py
