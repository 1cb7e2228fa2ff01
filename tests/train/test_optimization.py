"""Which parameters decay, and how the rate goes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from palmette.train.optimization import build_optimizer, build_schedule
from palmette.train.recipe import OPTIMIZERS, Optimizer, Schedule


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_only_weights_of_more_than_one_dimension_decay(name: str) -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    optimizer = build_optimizer(module, Optimizer(name=name, weight_decay=0.3))
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            assert group["weight_decay"] == (0.3 if parameter.dim() > 1 else 0.0)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_lowers_a_square(name: str) -> None:
    module = nn.Linear(4, 1, bias=False)
    nn.init.ones_(module.weight)
    optimizer = build_optimizer(module, Optimizer(name=name, lr=0.01, weight_decay=0.0))
    losses = []
    for _ in range(60):
        loss = module(torch.ones(1, 4)).square().sum() + module.weight.square().sum()
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < 0.7 * losses[0]


def rates(keys: Schedule, steps: int = 100, epochs: int = 10) -> list[float]:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=9.0)
    set_rate = build_schedule(optimizer, keys, 1.0, steps, epochs)
    return [set_rate(step) for step in range(steps)]


def test_a_cosine_rises_in_a_line_and_falls_to_its_end() -> None:
    found = rates(Schedule(warmup_epochs=1, warmup_ratio=0.0, final_ratio=0.1))
    assert found[:3] == pytest.approx([0.0, 0.1, 0.2]) and found[10] == 1.0
    assert found[55] == pytest.approx(0.55) and 0.1 < found[-1] < 0.11
    assert found[10:] == sorted(found[10:], reverse=True)


def test_steps_lower_the_rate_by_their_ratio() -> None:
    found = rates(Schedule(name="step", warmup_epochs=0, step_epochs=2, step_ratio=0.5))
    assert [found[at] for at in (0, 19, 20, 40, 99)] == [1.0, 1.0, 0.5, 0.25, 0.0625]


def test_the_rate_of_a_step_does_not_depend_on_the_steps_before() -> None:
    keys = Schedule(warmup_epochs=2)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.123)
    assert build_schedule(optimizer, keys, 1.0, 100, 10)(57) == rates(keys)[57]
