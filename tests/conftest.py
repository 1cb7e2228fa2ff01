"""Settings of the suite: properties that repeat, a cache of its own, which worker runs what.

The presets that tests of several folders compile, and a caller of the command line, are here too.
"""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from palmette.space import CompiledSpace, SearchSpace, compile_space

# workers import what tests define; a process that is spawned has the path of the one that spawns
sys.path.append(str(Path(__file__).parents[1]))

# how long examples take is the machine's load: no fault of a test
TIMELESS = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("suite", derandomize=True, **TIMELESS)
settings.register_profile("thorough", max_examples=2000, **TIMELESS)
settings.load_profile("suite")


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Traced spaces are kept for the session, and the user's cache is left alone."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # the workers of one run share the folder above theirs
        folder = folder.parent
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        yield


class Compiled(dict[str, CompiledSpace]):
    """Presets by name, each compiled when it is first asked for."""

    def __missing__(self, name: str) -> CompiledSpace:
        self[name] = compile_space(SearchSpace.preset(name))
        return self[name]


@pytest.fixture(scope="session")
def compiled_presets() -> dict[str, CompiledSpace]:
    """The shipped spaces, compiled."""
    return Compiled()


@pytest.fixture
def ask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Exit code, standard output and standard error of a command, in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        from palmette import cli

        monkeypatch.setattr(sys, "argv", ["palmette", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main()
        out, err = capsys.readouterr()
        assert isinstance(end.value.code, int)
        return end.value.code, out, err

    return call


TOGETHER = {
    "tests/latency/validation/": "what is held out of the shipped timings",
    "tests/latency/test_predictor.py": "what is held out of the shipped timings",
    "tests/latency/test_doubts.py": "what is held out of the shipped timings",
    "tests/latency/test_fit_targets.py": "what is held out of the shipped timings",
    "tests/latency/whole/test_few_shot.py": "what is held out of the shipped timings",
    "tests/latency/whole/test_model.py": "what is held out of the shipped timings",
    "tests/latency/test_compiled.py": "the made phone",
    "tests/latency/per_op/test_op_": "the made phone",
    "tests/latency/per_op/test_fusion.py": "the made phone",
    "tests/search/report/": "the finished run",
    "tests/search/ledger/": "the finished run",
    "tests/search/test_shown.py": "the finished run",
    "tests/search/test_figure.py": "the finished run",
    "tests/search/test_summary.py": "the finished run",
    "tests/export/gates/": "packages with faults",
    "tests/export/compression/": "compressed packages",
}
"""Starts of paths whose tests share what takes seconds to make: one worker makes it, once."""
FIRST = ("tests/benchmarks/", "tests/examples/", "tests/notebooks/", *TOGETHER)
"""Starts of paths with few and long tests: one that began last would leave a worker idle."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A file stays on one worker, as --dist loadscope has it; so do the files of `TOGETHER`."""
    if config.getvalue("dist") != "loadscope":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            names = (name for start, name in TOGETHER.items() if nodeid.startswith(start))
            return next(names, nodeid.split("::")[0])

        def _assign_work_unit(self, node: Any) -> None:
            """The queue is by the number of tests; what is long goes before."""
            starts = {scope: next(iter(unit)) for scope, unit in self.workqueue.items()}
            first = (scope for scope, test in starts.items() if test.startswith(FIRST))
            self.workqueue.move_to_end(next(first, next(iter(starts))), last=False)
            super()._assign_work_unit(node)

    return Scheduling(config, log)
