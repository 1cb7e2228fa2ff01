"""BatchNorm folds exactly, and only where it may."""

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from palmette.export import ExportError
from palmette.export.fold import fold_batch_norm
from palmette.space import Architecture, InputError

IMAGE = (1, 4, 4)


def pair() -> nn.Sequential:
    """1x1 convolution (weight 2, bias 1) and BatchNorm: gain 3, mean 5, variance 4, shift 7."""
    conv, norm = nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1, eps=0.0)
    for value, number in (
        (conv.weight, 2.0),
        (conv.bias, 1.0),
        (norm.weight, 3.0),
        (norm.bias, 7.0),
        (norm.running_mean, 5.0),
        (norm.running_var, 4.0),
    ):
        assert value is not None
        nn.init.constant_(value, number)
    return nn.Sequential(conv, norm).eval()


def test_a_pair_folds_to_the_numbers_worked_out_by_hand() -> None:
    (layer,) = fold_batch_norm(pair(), IMAGE).layers
    # 3 / sqrt(4) * (2 x + 1 - 5) + 7 = 3 x + 1
    assert layer.name == "0"
    assert layer.weight.dtype == layer.bias.dtype == np.float16
    assert layer.weight.tolist() == [[[[3.0]]]]
    assert layer.bias.tolist() == [1.0]


def test_a_norm_without_gain_and_a_linear_layer_fold_too() -> None:
    norm = nn.BatchNorm1d(2, eps=0.0, affine=False)
    nn.init.constant_(norm.running_var, 0.25)
    linear = nn.Linear(1, 2, bias=False)
    nn.init.constant_(linear.weight, 1.5)
    module = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear, norm).eval()
    (layer,) = fold_batch_norm(module, IMAGE).layers
    assert layer.weight.tolist() == [[3.0], [3.0]]
    assert layer.bias.tolist() == [0.0, 0.0]


def test_a_folded_network_computes_the_same_and_has_no_norm_left(
    architecture: Architecture, module: nn.Module
) -> None:
    folded = fold_batch_norm(module, (3, *architecture.resolution))
    image = torch.rand((2, 3, *architecture.resolution)) * 2 - 1
    with torch.no_grad():
        expected, found = module(image), folded.module(image)
    assert expected.std() > 1e-3
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert not any(isinstance(part, nn.BatchNorm2d) for part in folded.module.modules())
    hosts = [part for part in module.modules() if isinstance(part, nn.Conv2d | nn.Linear)]
    assert len(folded.layers) == len(hosts)


def test_folding_leaves_the_module_as_it_was(architecture: Architecture, module: nn.Module) -> None:
    before = copy.deepcopy(module.state_dict())
    fold_batch_norm(module, (3, *architecture.resolution))
    after = module.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert not any(part._forward_hooks for part in module.modules())


class Twice(nn.Module):
    """One convolution that runs twice, each time before another BatchNorm."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 1)
        self.first, self.second = nn.BatchNorm2d(1), nn.BatchNorm2d(1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.second(self.conv(self.first(self.conv(x))))
        return y


class Between(nn.Module):
    """An in-place activation between convolution and BatchNorm."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU(inplace=True), nn.BatchNorm2d(1))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.body(x)
        return y


@pytest.mark.parametrize(("make", "layers"), [(Twice, 2), (Between, 1)])
def test_what_may_not_fold_is_left_as_it_is(make: Callable[[], nn.Module], layers: int) -> None:
    module = make().eval()
    folded = fold_batch_norm(module, IMAGE)
    assert sum(layer.weight.ndim > 1 for layer in folded.layers) == layers
    norms = [type(part) for part in folded.module.modules()].count(nn.BatchNorm2d)
    assert norms == [type(part) for part in module.modules()].count(nn.BatchNorm2d)


class Tapped(nn.Module):
    """The convolution's output is also read before its BatchNorm."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = pair()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        z: Tensor = self.norm(y) + y
        return z


def test_a_fold_that_would_change_the_output_is_an_error() -> None:
    with pytest.raises(ExportError, match="another op reads"):
        fold_batch_norm(Tapped().eval(), IMAGE)


def test_training_mode_is_refused_wherever_it_is() -> None:
    module = pair()
    module[1].train()
    with pytest.raises(InputError, match=r"'1' is in training mode; call module.eval\(\)"):
        fold_batch_norm(module, IMAGE)


def test_a_norm_by_the_batchs_own_statistics_is_refused() -> None:
    module = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1, track_running_stats=False)).eval()
    with pytest.raises(InputError, match="batch's own statistics"):
        fold_batch_norm(module, IMAGE)


@pytest.mark.parametrize(
    ("number", "message"),
    [(float("nan"), "'0.weight' holds infinities or NaN"), (5e4, "'0.weight'.*half precision")],
)
def test_weights_that_half_precision_cannot_hold_are_refused(number: float, message: str) -> None:
    module = pair()
    assert isinstance(module[0], nn.Conv2d)
    nn.init.constant_(module[0].weight, number)
    with pytest.raises(InputError, match=message):
        fold_batch_norm(module, IMAGE)


def test_a_module_without_values_is_refused() -> None:
    with pytest.raises(InputError, match="meta device"):
        fold_batch_norm(pair().to("meta"), IMAGE)
