"""What runs on a host: ops from their text, folded networks, runtimes."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import nn

from palmette.latency.host import runtimes, subjects
from palmette.latency.host.ops import BUILDERS, build_ops
from palmette.latency.host.runtimes import HOST_TARGETS, opened
from palmette.latency.host.subjects import build_subject, fold_batch_norm
from palmette.latency.per_op.kernels import kernel_from_text
from palmette.space import InputError, Op, load
from palmette.space.blocks import ACTIVATIONS
from palmette.space.ops import KINDS
from palmette.space.trace import trace_ops

EAGER = "host/cpu@torch-eager"

TEXTS = {
    "conv": "conv 8x9x7 -> 16x5x4 k3 s2 relu6",
    "conv depthwise": "conv 8x8x8 -> 8x8x8 k5 g8 hswish",
    "conv without padding": "conv 3x17x17 -> 4x7x7 k5 s2",
    "conv dilated": "conv 4x12x12 -> 4x12x12 k3 d2",
    "conv of a row": "conv 4x6x9 -> 4x6x9 k1x11",
    "conv_transpose": "conv_transpose 8x7x7 -> 4x14x14 k3 s2 relu",
    "linear": "linear 16 -> 10",
    "linear of tokens": "linear 5x16 -> 5x10 gelu",
    "matmul": "matmul 2x5x4 + 2x4x6 -> 2x5x6",
    "pool": "pool 4x12x12 -> 4x6x6 k3 s2",
    "pool rounded up": "pool 4x112x112 -> 4x56x56 k3 s2",
    "pool without padding": "pool 4x8x8 -> 4x4x4 k2 s2",
    "mean to a vector": "mean 8x7x7 -> 8",
    "mean to a map": "mean 8x7x7 -> 8x1x1",
    "add": "add 4x3x3 + 4x3x3 -> 4x3x3 relu",
    "add a number": "add 4x3x3 -> 4x3x3",
    "mul": "mul 4x3x3 + 4x1x1 -> 4x3x3",
    "concat": "concat 4x3x3 + 2x3x3 + 1x3x3 -> 7x3x3",
    "act": "act 4x3x3 -> 4x3x3 swish",
    "softmax": "softmax 4x9x9 -> 4x9x9",
    "norm": "norm 4x5x5 -> 4x5x5",
    "norm of tokens": "norm 9x16 -> 9x16",
    "permute": "permute 2x4x5x5 -> 4x2x5x5",
    "gather": "gather 8x5x5 -> 6x5x5",
    "slice": "slice 8x5x5 -> 3x5x5",
    "pad": "pad 4x5x5 -> 4x7x6",
    "resize": "resize 4x5x5 -> 4x10x10",
}


def run(*texts: str) -> Any:
    module, inputs = build_ops(kernel_from_text(" ; ".join(texts)))
    with torch.no_grad():
        return module(*inputs)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_an_op_makes_what_its_text_says(text: str) -> None:
    made = run(text)
    assert tuple(made.shape[1:]) == Op.from_text(text).output
    assert made.isfinite().all()


def test_every_kind_but_other_can_be_built() -> None:
    assert set(KINDS) - set(BUILDERS) == {"other"}
    assert {Op.from_text(text).kind for text in TEXTS.values()} == set(BUILDERS)


@pytest.mark.parametrize("name", ["conv", "conv depthwise", "linear", "pool", "conv dilated"])
def test_a_built_op_traces_to_its_own_text(name: str) -> None:
    op = Op.from_text(TEXTS[name])
    assert trace_ops(build_ops([op])[0], op.inputs[0]) == (op,)


@pytest.mark.parametrize(
    "name", ["mobilenet_v3_small", "efficientnet_b0", "mobilenet_v1", "mnasnet_a1"]
)
def test_every_op_of_a_network_can_be_built(name: str) -> None:
    for op in {op.to_text(): op for op in load(name).ops()}.values():
        build_ops([op])


@pytest.mark.parametrize("act", [act for act in ACTIVATIONS if act != "none"])
def test_an_activation_repeated_in_place_meets_the_same_numbers(act: str) -> None:
    module, (x,) = build_ops([Op.from_text(f"act 4x3x3 -> 4x3x3 {act}")])
    module(x)
    before = x.clone()
    module(x)
    assert torch.equal(x, before) and x.abs().min() > 1


def test_a_split_gives_both_halves() -> None:
    assert [tuple(part.shape) for part in run("slice 8x5x5 -> 8x5x5")] == [(1, 4, 5, 5)] * 2


def test_a_convolution_has_a_bias_as_folding_leaves_it() -> None:
    module, _ = build_ops([Op.from_text("conv 8x9x9 -> 16x9x9 k3")])
    assert sum(p.numel() for p in module.parameters()) == 16 * (8 * 9 + 1)


def test_a_kernel_computes_its_ops_one_after_another() -> None:
    first, second = "conv 4x5x5 -> 8x5x5", "add 8x5x5 + 8x5x5 -> 8x5x5 relu"
    module, inputs = build_ops(kernel_from_text(f"{first} ; {second}"))
    steps: Any = module.steps
    assert [tuple(x.shape[1:]) for x in inputs] == [(4, 5, 5), (8, 5, 5)]
    expected = (steps[0](inputs[0]) + inputs[1]).relu()
    assert torch.equal(module(*inputs), expected)


def test_a_kernel_passes_its_value_on_where_the_shape_fits() -> None:
    gate = "mul 8x5x5 + 8x1x1 -> 8x5x5"
    module, inputs = build_ops(kernel_from_text(f"conv 4x1x1 -> 8x1x1 sigmoid ; {gate}"))
    steps: Any = module.steps
    assert torch.equal(module(*inputs), inputs[1] * steps[0](inputs[0]))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("other 4x3x3 -> 4x3x3", "does not say what to run"),
        ("conv 8x9x9 -> 16x20x20 k3", "no padding"),
        ("conv_transpose 8x9x9 -> 16x2x2 k3 s2", "no padding"),
        ("pool 4x8x8 -> 4x9x3 k2 s2", "no padding"),
        ("pool 4x8x8 -> 5x4x4 k2 s2", r"would make \(4, 4, 4\)"),
        ("add 4x3x3 + 4x3x3 -> 8x3x3", "would make"),
        ("add 4x3x3 + 5x2x3 -> 4x3x3", "torch cannot run it"),
        ("mul 4x3x3 + 4x3x3 + 4x3x3 -> 4x3x3", "takes 2 inputs, got 3"),
        ("matmul 2x5x4 + 2x5x6 -> 2x5x6", "torch cannot run it"),
        ("concat 4x3x3 + 2x4x3 -> 6x3x3", "do not add up"),
        ("concat 4x3x3 -> 6x3x3", "several inputs"),
        ("permute 2x4x5 -> 8x5x1", "no permutation"),
        ("gather 8x5x5 -> 6x4x5", "more than one axis"),
        ("slice 8x5x5 -> 9x5x5", "cannot grow"),
        ("pad 8x5x5 -> 8x4x5", "cannot shrink"),
        ("mean 8x5x5 -> 9", "would make"),
        ("linear 8 -> 10 ; add 9 + 9 -> 9", "does not read what"),
        ("linear 99999999 -> 99999999", "at most"),
    ],
)
def test_what_a_text_does_not_determine_is_refused(text: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as caught:
        build_ops(kernel_from_text(text))
    assert "op '" in str(caught.value)


# Networks


@torch.no_grad()
def test_folding_leaves_no_batch_norm_and_the_same_output(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = load("mobilenet_v3_small").with_resolution(64).build().eval()
    image = torch.rand(1, 3, 64, 64)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            subjects._randomise(part)
    monkeypatch.setattr(subjects, "_randomise", lambda norm: None)
    before = module(image)
    after = fold_batch_norm(module, image)(image)
    assert not any(isinstance(part, nn.BatchNorm2d) for part in module.modules())
    assert (before - after).abs().max() <= 1e-4 * before.abs().max()


class Shared(nn.Module):
    """Something else than the BatchNorm reads the convolution's output too."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.bn = nn.BatchNorm2d(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.conv(x)
        return y + self.bn(y)


