"""A step of a supernet, by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from palmette.space import InputError, SearchSpace
from palmette.train.device import Normalisation
from palmette.train.learner import criterion_of
from palmette.train.recipe import Recipe, load_recipe
from palmette.train.supernet.learner import SupernetLearner
from palmette.train.supernet.network import Supernet, with_classes
from palmette.train.supernet.sampling import largest, sandwich
from palmette.train.supernet.schedule import Phase, Schedule

ALL = Schedule((Phase(1.0, ("all",)),), random=1)


def learner(space: SearchSpace, schedule: Schedule = ALL, **keys: Any) -> SupernetLearner:
    recipe: Recipe = load_recipe("quick").changed(epochs=2, batch=8, **keys)
    return SupernetLearner(
        Supernet(with_classes(space, 5), 1),
        recipe,
        criterion_of(recipe),
        schedule,
        classes=5,
        steps=3,
        normalisation=Normalisation(),
        device=torch.device("cpu"),
    )


def batch(seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (8, 3, 32, 32), dtype=torch.uint8, generator=generator)
    return images, torch.arange(8) % 5


def gradients(module: torch.nn.Module) -> dict[str, Tensor]:
    found = module.named_parameters()
    return {name: value.grad.clone() for name, value in found if value.grad is not None}


def test_a_step_adds_up_the_gradients_of_its_networks(few: SearchSpace) -> None:
    one, other = learner(few), learner(few)
    images, labels = batch()
    x = one.normalise(images)
    one.module.train()
    torch.manual_seed(7)
    one.backward(x, labels)

    torch.manual_seed(7)
    rng = np.random.default_rng(int(torch.randint(2**62, ())))
    net = other.supernet.train()
    codes = sandwich(net.space, ("all",), 1, rng)
    assert 2 <= len(codes) <= 3
    net.choose(codes[0])
    scores = net(x)
    functional.cross_entropy(scores, labels, label_smoothing=0.05).backward()  # type: ignore[no-untyped-call]
    told = scores.detach().softmax(1)
    for code in codes[1:]:
        net.choose(code)
        said = net(x).log_softmax(1)
        (-(told * said).sum(1).mean()).backward()
    found, wanted = gradients(one.module), gradients(net)
    assert set(found) == set(wanted)
    for name in wanted:
        torch.testing.assert_close(found[name], wanted[name], rtol=1e-4, atol=1e-6)


def test_a_phase_without_free_genes_trains_the_largest_network_alone(few: SearchSpace) -> None:
    schedule = Schedule((Phase(0.5, ()), Phase(1.0, ("all",))))
    one = learner(few, schedule, loss__label_smoothing=0.0)
    one.module.train()
    images, labels = batch()
    x = one.normalise(images)
    one.backward(x, labels)
    net = learner(few).supernet.train()
    net.choose(largest(net.space))
    functional.cross_entropy(net(x), labels).backward()  # type: ignore[no-untyped-call]
    for name, value in gradients(net).items():
        torch.testing.assert_close(gradients(one.module)[name], value)


def test_between_steps_it_is_the_largest_network(few: SearchSpace) -> None:
    one = learner(few)
    one.update([batch()])
    assert one.supernet.choice == one.supernet.space.decode(largest(one.supernet.space))


def test_steps_repeat_whatever_happened_before(few: SearchSpace) -> None:
    one, other = learner(few, loss__dropout=0.3), learner(few, loss__dropout=0.3)
    one.module.train(), other.module.train()
    first = [one.update([batch(step)])[0] for step in range(3)]
    torch.rand(3)
    second = [other.update([batch(step)])[0] for step in range(3)]
    assert torch.equal(torch.stack(first), torch.stack(second))


def test_dropout_acts_in_the_largest_network_in_training_alone(few: SearchSpace) -> None:
    net = learner(few).supernet.train()
    x = torch.randn((4, 3, 32, 32), generator=torch.Generator().manual_seed(0))

    def scores(dropout: float) -> Tensor:
        net.choose(largest(net.space), dropout=dropout)
        torch.manual_seed(0)
        found: Tensor = net(x)
        return found.detach()

    assert not torch.allclose(scores(0.9), scores(0.0))
    net.eval()
    assert torch.equal(scores(0.9), scores(0.0))


def test_a_recipe_that_compiles_is_refused(few: SearchSpace) -> None:
    with pytest.raises(InputError, match="set compile = false"):
        learner(few, compute__compile=True)
