"""A network that learns: module, optimizer, rate, average, precision, and one step of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from palmette.train.device import Normalisation, Normalise, autocast
from palmette.train.loss import Criterion
from palmette.train.optimization import build_optimizer, build_schedule, training_libraries
from palmette.train.recipe import Recipe
from palmette.train.seeds import derived
from palmette.train.transforms import mixing
from palmette.train.workers import ALONE, Workers

if TYPE_CHECKING:
    from palmette.train.loading import Batch


class Learner:
    """A module in training by a recipe; a step depends on its number and the seed alone.

    Another way to learn, as a supernet's, overrides `backward`.

    Args:
        module: network, images (n, 3, height, width) to scores (n, classes); it is moved.
        recipe: how it is trained.
        criterion: of scores, target and images.
        classes: of the target.
        steps: of an epoch.
        normalisation: of the bytes.
        device: where it is computed.
        seed: of dropout and mixing.
        workers: this process's place among those that train the network.
    """

    def __init__(
        self,
        module: nn.Module,
        recipe: Recipe,
        criterion: nn.Module,
        *,
        classes: int,
        steps: int,
        normalisation: Normalisation,
        device: torch.device,
        seed: int = 0,
        workers: Workers = ALONE,
    ) -> None:
        keys = recipe.compute
        layout = torch.channels_last if keys.channels_last else torch.contiguous_format
        self.recipe, self.device, self.seed, self.steps = recipe, device, seed, steps
        self.workers = workers
        self.module = module.to(device=device, memory_format=layout)  # type: ignore[call-overload]
        self.criterion = criterion.to(device)
        self.normalise = Normalise(normalisation, keys.channels_last).to(device)
        self.mix = mixing(recipe.augment, classes)
        self.optimizer = build_optimizer(module, recipe.optimizer)
        self.set_rate = build_schedule(
            self.optimizer,
            recipe.schedule,
            recipe.optimizer.lr,
            steps * recipe.epochs,
            recipe.epochs,
        )
        self.average = _average(module, recipe.loss.ema_decay)
        self.scaler = torch.GradScaler(device.type, enabled=keys.precision == "float16")
        self.step = 0
        """Steps that were done."""
        _drop_before_classifier(module, recipe.loss.dropout)
        self.parallel = workers.parallel(module, keys.deterministic)
        self.forward: Callable[[Tensor], Tensor] = self.parallel
        if keys.compile:
            self.forward = torch.compile(self.parallel)

    @property
    def learned(self) -> nn.Module:
        """What is evaluated and kept: the average, where there is one."""
        found: nn.Module = self.module if self.average is None else self.average.module
        return found

    @property
    def rate(self) -> float:
        """Learning rate of the last step."""
        return float(self.optimizer.param_groups[0]["lr"])

    def backward(self, images: Tensor, target: Tensor) -> Tensor:
        """Add the gradient of a batch to the parameters'; its loss, detached, on the device."""
        with autocast(self.device, self.recipe.compute):
            loss: Tensor = self.criterion(self.forward(images), target, images)
        self.scaler.scale(loss / self.recipe.optimizer.accumulate).backward()
        return loss.detach()

    def update(self, batches: Sequence[Batch]) -> list[Tensor]:
        """One step on the batches of it; their losses, of all workers, detached, on the device."""
        self.set_rate(self.step)
        # the state that mixing and dropout draw from, whatever happened before
        torch.manual_seed(derived(self.seed, "step", self.step, *self.workers.salt))
        losses = []
        for place, (raw, labels) in enumerate(batches, 1):
            images, target = self.normalise(raw), labels
            if self.mix is not None:
                images, target = self.mix(images, labels)
            last = place == len(batches)
            with nullcontext() if last else self.workers.waiting(self.parallel):
                loss = self.backward(images, target)
            losses.append(self.workers.mean(loss))
        self._apply()
        self.step += 1
        if self.average is not None:
            self.average.update(self.module, self.step)
        return losses

    def _apply(self) -> None:
        """Change the parameters by their gradients."""
        most = self.recipe.optimizer.clip_norm
        if most:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.module.parameters(), most)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)


def criterion_of(
    recipe: Recipe,
    class_weights: Sequence[float] | None = None,
    teacher: nn.Module | None = None,
) -> Criterion:
    """Loss of a recipe; the weights of the classes count if it balances them."""
    balanced = recipe.loss.class_weights == "balanced"
    return Criterion(recipe.loss, class_weights if balanced else None, teacher)


def _average(module: nn.Module, decay: float) -> Any:
    """timm's moving average of the weights, slow only once training is under way; or None."""
    if not decay:
        return None
    training_libraries()
    from timm.utils.model_ema import ModelEmaV3

    return ModelEmaV3(module, decay=decay, use_warmup=True, warmup_power=0.9)


def _drop_before_classifier(module: nn.Module, share: float) -> None:
    """Dropout on what enters the last linear layer, in training."""
    layers = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
    if share and layers:

        def drop(layer: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
            return (functional.dropout(inputs[0], share, layer.training),)

        layers[-1].register_forward_pre_hook(drop)
