"""Studies for tests of samplers."""

from __future__ import annotations

from typing import Any

import optuna
from optuna.samplers import BaseSampler


def study_of(sampler: BaseSampler, storage: Any = None) -> optuna.Study:
    return optuna.create_study(
        directions=["minimize", "maximize"],
        sampler=sampler,
        storage=storage,
        study_name="study",
        load_if_exists=True,
    )
