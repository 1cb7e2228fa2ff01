"""Numbers of half the bits, and compiled forwards, on the CPU; on a GPU nothing here is run."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from palmette.space import Architecture
from palmette.train.device import Normalisation, autocast
from palmette.train.epochs import State
from palmette.train.learner import Learner, criterion_of
from palmette.train.recipe import Recipe, load_recipe
from palmette.train.trainer import resume, train

CPU = torch.device("cpu")
NET = Architecture.from_text("8x8 stem_k3_s2_c8_relu | ir_k3_s1_e2_c8_relu | head_n3")
STEPS = 8


def recipe(**keys: Any) -> Recipe:
    plain = {"optimizer__lr": 0.3, "schedule__warmup_epochs": 0.0, "batch": 12}
    return Recipe(epochs=1).changed(**{**plain, **keys})


def learner(keys: Recipe, module: nn.Module | None = None) -> Learner:
    return Learner(
        module or NET.build(),
        keys,
        criterion_of(keys),
        classes=3,
        steps=4 * STEPS,
        normalisation=Normalisation(),
        device=CPU,
    )


def batch(count: int = 12) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, 3, 8, 8), dtype=torch.uint8, generator=generator)
    return images, torch.arange(count) % 3


def losses(one: Learner, steps: int = STEPS) -> list[float]:
    return [float(one.update([batch()])[0]) for _ in range(steps)]


@pytest.mark.parametrize(("precision", "off"), [("bfloat16", 0.05), ("float16", 0.01)])
def test_half_the_bits_learn_nearly_the_same(precision: str, off: float) -> None:
    """bfloat16 has three bits fewer than float16: its rounding is eight times as coarse."""
    whole, half = (losses(learner(recipe(compute__precision=p))) for p in ("float32", precision))
    assert half != whole
    assert half == pytest.approx(whole, rel=off)
    assert half[-1] < 0.8 * half[0]


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_weights_and_losses_stay_in_single_precision(precision: str) -> None:
    seen = []
    one = learner(recipe(compute__precision=precision))
    conv = next(layer for layer in one.module.modules() if isinstance(layer, nn.Conv2d))
    conv.register_forward_hook(lambda layer, inputs, output: seen.append(output.dtype))
    (loss,) = one.update([batch()])
    assert seen == [getattr(torch, precision)] and loss.dtype == torch.float32
    assert {p.dtype for p in one.module.parameters()} == {torch.float32}


def linear(keys: Recipe) -> tuple[Learner, Tensor]:
    """A linear layer in training, and its weight as it is now."""
    module = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))
    with torch.no_grad():
        module[1].weight.copy_(torch.linspace(-0.1, 0.1, 576).reshape(3, 192))
        module[1].bias.zero_()
    weight = module[1].weight
    assert isinstance(weight, Tensor)
    return learner(keys, module), weight


def test_a_scaled_loss_makes_the_step_of_an_unscaled_one() -> None:
    for clip in (0.0, 0.01):  # the norm is that of the gradient, not of the scaled one
        found = []
        for precision in ("float32", "float16"):
            keys = recipe(compute__precision=precision, optimizer__clip_norm=clip)
            one, weight = linear(keys)
            assert one.scaler.is_enabled() == (precision == "float16")
            before = weight.detach().clone()
            one.update([batch()])
            found.append(weight.detach() - before)
        assert torch.allclose(found[0], found[1], rtol=0.02, atol=2e-5) and found[0].abs().max() > 0


def test_a_gradient_beyond_float16_takes_no_step_and_halves_the_scale() -> None:
    one, weight = linear(recipe(compute__precision="float16"))
    one.scaler = torch.GradScaler("cpu", init_scale=2.0**40)
    before = weight.detach().clone()
    one.update([batch()])
    assert torch.equal(weight, before) and one.scaler.get_scale() == 2.0**39
    scales = []
    while torch.equal(weight, before) and len(scales) < 30:
        one.update([batch()])
        scales.append(one.scaler.get_scale())
    assert torch.isfinite(weight).all() and not torch.equal(weight, before)
    assert scales == [*(2.0**e for e in range(38, 38 - len(scales) + 1, -1)), scales[-2]]


class Stop(Exception):
    """An interruption."""


def test_an_interrupted_run_keeps_the_scale_of_its_loss(tmp_path: Path) -> None:
    network = Architecture.from_text("16x16 stem_k3_s2_c4_relu | ds_k3_s1_c4_relu | head")
    keys = load_recipe("quick").changed(
        epochs=2, batch=20, compute__precision="float16", compute__deterministic=True
    )

    def stop(state: State) -> None:
        if state.step == 3:
            raise Stop

    whole = train(network, "procedural:40", keys, tmp_path / "a", device="cpu")
    with pytest.raises(Stop):
        train(
            network,
            "procedural:40",
            keys,
            tmp_path / "b",
            device="cpu",
            checkpoint_seconds=0,
            watch=stop,
        )
    again = resume(tmp_path / "b")
    kept = [[row[name] for name in ("train_loss", "val_loss", "top1")] for row in again.history]
    assert kept == [
        [row[name] for name in ("train_loss", "val_loss", "top1")] for row in whole.history
    ]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("c++") is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.filterwarnings("ignore::Warning:torch")
def test_a_compiled_network_has_the_losses_of_the_plain_one() -> None:
    plain, compiled = (learner(recipe(compute__compile=flag)) for flag in (False, True))
    assert compiled.forward is not compiled.module
    assert losses(compiled) == pytest.approx(losses(plain), rel=1e-4)
    ours, theirs = (one.learned.state_dict() for one in (plain, compiled))
    assert list(ours) == list(theirs)  # the wrapping of a compiled module is in no file
    assert all(torch.allclose(ours[name], theirs[name], atol=1e-3) for name in ours)


def test_autocast_of_every_precision_is_that_of_the_recipe() -> None:
    x = torch.rand(2, 2)
    for name in ("bfloat16", "float16"):
        with autocast(CPU, recipe(compute__precision=name).compute):
            assert (x @ x).dtype == getattr(torch, name)
