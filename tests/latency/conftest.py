"""What several tests of `latency` share: the published timings, what is fitted to them, ops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from palmette.latency import (
    TARGETS,
    LatencyPredictor,
    load_predictor,
    parse_target,
    published_timings,
    read_timing_tables,
)
from palmette.latency.op_lists import network_ops, shipped_names
from palmette.latency.per_op.fusion import fusion_of
from palmette.latency.per_op.kernels import Kernel, KernelTable, kernel_text
from palmette.latency.per_op.op_fit import OpFit, fit_op_target, fit_ops
from palmette.latency.predictor import fit_all
from palmette.latency.validation.validate import Row, validate
from palmette.latency.whole.model import Fits, Measured
from palmette.space import ZOO, CompiledSpace, Op, OpTable, SearchSpace, compile_space


@pytest.fixture(scope="session")
def timings() -> pd.DataFrame:
    """The shipped table of timings."""
    return published_timings()


@pytest.fixture(scope="session")
def fits() -> Fits:
    """Models of the shipped timings, fitted once for all tests."""
    return {}


@pytest.fixture(scope="session")
def refitted(timings: pd.DataFrame, fits: Fits) -> dict[str, LatencyPredictor]:
    """Predictors fitted to the shipped timings."""
    return fit_all(timings, fits)


@pytest.fixture(scope="session")
def validated(
    timings: pd.DataFrame, fits: Fits, refitted: dict[str, LatencyPredictor]
) -> tuple[list[Row], dict[str, Any]]:
    """Held-out rows and metrics of the shipped timings."""
    return validate(timings, fits)


@pytest.fixture(scope="session")
def shipped() -> dict[str, LatencyPredictor]:
    """The predictors of the shipped timings by the full name of their target."""
    return {
        name: load_predictor(name)
        for name, target in TARGETS.items()
        if target.family or target.like
    }


@pytest.fixture(scope="session")
def every_shipped() -> dict[str, LatencyPredictor]:
    """All shipped predictors, those of timings that are not shipped with them."""
    return {name: load_predictor(name) for name in TARGETS}


@pytest.fixture(scope="session")
def all_networks() -> dict[str, tuple[Op, ...]]:
    """Ops of every network of the zoo and of every shipped op list."""
    return {name: network_ops(name) for name in (*ZOO, *shipped_names())}


@pytest.fixture
def ops_of_texts() -> Callable[..., OpTable]:
    """Columns of ops given as texts."""

    def build(*texts: str) -> OpTable:
        return OpTable.of([Op.from_text(text) for text in texts])

    return build


@pytest.fixture
def measured_of(ops_of_texts: Callable[..., OpTable]) -> Callable[..., Measured]:
    """Timings of made networks: target -> network -> ms, and network -> texts of ops."""

    def build(latency_ms: dict[str, dict[str, float]], ops: dict[str, list[str]]) -> Measured:
        return Measured(latency_ms, {name: ops_of_texts(*texts) for name, texts in ops.items()})

    return build


@pytest.fixture
def timing_table() -> Callable[..., pd.DataFrame]:
    """A table as `read_timings` gives it, of (network, target, ms)."""

    def build(*rows: tuple[str, str, float]) -> pd.DataFrame:
        return pd.DataFrame(
            [
                {"subject_kind": "network", "subject": n, "target": t, "latency_ms": ms}
                for n, t, ms in rows
            ],
            columns=["subject_kind", "subject", "target", "latency_ms"],
        )

    return build


SMALL = """
format = "palmette/space@1"
[network]
resolution = [96, "100x128"]
activation = ["relu6", "hswish"]
se = [0.0, 0.25]
[stem]
channels = [8, 16]
[[stages]]
stride = 1
channels = [8, 16]
kernel = 3
expansion = 1
depth = [1, 2]
[[stages]]
stride = 2
channels = [16, 24]
kernel = [3, 5]
expansion = [1, 3]
depth = [1, 2, 3]
[head]
channels = [32, 64]
"""


@pytest.fixture(scope="session")
def small() -> CompiledSpace:
    """A space of few and small networks."""
    return compile_space(SearchSpace.from_toml(SMALL, "small"))


@dataclass(frozen=True)
class MadePhone:
    """A phone with known prices, and how its timing table is written."""

    target: str = "made-phone/gpu@tflite-1.0"
    scale: float = 1.1
    constant_ms: float = 0.2

    def kernels(self, ops: Sequence[Op]) -> list[Kernel]:
        """What the phone starts at once."""
        table = OpTable.of(ops)
        runtime = self.target.partition("@")[2]
        main = fusion_of(runtime).kernels(table, np.zeros(1, dtype=np.int64))[1].tolist()
        silent = table.broadcast if runtime.startswith("tflite") else np.zeros(len(ops), dtype=bool)
        ends = [*main[1:], len(ops)]
        return [
            tuple(ops[at] for at in range(start, end) if not silent[at])
            for start, end in zip(main, ends, strict=True)
        ]

    def kernel_ms(self, kernels: Sequence[Kernel]) -> NDArray[np.float64]:
        """True milliseconds of kernels: a start, a price of MACs by sort, one of traffic."""
        table = KernelTable.of(kernels)
        price = np.where(table.is_sort("depthwise"), 2e-7, 4e-8)
        ms: NDArray[np.float64] = 0.01 + price * table.column("macs") + 2e-7 * table.column("moved")
        return ms

    def ms(self, ops: Sequence[Op]) -> float:
        """True milliseconds of a network."""
        return self.scale * float(self.kernel_ms(self.kernels(ops)).sum()) + self.constant_ms

    def row(self, kind: str, subject: str, ms: float, part_of: str = "", family: str = "") -> str:
        """A row of the timing table."""
        quoted = f'"{subject}"' if "," in subject else subject
        return f"{kind},{quoted},{self.target},{ms:.6g},made,{part_of},{family}"

    def network_rows(self, name: str, ops: Sequence[Op], family: str = "") -> list[str]:
        """Rows of a network that was timed whole and by its kernels."""
        kernels = self.kernels(ops)
        parts = zip(kernels, self.kernel_ms(kernels).tolist(), strict=True)
        rows = [self.row("op", kernel_text(one), ms, name, family) for one, ms in parts]
        return [self.row("network", name, self.ms(ops), "", family), *rows]


MADE_HEADER = "subject_kind,subject,target,latency_ms,source,part_of,family"


@pytest.fixture(scope="session")
def made_phone() -> MadePhone:
    """A phone with known prices whose runtime joins ops."""
    return MadePhone()


@pytest.fixture(scope="session")
def made_phone_of() -> type[MadePhone]:
    """Phones with known prices, with a runtime and prices of the test's choice."""
    return MadePhone