def test_folding_that_would_change_the_output_is_refused() -> None:
    with pytest.raises(InputError, match="would change the output"):
        fold_batch_norm(Shared(), torch.rand(1, 3, 8, 8))


def test_a_batch_norm_that_no_convolution_precedes_stays() -> None:
    module = nn.Sequential(nn.ReLU(), nn.BatchNorm2d(3), nn.Conv2d(3, 4, 1))
    fold_batch_norm(module, torch.rand(1, 3, 8, 8))
    assert isinstance(module[1], nn.BatchNorm2d)


def test_foreign_networks_are_folded_too_and_keep_their_activations() -> None:
    pytest.importorskip("timm")
    module, (image,) = build_subject(("network", "mobilenet_v3_small_0.75"))
    assert not any(isinstance(part, nn.BatchNorm2d) for part in module.modules())
    kinds = {op.act for op in trace_ops(module, tuple(image.shape[1:]))}
    assert {"relu", "hswish"} <= kinds


def test_a_subject_is_the_same_each_time_and_leaves_the_random_state() -> None:
    state = torch.random.get_rng_state()
    one, other = (build_subject(("chain", "1*(cn_r1_k3_s1_c4_relu)@5x5x4")) for _ in range(2))
    assert torch.equal(one[0](*one[1]), other[0](*other[1]))
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_zoo_network_comes_at_another_resolution() -> None:
    _, (image,) = build_subject(("network", "mobilenet_v1@64x96"))
    assert tuple(image.shape) == (1, 3, 64, 96)


