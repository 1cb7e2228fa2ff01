"""A step, an epoch and an evaluation, by hand where that can be done."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from palmette.space import Architecture
from palmette.train.device import Normalisation, Normalise, autocast, is_out_of_memory
from palmette.train.learner import Learner, criterion_of
from palmette.train.loop import NotFinite, Tally, evaluate, train_epoch
from palmette.train.loss import Criterion, Teacher
from palmette.train.recipe import Compute, Loss, Optimizer, Recipe, Schedule

CPU = torch.device("cpu")
NET = Architecture.from_text("8x8 stem_k3_s2_c4_relu | ir_k3_s1_e2_c4_relu | head_n3")
BRANCHED = Architecture.from_text("8x8 stem_k3_s2_c8_relu | one_r2_k3_s1_b2_c8_relu | head_n3")
PLAIN = Recipe(
    epochs=2,
    batch=4,
    optimizer=Optimizer(name="sgd", lr=0.1, momentum=0.0, weight_decay=0.0),
    schedule=Schedule(warmup_epochs=0.0),
)


def learner(module: nn.Module, recipe: Recipe = PLAIN, steps: int = 4) -> Learner:
    return Learner(
        module,
        recipe,
        criterion_of(recipe),
        classes=3,
        steps=steps,
        normalisation=Normalisation(),
        device=CPU,
    )


def batch(seed: int = 0, count: int = 4) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, 3, 8, 8), dtype=torch.uint8, generator=generator)
    return images, torch.arange(count) % 3


def test_bytes_are_normalised_as_an_image_input_of_an_export_does() -> None:
    numbers = Normalisation((0.5, 0.2, 0.0), 0.25)
    images = torch.tensor([0, 51, 255], dtype=torch.uint8).reshape(1, 3, 1, 1)
    found = Normalise(numbers, channels_last=True)(images).flatten()
    assert torch.allclose(found, torch.tensor([-2.0, 0.0, 4.0]), atol=1e-6)
    assert images.flatten().tolist() == [0, 51, 255]


def test_a_plain_step_is_the_gradient_times_the_rate() -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))
    layer = module[1]
    assert isinstance(layer, nn.Linear)
    before = layer.weight.detach().clone()
    one = learner(module)
    images, labels = batch()
    x = one.normalise(images).flatten(1)
    scores = (x @ before.T + layer.bias).softmax(1).detach()
    by_hand = (scores - nn.functional.one_hot(labels, 3)).T @ x / 4
    one.update([(images, labels)])
    assert torch.allclose(layer.weight, before - 0.1 * by_hand, atol=1e-5)
    assert one.step == 1


def test_accumulated_batches_make_the_step_of_their_union() -> None:
    accumulated = PLAIN.changed(optimizer__accumulate=2)
    whole, halves = (
        learner(nn.Sequential(nn.Flatten(), nn.Linear(192, 3)), recipe)
        for recipe in (PLAIN, accumulated)
    )
    halves.module.load_state_dict(whole.module.state_dict())
    images, labels = batch(count=8)
    whole.update([(images, labels)])
    halves.update([(images[:4], labels[:4]), (images[4:], labels[4:])])
    pairs = zip(whole.module.parameters(), halves.module.parameters(), strict=True)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in pairs)


def test_a_clipped_step_has_the_norm_it_may_have() -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))
    before = [p.detach().clone() for p in module.parameters()]
    learner(module, PLAIN.changed(optimizer__clip_norm=0.01)).update([batch()])
    pairs = zip(module.parameters(), before, strict=True)
    moved = torch.cat([(a - b).flatten() for a, b in pairs]).norm()
    assert moved.item() == pytest.approx(0.1 * 0.01, rel=1e-3)


def test_the_average_follows_slowly() -> None:
    one = learner(NET.build(), PLAIN.changed(loss__ema_decay=0.9))
    for at in range(4):
        one.update([batch(at)])
    assert one.learned is not one.module
    pairs = zip(one.learned.parameters(), one.module.parameters(), strict=True)
    assert any(not torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_every_precision_learns_a_batch_by_heart(precision: str) -> None:
    recipe = PLAIN.changed(epochs=15, compute__precision=precision, optimizer__momentum=0.9)
    one, tally = learner(NET.build(), recipe), Tally()
    images, labels = batch(count=12)
    first = float(one.update([(images, labels)])[0])
    train_epoch(one, [(images, labels)] * 50, tally)
    assert tally.images == 600 and tally.mean < first
    assert float(one.update([(images, labels)])[0]) < 0.2 * first


def test_dropout_acts_in_training_alone() -> None:
    one = learner(NET.build(), PLAIN.changed(loss__dropout=0.5))
    x = torch.rand(2, 3, 8, 8)
    one.module.eval()
    assert torch.equal(one.module(x), one.module(x))
    one.module.train()
    assert not torch.equal(one.module(x), one.module(x))


def test_a_loss_that_is_no_number_stops_and_says_where() -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))
    with torch.no_grad():
        module[1].weight[0, 0] = float("nan")
    with pytest.raises(NotFinite, match="step 1: the loss is nan") as caught:
        train_epoch(learner(module), [batch(7)], Tally())
    assert (caught.value.step, caught.value.place) == (1, 0)


def test_an_evaluation_counts_by_hand() -> None:
    class Fixed(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.tensor([[2.0, 1.0, 0.0]]).expand(len(x), 3)

    normalise = Normalise(Normalisation(), channels_last=False)
    found = evaluate(Fixed(), [batch(count=4), batch(count=3)], normalise, CPU, Compute())
    assert (found.top1, found.top5, found.images) == (pytest.approx(3 / 7), 1.0, 7)
    each = torch.tensor([2.0, 1.0, 0.0]).log_softmax(0)
    expected = -(3 * each[0] + 2 * each[1] + 2 * each[2]) / 7
    assert found.loss == pytest.approx(float(expected), rel=1e-6)


def test_branches_train_and_the_merged_form_is_evaluated() -> None:
    one = learner(BRANCHED.build())
    count = len(list(one.module.parameters()))
    for at in range(3):
        one.update([batch(at)])
    one.module.train()
    found = evaluate(one.module, [batch(9)], one.normalise, CPU, Compute())
    images, labels = batch(9)
    expected = one.module.eval()(one.normalise(images))
    loss = nn.functional.cross_entropy(expected, labels)
    assert found.loss == pytest.approx(loss.item(), rel=1e-4)
    assert count == len(list(one.module.parameters()))  # the branches are still there


def test_a_teacher_sees_the_images_as_it_was_trained() -> None:
    own, given = Normalisation((0.4, 0.5, 0.6), 0.2), Normalisation()
    module = NET.build(1).eval()
    raw = batch()[0]
    theirs = Normalise(own, channels_last=False)(raw)
    ours = Normalise(given, channels_last=False)(raw)
    teacher = Teacher(module, (8, 8), own, given)
    assert torch.allclose(teacher(ours), module(theirs), atol=1e-5)


def test_a_student_of_its_own_opinion_has_nothing_to_learn() -> None:
    scores, images = torch.randn(4, 3), torch.zeros(4, 3, 8, 8)

    class Same(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return scores

    keys = Loss(teacher_weight=1.0, teacher_temperature=3.0)
    assert (
        float(Criterion(keys, teacher=Same())(scores, torch.zeros(4, dtype=torch.long), images))
        < 1e-6
    )


def test_class_weights_count_only_where_the_recipe_balances() -> None:
    scores, labels = torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([0, 1])
    equal, balanced = (
        criterion_of(PLAIN.changed(loss__class_weights=way), [1.0, 3.0])
        for way in ("equal", "balanced")
    )
    each = nn.functional.cross_entropy(scores, labels, reduction="none")
    assert float(equal(scores, labels, scores)) == pytest.approx(float(each.mean()))
    expected = (each[0] + 3 * each[1]) / 4
    assert float(balanced(scores, labels, scores)) == pytest.approx(float(expected))


def test_autocast_does_nothing_in_single_precision() -> None:
    x = torch.rand(2, 2)
    with autocast(CPU, Compute()):
        assert (x @ x).dtype == torch.float32
    with autocast(CPU, Compute(precision="bfloat16")):
        assert (x @ x).dtype == torch.bfloat16


def test_only_a_lack_of_memory_is_taken_for_one() -> None:
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"))
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
