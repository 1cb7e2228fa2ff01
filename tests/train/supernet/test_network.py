"""A supernet is the network that it is told to be."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from palmette.space import InputError, SearchSpace
from palmette.space.architecture import Architecture
from palmette.train.supernet.network import Supernet
from palmette.train.supernet.recalibration import extract, recalibrate
from palmette.train.supernet.sampling import largest, smallest


@pytest.fixture(scope="module")
def net(space: SearchSpace) -> Supernet:
    """Its kernel transforms are no identity."""
    net = Supernet(space, seed=3)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, value in net.named_parameters():
            if "/to" in name:
                value.normal_(0.0, 0.1, generator=generator)
            elif name.endswith(("bias", "bn/weight")):
                value.add_(0.1 * torch.randn(value.shape, generator=generator))
    return net


def images(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


@settings(max_examples=12)
@given(seed=st.integers(0, 2**31))
def test_an_extracted_network_computes_what_the_supernet_computes(
    net: Supernet, space: SearchSpace, seed: int
) -> None:
    code = space.sample(1, np.random.default_rng(seed))[0]
    recalibrate(net, code, [images(6, 3, 48, 48)])
    module, x = extract(net), images(2, 3, *net.choice.resolution)
    with torch.no_grad():
        wanted = net.eval()(x)
        found = module(x)
    assert wanted.abs().max() > 1e-2
    assert (found - wanted).abs().max() <= 1e-5 * wanted.abs().max()


def test_an_extracted_network_is_a_copy_that_trains_on(net: Supernet, space: SearchSpace) -> None:
    recalibrate(net, largest(space), [images(6, 3, 48, 48)])
    before = {name: value.clone() for name, value in net.state_dict().items()}
    module = extract(net).train()
    optimizer = torch.optim.SGD(module.parameters(), 0.05)
    x, target = images(8, 3, 48, 48), torch.arange(8)
    losses = []
    for _ in range(5):
        loss = torch.nn.functional.cross_entropy(module(x), target)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_recalibrated_statistics_are_those_of_the_images(net: Supernet, space: SearchSpace) -> None:
    code = smallest(space)
    batches = [images(4, 3, 32, 32), images(4, 3, 32, 32) + 1]
    statistics = recalibrate(net, code, batches)
    weight = net.tensors()["stem.conv.weight"]
    maps = [torch.nn.functional.conv2d(x, weight, stride=2, padding=1) for x in batches]
    mean = sum(x.mean((0, 2, 3)) for x in maps) / 2
    variance = sum(x.var((0, 2, 3)) for x in maps) / 2
    torch.testing.assert_close(statistics["stem.bn.running_mean"], mean, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(statistics["stem.bn.running_var"], variance, rtol=1e-4, atol=1e-6)


def test_a_small_kernel_is_the_transformed_centre_of_the_next_larger(
    net: Supernet, space: SearchSpace
) -> None:
    name = "stage2.1.spatial.conv.weight"
    whole = net.shared.cut(name, (4, 1, 7, 7))
    five, three = net.shared.cut(name, (4, 1, 5, 5)), net.shared.cut(name, (4, 1, 3, 3))
    to5, to3 = (net.shared.get_parameter(f"stage2/1/spatial/conv/weight/to{k}") for k in (5, 3))
    centre = whole[:, :, 1:6, 1:6].reshape(4, 1, 25)
    torch.testing.assert_close(five, (centre @ (torch.eye(25) + to5)).reshape(4, 1, 5, 5))
    centre = five[:, :, 1:4, 1:4].reshape(4, 1, 9)
    torch.testing.assert_close(three, (centre @ (torch.eye(9) + to3)).reshape(4, 1, 3, 3))


def test_a_new_supernet_crops_kernels_plainly_and_cuts_channels_as_prefixes(
    space: SearchSpace,
) -> None:
    net = Supernet(space)
    name = "stage2.2.expand.conv.weight"
    whole = net.shared.get_parameter(name.replace(".", "/"))
    assert tuple(whole.shape) == (48, 16, 1, 1)
    assert torch.equal(net.shared.cut(name, (24, 12, 1, 1)), whole[:24, :12])
    name = "stage2.2.spatial.conv.weight"
    whole = net.shared.get_parameter(name.replace(".", "/"))
    assert torch.equal(net.shared.cut(name, (24, 1, 3, 3)), whole[:24, :, 2:5, 2:5])


def test_shallow_stages_are_the_first_blocks_of_deep_ones(space: SearchSpace) -> None:
    net = Supernet(space)
    code = largest(space)
    deep = dict(net.tensors())
    code[space.column["stage2.depth"]] = 0
    net.choose(code)
    shallow = net.tensors()
    assert "stages.1.1.body.0.conv.weight" in deep
    assert "stages.1.1.body.0.conv.weight" not in shallow
    assert torch.equal(
        deep["stages.1.0.0.conv.weight"], shallow["stages.1.0.0.conv.weight"]
    ) and torch.equal(deep["stages.2.0.0.conv.weight"], shallow["stages.2.0.0.conv.weight"])


def test_training_one_network_leaves_what_it_does_not_use_alone(space: SearchSpace) -> None:
    net = Supernet(space).train()
    net.choose(smallest(space))
    net(images(4, 3, 32, 32)).square().mean().backward()
    stem = net.shared.get_parameter("stem/stem/conv/weight").grad
    assert stem is not None
    assert stem[:8].abs().sum() > 0 and stem[8:].abs().sum() == 0
    mean = net.shared.get_buffer("stem/stem/bn/running_mean")
    assert mean[:8].abs().sum() > 0 and mean[8:].abs().sum() == 0
    assert net.shared.get_parameter("stage2/2/direct/conv/weight").grad is None


def test_images_of_another_size_are_scaled_to_the_networks(space: SearchSpace) -> None:
    net = Supernet(space).eval()
    net.choose(smallest(space))
    x = images(2, 3, 48, 48)
    scaled = torch.nn.functional.interpolate(x, (32, 32), mode="bilinear", antialias=True)
    with torch.no_grad():
        assert torch.equal(net(x), net(scaled))


def test_a_network_may_be_named_by_its_architecture_whatever_its_classes(
    space: SearchSpace,
) -> None:
    net = Supernet(space)
    wanted = space.decode(smallest(space))
    text = wanted.to_text().replace("_n20", "")
    assert Architecture.from_text(text).head.classes == 1000
    assert net.choose(Architecture.from_text(text)) == wanted
    with pytest.raises(InputError, match="is not in space 'small'"):
        net.choose(Architecture.from_text(text.replace("32x32", "40x40")))


@pytest.mark.parametrize("preset", ["mobilenet_v2", "mnasnet"])
def test_networks_of_the_presets_can_share(preset: str) -> None:
    space = SearchSpace.preset(preset)
    net = Supernet(space).eval()
    for code in space.sample(3, np.random.default_rng(0)):
        architecture = net.choose(code)
        assert {name: tuple(value.shape) for name, value in net.tensors().items()} == {
            name: tuple(value.shape) for name, value in architecture.build().state_dict().items()
        }