@pytest.mark.parametrize(
    ("subject", "reason"),
    [
        (("network", "mobilnet_v1"), "did you mean mobilenet_v1 or "),
        (("network", "mobilenet_v1@64"), "HxW"),
        (("network", "mine.csv"), "does not say how they are joined"),
        (("network", "resnet18_backbone_512"), "does not say how they are joined"),
        (("network", "64x64 nonsense | head"), "expected"),
        (("thing", "x"), "op, chain or network"),
        (("op", "conv 3x3"), "expected"),
    ],
)
def test_what_cannot_be_built_is_refused(subject: tuple[str, str], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        build_subject(subject)


# Runtimes


def test_all_is_as_before_after_timing() -> None:
    threads = torch.get_num_threads()
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    with pytest.raises(ZeroDivisionError), opened(EAGER):
        if cores is not None:
            assert len(os.sched_getaffinity(0)) == 1
        assert torch.get_num_threads() == 1
        raise ZeroDivisionError
    assert torch.get_num_threads() == threads
    assert cores is None or os.sched_getaffinity(0) == cores


def test_more_work_takes_longer() -> None:
    with opened(EAGER) as here:
        small, large = (here.prepare(("op", f"conv {c}x28x28 -> {c}x28x28 k3")) for c in (8, 128))
        assert 0 < min(small() for _ in range(5)) < min(large() for _ in range(5)) < 1


def test_tracing_while_a_host_is_open_still_sees_every_op() -> None:
    """Under inference mode torch shows a tracer undecomposed calls."""
    with opened(EAGER) as here:
        here.prepare(("op", TEXTS["conv"]))()
        ops = load("mobilenet_v1").with_resolution(64, 96).ops()
    assert "other" not in {op.kind for op in ops}


def test_placement_and_system_say_what_ran() -> None:
    with opened(EAGER) as here:
        assert here.placement == "cpu, 1 thread"
        assert f"torch {torch.__version__}" in here.system


@pytest.mark.parametrize(
    ("target", "threads", "reason"),
    [
        ("iphone-11/cpu@coreml-ios13", 1, "none of this machine's"),
        (EAGER, 0, "threads must be"),
        (EAGER, 100_000, "threads must be"),
    ],
)
def test_what_this_machine_is_not_is_refused(target: str, threads: int, reason: str) -> None:
    with pytest.raises(InputError, match=reason), opened(target, threads):
        pass


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_cuda_the_gpu_is_refused() -> None:
    with pytest.raises(InputError, match="no CUDA device"), opened("host/gpu@torch-eager"):
        pass


def test_a_missing_package_is_refused_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with (
        pytest.raises(InputError, match=r"pip install -e .*\[host\]"),
        opened("host/cpu@onnxruntime"),
    ):
        pass


def test_without_a_compiler_compiling_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **options: Any) -> Any:
        raise RuntimeError("no\ncompiler")

    monkeypatch.setattr(torch, "compile", fail)
    with (
        pytest.raises(InputError, match=r"\(no compiler\); it needs a C\+\+ compiler"),
        opened("host/cpu@torch-compile"),
    ):
        pass


def test_what_fails_to_run_is_refused_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any) -> Any:
        raise RuntimeError("unsupported")

    monkeypatch.setitem(runtimes.RUNTIMES, "torch-eager", runtimes.Runtime(fail))
    here = runtimes.Host(EAGER, 1, lambda: None, torch.ones(1))
    with pytest.raises(InputError, match="cannot run .*unsupported"):
        here.prepare(("op", TEXTS["conv"]))


@pytest.mark.slow
def test_compiled_subjects_run_and_each_keeps_its_own_code() -> None:
    texts = [f"conv {c}x9x9 -> {c}x9x9 k3 relu" for c in range(8, 28)]
    with opened("host/cpu@torch-compile") as here:
        samples = [here.prepare(("op", text)) for text in texts]
        first = [sample() for sample in samples]
    assert max(first) < 0.05  # compiling again would take seconds


def test_onnxruntime_computes_what_torch_does() -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    module, inputs = build_subject(("network", "mobilenet_v3_small@64x64"))
    session = runtimes.RUNTIMES["onnxruntime"].prepare(module, inputs, 1)
    found: Any = session()
    assert torch.allclose(torch.from_numpy(found[0]), module(*inputs), atol=1e-4)


def test_targets_are_listed_with_their_runtimes() -> None:
    assert {t.partition("@")[2] for t in HOST_TARGETS} == set(runtimes.RUNTIMES)


def test_the_measuring_loop_opens_without_torch() -> None:
    code = "import sys, palmette.latency.host.measure; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
