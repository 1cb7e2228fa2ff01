"""Optimizer and learning rate of a recipe, by timm: what a step changes, and by how much.

The rate is a function of the step alone, so a resume needs no state of a scheduler.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from palmette.space.errors import InputError
from palmette.space.installing import pip_install
from palmette.train.recipe import Optimizer, Schedule

if TYPE_CHECKING:
    import torch
    from torch import nn

# our keys -> the arguments of timm's optimizer of that name
ARGUMENTS: dict[str, Callable[[Optimizer], dict[str, Any]]] = {
    "sgd": lambda o: {"momentum": o.momentum, "nesterov": o.momentum > 0},
    "rmsprop": lambda o: {"momentum": o.momentum, "alpha": o.smoothing, "eps": o.eps},
    "adamw": lambda o: {"betas": (o.momentum, o.smoothing), "eps": o.eps},
    "lamb": lambda o: {"betas": (o.momentum, o.smoothing), "eps": o.eps},
}
TIMM_NAMES = {"rmsprop": "rmsproptf"}  # the epsilon inside the root, as in TensorFlow


def build_optimizer(module: nn.Module, keys: Optimizer) -> torch.optim.Optimizer:
    """Optimizer of a module's parameters; those of one dimension (norms, biases) do not decay."""
    _, timm = training_libraries()
    found: torch.optim.Optimizer = timm.optim.create_optimizer_v2(
        timm.optim.param_groups_weight_decay(module, keys.weight_decay),
        opt=TIMM_NAMES.get(keys.name, keys.name),
        lr=keys.lr,
        weight_decay=keys.weight_decay,
        **ARGUMENTS[keys.name](keys),
    )
    return found


def build_schedule(
    optimizer: torch.optim.Optimizer, keys: Schedule, peak: float, steps: int, epochs: int
) -> Callable[[int], float]:
    """A function that sets the learning rate before step `n` (from 0), and returns it.

    Args:
        optimizer: whose rate is set.
        keys: of the recipe.
        peak: rate after the warm-up.
        steps: of the whole training.
        epochs: of the whole training.
    """
    _, timm = training_libraries()
    per_epoch = steps / epochs
    warmup = min(round(keys.warmup_epochs * per_epoch), steps - 1)
    common = {
        "warmup_t": warmup,
        "warmup_lr_init": peak * keys.warmup_ratio,
        "warmup_prefix": True,
        "t_in_epochs": False,
    }
    for group in optimizer.param_groups:
        # also after a resume: timm takes the peak from here
        group["initial_lr"] = group["lr"] = peak
    if keys.name == "cosine":
        # a cosine of one step only has its peak, as one of two has; timm warns of the former
        length = max(steps - warmup, 2)
        schedule = timm.scheduler.CosineLRScheduler(
            optimizer, length, lr_min=peak * keys.final_ratio, **common
        )
    else:
        schedule = timm.scheduler.StepLRScheduler(
            optimizer, max(keys.step_epochs * per_epoch, 1.0), keys.step_ratio, **common
        )

    def set_rate(step: int) -> float:
        schedule.step_update(step)
        return float(optimizer.param_groups[0]["lr"])

    return set_rate


def training_libraries() -> tuple[Any, Any]:
    """torchvision and timm.

    Raises:
        InputError: one is not installed; the message names the extra.
    """
    try:
        import timm
        import timm.optim
        import timm.scheduler
        import torchvision
    except ImportError as error:
        raise InputError(f"training needs {error.name}; {pip_install('train')}") from None
    return torchvision, timm
