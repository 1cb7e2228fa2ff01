"""Every fault that is put into a package is caught, by the gate that should."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from palmette.export import ExportOptions, Suppression, export
from palmette.export.conversion import convert
from palmette.export.gates import Verdict, verify
from palmette.export.gates.subject import open_subject
from palmette.export.gates.verify import sample_images
from palmette.export.gates.weights import weights_gate
from palmette.export.package import write_package
from palmette.export.plan import plan_of
from palmette.export.weights import program_operations, stored_layers
from palmette.space import Architecture, InputError

Edited = Callable[[Path, Path, Callable[[Any], None]], Path]


def failed(verdict: Verdict) -> dict[str, str]:
    """Gates that failed, with their reasons."""
    return {gate.name: gate.reason for gate in verdict.gates if gate.passed is False}


def constant(spec: Any, op: Any, key: str) -> Any:
    """Tensor of a constant input."""
    name = op.inputs[key].arguments[0].name
    (found,) = [x for x in program_operations(spec) if x.outputs[0].name == name]
    return found.attributes["val"].immediateValue.tensor


def kinds(spec: Any, kind: str) -> list[Any]:
    return [op for op in program_operations(spec) if op.type == kind]


def test_a_good_package_passes_every_gate(
    good: Path, net: Architecture, weights: nn.Module
) -> None:
    verdict = verify(good, net, module=weights, images=2)
    assert verdict.passed and [gate.passed for gate in verdict.gates] == [True] * 3
    graph, stored, half = (gate.figures for gate in verdict.gates)
    assert graph["error"] < 1e-6 and stored["error"] < 1e-3
    # rounding to half is seen, and is small
    assert 1e-5 < half["error"] < 5e-3 and half["top1_agreement"] == 1
    assert not half["overflows"]
    table = verdict.table().set_index("gate")
    assert list(table.index) == ["graph", "weights", "half"] and table["passed"].all()
    assert (table["error"] < table["limit"]).all()


def test_truncated_weights_fail_the_gate_of_weights(
    good: Path, net: Architecture, weights: nn.Module, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(good, tmp_path / good.name))
    file = next(copy.rglob("weight.bin"))
    file.write_bytes(file.read_bytes()[:-64])
    verdict = verify(copy, net, module=weights, images=1)
    assert list(failed(verdict)) == ["weights"]
    assert "ends within the weights" in failed(verdict)["weights"]


def test_one_flipped_bit_of_any_weight_fails_the_gate_of_weights(
    good: Path, net: Architecture, weights: nn.Module, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(good, tmp_path / good.name))
    scaling = (1 / 127.5, (-1.0, -1.0, -1.0))
    subject, images = open_subject(copy, net, weights, *scaling), sample_images(net, 1)
    assert weights_gate(subject, images)[0].passed
    file, rng = next(copy.rglob("weight.bin")), random.Random(0)
    content = file.read_bytes()
    layers = [layer.weight for layer in stored_layers(copy) if layer.weight.tobytes() in content]
    assert len(layers) == 4
    for weight in layers:
        start, bit = content.index(weight.tobytes()), rng.randrange(8 * weight.nbytes)
        damaged = bytearray(content)
        damaged[start + bit // 8] ^= 1 << bit % 8
        file.write_bytes(damaged)
        gate, _ = weights_gate(subject, images)
        assert gate.passed is False and "1 of" in gate.reason


def test_a_changed_constant_fails_the_gate_of_the_graph(
    good: Path, net: Architecture, weights: nn.Module, tmp_path: Path, edited: Edited
) -> None:
    def edit(spec: Any) -> None:
        (line,) = kinds(spec, "sigmoid_hard")
        constant(spec, line, "beta").bytes.values = torch.tensor(0.501).half().numpy().tobytes()

    verdict = verify(edited(good, tmp_path, edit), net, module=weights, images=1)
    assert "'beta' is 0.5" in failed(verdict)["graph"]


def test_padding_moved_by_one_fails_the_gate_of_the_graph(
    good: Path, net: Architecture, weights: nn.Module, tmp_path: Path, edited: Edited
) -> None:
    def edit(spec: Any) -> None:
        convolution = kinds(spec, "conv")[1]
        convolution.inputs["pad_type"].arguments[0].name = (
            kinds(spec, "conv")[0].inputs["pad_type"].arguments[0].name
        )
        constant(spec, convolution, "pad_type").strings.values[:] = ["custom"]
        constant(spec, convolution, "pad").ints.values[:] = [0, 2, 1, 1]

    verdict = verify(edited(good, tmp_path, edit), net, module=weights, images=1)
    assert "'pad' is [0, 2, 1, 1], should be [1, 1, 1, 1]" in failed(verdict)["graph"]
    assert "from torch" in failed(verdict)["weights"]  # which runs the file


def test_swapped_outputs_fail_the_gate_of_the_graph(
    trained: Callable[..., nn.Module], tmp_path: Path, edited: Edited
) -> None:
    # four classes: scores have the shape of boxes
    network = Architecture.from_text(
        "32x32 stem_k3_s2_c8_relu | cn_r1_k3_s2_c8_relu | cn_r1_k3_s2_c8_relu"
        " | ssd_t4.8_x8_n4_relu6"
    )
    module = trained(network)
    options = ExportOptions(suppression=Suppression("none"))
    path = export(network, tmp_path / "x", options=options, module=module)

    def edit(spec: Any) -> None:
        swap = {"confidence": "coordinates", "coordinates": "confidence"}
        for op in program_operations(spec):
            for output in op.outputs:
                output.name = swap.get(output.name, output.name)

    verdict = verify(edited(path, tmp_path, edit), network, module=module, images=1)
    assert "outputs are not made by the operations" in failed(verdict)["graph"]
    assert "from torch" in failed(verdict)["weights"]


def test_two_swapped_wires_fail_the_gate_of_the_graph(
    good: Path, net: Architecture, weights: nn.Module, tmp_path: Path, edited: Edited
) -> None:
    def edit(spec: Any) -> None:
        one, other = kinds(spec, "clip")
        other.inputs["x"].arguments[0].name = one.inputs["x"].arguments[0].name

    verdict = verify(edited(good, tmp_path, edit), net, module=weights, images=1)
    assert "(clip): 'x' is output 0 of operation" in failed(verdict)["graph"]


def test_weights_of_two_layers_swapped_fail_the_gate_of_weights(
    good: Path, net: Architecture, weights: nn.Module, tmp_path: Path, edited: Edited
) -> None:
    def edit(spec: Any) -> None:
        made = {op.outputs[0].name: op for op in kinds(spec, "const")}
        names = (op.inputs["weight"].arguments[0].name for op in kinds(spec, "conv")[1:3])
        first, second = (made[name].attributes["val"].blobFileValue for name in names)
        first.offset, second.offset = second.offset, first.offset

    verdict = verify(edited(good, tmp_path, edit), net, module=weights, images=1)
    assert list(failed(verdict)) == ["weights"]


def test_a_wire_to_nothing_is_refused_in_one_line(
    good: Path, net: Architecture, weights: nn.Module, tmp_path: Path, edited: Edited
) -> None:
    def edit(spec: Any) -> None:
        kinds(spec, "conv")[1].inputs["x"].arguments[0].name = "nothing"

    with pytest.raises(InputError, match="'x' is 'nothing', which nothing before it gives"):
        verify(edited(good, tmp_path, edit), net, module=weights, images=1)


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_an_export_in_training_mode_fails_the_gate_of_the_graph(
    good: Path, net: Architecture, weights: nn.Module, tmp_path: Path
) -> None:
    import copy

    from palmette.export.package import read_spec

    training = copy.deepcopy(weights)
    for part in training.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean = part.running_var = None
    plan = plan_of(net, ExportOptions(), weights)
    spec, weight_file = convert(training, plan, tmp_path)
    about = read_spec(good).description.metadata.userDefined
    spec.description.metadata.userDefined.update(about)
    write_package(spec, weight_file, tmp_path / "training.mlpackage")
    verdict = verify(tmp_path / "training.mlpackage", net, module=weights, images=1)
    assert "(conv): takes [" in failed(verdict)["graph"]  # no BatchNorm gave it a bias
    assert "weights" in failed(verdict)


def test_an_overflow_fails_the_gate_of_half_precision_and_is_named(
    net: Architecture, weights: nn.Module, tmp_path: Path
) -> None:
    import copy

    loud = copy.deepcopy(weights)
    with torch.no_grad():
        for layer in (loud.get_submodule("stem"), loud.get_submodule("stages")):
            for part in layer.modules():
                if isinstance(part, nn.BatchNorm2d):
                    part.weight *= 1e3
                    part.bias += 1e4
    path = export(net, tmp_path / "loud", module=loud)
    verdict = verify(path, net, module=loud, images=1)
    assert list(failed(verdict)) == ["half"]
    assert "(conv): " in failed(verdict)["half"] and "values overflow" in failed(verdict)["half"]
