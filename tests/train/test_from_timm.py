"""timm's weights give our networks timm's scores; what is another network is named by its layer."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from palmette.space import InputError, load
from palmette.train.from_timm import create, from_timm, read_timm

PAIRS = {
    "mobilenetv1_100": "mobilenet_v1",
    "mobilenetv2_100": "mobilenet_v2",
    "mobilenetv2_140": "mobilenet_v2_1.4",
    "mobilenetv3_small_100": "mobilenet_v3_small",
    "mobilenetv3_large_100": "mobilenet_v3_large",
    "efficientnet_lite0": "efficientnet_lite0",
    "efficientnet_b0": "efficientnet_b0",
    "semnasnet_100": "mnasnet_a1",
    "fbnetc_100": "fbnet_c",
}


def shaken(name: str, classes: int = 7) -> nn.Module:
    """A timm network whose norms matter: their statistics and parameters are random."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = create(name, classes)
        for layer in module.modules():
            if isinstance(layer, nn.BatchNorm2d):
                assert layer.running_mean is not None and layer.running_var is not None
                layer.running_mean.normal_(0, 0.2)
                layer.running_var.uniform_(0.5, 1.5)
                nn.init.uniform_(layer.weight, 0.5, 1.5)
                nn.init.normal_(layer.bias, 0, 0.2)
    return module.eval()


@pytest.mark.parametrize(("theirs", "ours"), PAIRS.items())
def test_both_networks_give_the_same_scores(theirs: str, ours: str, tmp_path: Path) -> None:
    module, path = shaken(theirs), tmp_path / "model.safetensors"
    save_file(module.state_dict(), path)
    found = read_timm(path, theirs, load(ours))
    assert found.architecture.head.classes == 7
    image = torch.rand(2, 3, 96, 96)
    # each as its own normalisation makes it
    cfg = module.pretrained_cfg
    mean, std = (torch.tensor(cfg[key])[:, None, None] for key in ("mean", "std"))
    own = (image * 255 * found.normalisation.scale) + torch.tensor(found.normalisation.bias)[
        :, None, None
    ]
    with torch.no_grad():
        expected, scores = module((image - mean) / std), found.module()(own)
    assert float((expected - scores).abs().max() / expected.abs().max()) < 1e-4


def test_a_norm_of_another_epsilon_is_made_up_for() -> None:
    module = shaken("mobilenetv2_100")
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.eps = 1e-3
    from_timm(module, load_as("mobilenet_v2", 7), "mobilenetv2_100")


def load_as(name: str, classes: int):  # type: ignore[no-untyped-def]
    from palmette.train.weights import with_classes

    return with_classes(load(name), classes)


@pytest.mark.parametrize(
    ("theirs", "ours", "message"),
    [
        ("mobilenetv2_140", "mobilenet_v2", "layer 'conv_stem' is a convolution of 48x3x3x3"),
        ("tf_efficientnet_b0", "efficientnet_b0", "'conv_stem' .* padding 0"),
        ("mobilenetv2_110d", "mobilenet_v2", "is another network: its layer"),
    ],
)
def test_another_network_is_named_by_its_first_layer(theirs: str, ours: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        from_timm(create(theirs), load(ours), theirs)


def test_equal_layers_with_another_activation_are_refused() -> None:
    module = shaken("mobilenetv2_100")
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.ReLU6):
                setattr(parent, name, nn.SiLU())
    with pytest.raises(InputError, match="other scores .*an activation or an addition differs"):
        from_timm(module, load_as("mobilenet_v2", 7), "mobilenetv2_100")


def test_pickles_and_unknown_names_are_refused(tmp_path: Path) -> None:
    for name in ("model.bin", "model.safetensors"):
        (tmp_path / name).write_bytes(b"x")
    network = load("mobilenet_v2")
    with pytest.raises(InputError, match="pickles, which may run code, and are not opened"):
        read_timm(tmp_path / "model.bin", "mobilenetv2_100", network)
    with pytest.raises(InputError, match="truncated or no safetensors"):
        read_timm(tmp_path / "model.safetensors", "mobilenetv2_100", network)
    with pytest.raises(
        InputError, match="no network 'mobilenetv2_10'; the nearest are mobilenetv2_1"
    ):
        create("mobilenetv2_10")
    save_file({"a": torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(InputError, match="is not a file of timm's 'mobilenetv2_100'"):
        read_timm(tmp_path / "model.safetensors", "mobilenetv2_100", network)