@pytest.fixture(scope="session")
def made_table(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Sequence[str]], pd.DataFrame]:
    """Rows of `MadePhone`, written to a file and read back; none may be bad."""

    def read(rows: Sequence[str]) -> pd.DataFrame:
        path = tmp_path_factory.mktemp("made") / "table.csv"
        path.write_text("\n".join([MADE_HEADER, *rows]) + "\n", "utf-8")
        found = read_timing_tables([path])
        assert found.quarantined == ()
        return found.rows

    return read


@pytest.fixture(scope="session")
def made_rows(
    small: CompiledSpace,
    made_phone: MadePhone,
    made_table: Callable[[Sequence[str]], pd.DataFrame],
) -> pd.DataFrame:
    """Timings of 20 networks of the small space, in four families, whole and by their kernels."""
    networks = small.space.decode_batch(small.space.sample(20, np.random.default_rng(0)))
    rows = [
        made_phone.network_rows(f"net{at}", network.ops(), f"family{at % 4}")
        for at, network in enumerate(networks)
    ]
    return made_table([row for some in rows for row in some])


@pytest.fixture(scope="session")
def made_fit(made_phone: MadePhone, made_rows: pd.DataFrame) -> OpFit:
    """What is fitted to the made phone, with all op models that a search may use."""
    return fit_op_target(made_rows, parse_target(made_phone.target))


@pytest.fixture(scope="session")
def made(made_fit: OpFit) -> dict[str, LatencyPredictor]:
    """Predictors of the made phone by their op model, as if each had been the only one allowed."""
    return {
        name: LatencyPredictor(str(made_fit.timings.target), (name,))._take(
            fit_ops(made_fit.timings, model)
        )
        for name, model in made_fit.models.items()
    }


@pytest.fixture(scope="session")
def made_models(made: dict[str, LatencyPredictor]) -> dict[str, Any]:
    """The models behind `made`."""
    return {name: predictor.model_ for name, predictor in made.items()}
