"""Everything that decides what a search finds, checked as it is made."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Any

from palmette.latency import LATENCY, QUANTITIES
from palmette.search.accuracy import PRIOR
from palmette.space.errors import expect

EVALUATIONS = 1_000_000
SHORTLIST = 64
TRIALS = 200
PALMETTE = "palmette"
SAMPLERS = (PALMETTE, "tpe", "nsga2", "nsga3", "gp", "random")


@dataclass(frozen=True, slots=True)
class SearchConfig:
    """Everything that decides what a search finds."""

    target: str
    budget_ms: float
    space: str = "mobilenet_v2"
    """Preset name, or path of a space's TOML file."""
    confidence: float = 0.8
    params_m: float = math.inf
    macs_m: float = math.inf
    lam: float = 0.5
    recipe: str | None = None
    evaluations: int = EVALUATIONS
    shortlist: int = SHORTLIST
    seed: int = 0
    extrapolate: bool = False
    exportable: bool = False
    """Bar networks with ops that the target's unit is known to refuse."""
    predictor: str | None = None
    """Path of a predictor's JSON; default the one shipped for the target."""
    accuracy: str = PRIOR
    """`prior`, `supernet:FILE` or `proxy:RECIPE`; the latter two measure on `data`."""
    data: str | None = None
    """Images, see `train.datasets.open_data`; default those that a supernet was trained on."""
    trials: int = TRIALS
    """Networks whose accuracy is found out, where they are measured or another sampler chooses."""
    sampler: str = PALMETTE
    """What chooses them: ours, or one of Optuna's."""
    warm_start: bool = True
    """Whether the first of them are the shortlist."""
    budget: str = LATENCY
    """Which milliseconds the budget is of: `latency`, or `sustained`, of a warm phone."""

    def __post_init__(self) -> None:
        names = " or ".join(QUANTITIES)
        expect(self.budget in QUANTITIES, f"budget: must be {names}, got '{self.budget}'")
        expect(
            self.budget == LATENCY or self.predictor is not None,
            f"budget: {self.budget} needs --predictor, a file of `palmette latency fit"
            f" --{self.budget}`: no published table has {self.budget} timings; time your own",
        )
        expect(
            0 < self.budget_ms < math.inf,
            f"budget_ms: must be a positive number, got {self.budget_ms:g}",
        )
        expect(self.evaluations >= 1000, f"evaluations: at least 1000, got {self.evaluations}")
        expect(self.shortlist >= 3, f"shortlist: at least 3, got {self.shortlist}")
        expect(self.seed >= 0, f"seed: must not be negative, got {self.seed}")
        expect(self.trials >= 3, f"trials: at least 3, got {self.trials}")
        known = ", ".join(SAMPLERS)
        expect(self.sampler in SAMPLERS, f"sampler: must be one of {known}, got '{self.sampler}'")
        measured = self.accuracy != PRIOR
        expect(
            measured or self.data is None,
            "data: the prior takes none; give --accuracy, or leave --data out",
        )
        expect(
            not measured or self.recipe is None,
            "recipe: belongs to the prior; a supernet or a proxy has its own",
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for `run.toml`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any], where: str) -> SearchConfig:
        """Config from plain values; raises InputError for an unknown key or a wrong type."""
        known = {item.name: item for item in fields(cls)}
        old = data.get("accuracy", PRIOR) != PRIOR and "samples" in data
        expect(
            not old,
            f"{where}: was begun by an older palmette, which measured networks outside of trials;"
            " search again",
        )
        data = {key: value for key, value in data.items() if key not in _FORMER}
        for key, value in data.items():
            expect(key in known, f"{where}: unknown key '{key}'; known: {', '.join(known)}")
            wanted = _TYPES[str(known[key].type)]
            good = isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool))
            expect(good, f"{where}: {key} has a wrong type, got {value!r}")
        missing = {"target", "budget_ms"} - set(data)
        expect(not missing, f"{where}: missing {', '.join(sorted(missing))}")
        return cls(**data)


_FORMER = ("samples",)
"""Keys of older runs that the prior never had a use for."""
_TYPES: dict[str, Any] = {
    "str": str,
    "str | None": (str, type(None)),
    "float": (int, float),
    "int": int,
    "bool": bool,
}
