"""Functions of one package: each proven by itself, equal weights stored once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from torch import nn

from palmette.export import (
    ExportError,
    ExportOptions,
    Function,
    Suppression,
    export_functions,
    verify_weights,
)
from palmette.export.coreml import prove
from palmette.export.gates import verify
from palmette.export.package import read_spec
from palmette.export.plan import plan_of
from palmette.space import Architecture, InputError

BODY = "stem_k3_s2_c8_relu | cn_r1_k3_s2_c8_relu | cn_r1_k3_s2_c96_relu"
HEADS = {
    "small": f"32x48 {BODY} | head_n5",
    "large": f"64x64 {BODY} | head_n5",
    "taps": f"32x48 {BODY} | taps_t4.8",
}
LABELS = tuple("abcde")


@pytest.fixture(scope="module")
def functions(trained: Callable[..., nn.Module]) -> list[Function]:
    """One network at two sizes, one of them with labels, and a third with another head."""
    networks = {name: Architecture.from_text(text) for name, text in HEADS.items()}
    modules = {name: trained(network) for name, network in networks.items()}
    for module in modules.values():  # one backbone
        missing = module.load_state_dict(
            {k: v for k, v in modules["small"].state_dict().items() if not k.startswith("head")},
            strict=False,
        )
        assert all(key.startswith("head") for key in missing.missing_keys)
    return [
        Function("small", networks["small"], ExportOptions(labels=LABELS), modules["small"]),
        Function("large", networks["large"], ExportOptions(), modules["large"]),
        Function("taps", networks["taps"], ExportOptions(outputs=("low", "high")), modules["taps"]),
    ]


@pytest.fixture(scope="module")
def joined(functions: list[Function], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_functions(functions, tmp_path_factory.mktemp("joined") / "net")


def test_each_function_is_described_and_proven(joined: Path, functions: list[Function]) -> None:
    spec = read_spec(joined)
    names = [function.name for function in spec.description.functions]
    assert (names, spec.description.defaultFunctionName) == (list(HEADS), "small")
    for one in functions:
        assert one.module is not None
        assert verify_weights(joined, one.module, one.name).layers >= 3
    told = spec.description.metadata.userDefined
    assert told["functions"] == "small large taps"
    assert told["large.architecture"] == functions[1].architecture.to_text()
    assert told["large.system"] == "iOS18" and spec.specificationVersion == 9
    (small, large, taps) = (read_spec(joined, name).description for name in names)
    assert small.predictedFeatureName == "classLabel"
    assert [image.input[0].type.imageType.height for image in (small, large)] == [32, 64]
    assert [output.name for output in taps.output] == ["low", "high"]


def test_equal_weights_are_stored_once(joined: Path, functions: list[Function]) -> None:
    (file,) = joined.rglob("weight.bin")
    body = sum(op.weights for op in functions[2].architecture.ops())
    assert 2 * body < file.stat().st_size < 2 * 2 * body


def test_only_the_package_is_left(joined: Path) -> None:
    assert list(joined.parent.iterdir()) == [joined]


def test_equal_functions_give_equal_bytes(
    joined: Path,
    functions: list[Function],
    tmp_path: Path,
    contents: Callable[[Path], dict[str, bytes]],
) -> None:
    assert contents(export_functions(functions, tmp_path / "again")) == contents(joined)


def test_a_function_that_is_another_network_is_found(
    joined: Path, functions: list[Function]
) -> None:
    large = functions[1]
    plan = plan_of(large.architecture, ExportOptions(system="iOS18"), large.module)
    prove(joined, plan, "large")
    with pytest.raises(ExportError, match="input: size is"):
        prove(joined, plan, "small")
    with pytest.raises(ExportError, match="stores 3 layers|has 4|stores"):
        prove(joined, plan, "taps")
    with pytest.raises(InputError, match="no function 'huge'; it has small, large, taps"):
        prove(joined, plan, "huge")


SMALL = Architecture.from_text(HEADS["small"])


@pytest.mark.parametrize(
    ("functions", "message"),
    [
        ([Function("a", SMALL)], "two or more, got 1"),
        ([Function("a", SMALL)] * 2, "'a' comes twice"),
        ([Function("a", SMALL, ExportOptions("neuralnetwork")), Function("b", SMALL)], "'a': func"),
        ([Function("a", SMALL), Function("b", SMALL, ExportOptions(system="iOS17"))], "for iOS17"),
        ([Function("a", SMALL), Function("b", SMALL, ExportOptions(system="iOS26"))], "one system"),
        ([Function("a", SMALL), Function("b", SMALL, ExportOptions(labels=("x",)))], "'b': labels"),
    ],
)
def test_functions_that_cannot_be_are_refused(
    functions: list[Function], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        export_functions(functions, tmp_path / "x")
    assert not list(tmp_path.iterdir())


def test_a_pipeline_is_no_function(detector: Architecture, tmp_path: Path) -> None:
    boxes = Function("boxes", detector, ExportOptions(suppression=Suppression("pipeline")))
    with pytest.raises(InputError, match="'boxes': a pipeline is no function"):
        export_functions([Function("a", SMALL), boxes], tmp_path / "x")


def test_a_name_that_code_cannot_use_is_refused() -> None:
    with pytest.raises(InputError, match="begins with no digit, got '2x'"):
        Function("2x", SMALL)


@pytest.mark.sweep
def test_functions_may_have_the_names_of_folders_that_are_made_on_the_way(
    functions: list[Function], tmp_path: Path
) -> None:
    named = [replace(functions[0], name="joined"), replace(functions[1], name="replaced")]
    for _ in range(2):  # the second time one is there already
        path = export_functions(named, tmp_path / "both")
    assert {item.name for item in read_spec(path).description.functions} == {"joined", "replaced"}


def test_a_function_is_verified_as_a_package_of_its_own(
    joined: Path, functions: list[Function]
) -> None:
    for one in functions[1:]:
        verdict = verify(joined, one.architecture, module=one.module, images=1, function=one.name)
        assert verdict.passed and verdict.path == joined
    small = functions[0]
    with pytest.raises(InputError, match="holds the functions small large taps; name the one"):
        verify(joined, small.architecture, module=small.module)
    with pytest.raises(InputError, match="has no function 'huge'; it has small, large, taps"):
        verify(joined, small.architecture, module=small.module, function="huge")
