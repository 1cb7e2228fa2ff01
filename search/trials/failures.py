"""Trials that could not be measured: how many, which networks, and why; for those who mend it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from palmette.search.trials.driver import failed_for_good
from palmette.search.trials.params import codes_of
from palmette.space import SearchSpace

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


@dataclass(frozen=True, slots=True)
class FailedTrial:
    """One of them."""

    trial: int
    """Its number."""
    architecture: str
    """The network's text."""
    reason: str
    """In one line."""


@dataclass(frozen=True, slots=True)
class Failures:
    """Failed trials of a run, in the order in which they were told; false without any."""

    ended: int = 0
    """Trials that ended, as failures or not; what came with the start is not among them."""
    trials: tuple[FailedTrial, ...] = ()

    @classmethod
    def of(cls, told: Iterable[FrozenTrial], space: SearchSpace) -> Failures:
        """Failures of trials that were told (`driver.told_trials`).

        Args:
            told: complete, stopped and failed ones.
            space: that they are networks of.
        """
        own = [trial for trial in told if "known" not in trial.user_attrs]
        failed = [trial for trial in own if failed_for_good(trial)]
        ended = len(failed) + sum(trial.state.name != "FAIL" for trial in own)
        rows = (
            FailedTrial(trial.number, _network(trial, space), str(trial.user_attrs["reason"]))
            for trial in failed
        )
        return cls(ended, tuple(rows))

    def __bool__(self) -> bool:
        return bool(self.trials)

    @property
    def words(self) -> str:
        """How many, and the last reason."""
        return (
            f"{len(self.trials):,} of {self.ended:,} trials failed, the last because:"
            f" {self.trials[-1].reason}"
        )

    def records(self) -> list[dict[str, Any]]:
        """Plain values, for programs."""
        return [asdict(trial) for trial in self.trials]


def _network(trial: FrozenTrial, space: SearchSpace) -> str:
    # one that waited in the queue, and whose driver died as it was taken up, has them there alone
    params = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
    return space.decode(codes_of(space, [params])[0]).to_text()
