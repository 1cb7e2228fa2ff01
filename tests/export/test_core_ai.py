"""A Core AI model holds the network's weights, or is refused in one line."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from palmette.export import ExportError
from palmette.export.core_ai import PROGRAM, expect_weights, export_core_ai
from palmette.export.exporters import EXPORTERS
from palmette.export.fold import fold_batch_norm
from palmette.space import Architecture, InputError

TINY = Architecture.from_text(
    "32x32 stem_k3_s2_c8_hswish | ds_r1_k3_s1_c8_relu_se4 | ir_r2_k3_s2_e2_c16_relu | head_n5"
)
INSTALLED = importlib.util.find_spec("coreai_torch") is not None


def test_every_exporter_refuses_a_folder_that_is_not_there_or_itself(tmp_path: Path) -> None:
    assert set(EXPORTERS) == {"coreml", "coreai"}
    for exporter in EXPORTERS.values():
        with pytest.raises(InputError):
            exporter(TINY, tmp_path / "none" / "x")
    assert not list(tmp_path.iterdir())


def test_a_program_without_a_weight_is_no_proof() -> None:
    folded = fold_batch_norm(TINY.build().eval(), (3, 32, 32))
    weights = [layer.weight.tobytes() for layer in folded.layers]
    expect_weights(b"-".join(weights), folded)
    flipped = bytes([weights[2][0] ^ 1]) + weights[2][1:]
    with pytest.raises(ExportError, match=f"^'{folded.layers[2].name}.weight' is not in"):
        expect_weights(b"-".join([*weights[:2], flipped, *weights[3:]]), folded)


@pytest.mark.skipif(INSTALLED, reason="the extra is installed")
def test_without_the_extra_one_line_names_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^Core AI: needs .* --pre -e .*\[coreai"):
        export_core_ai(TINY, tmp_path / "x")


@pytest.mark.skipif(not INSTALLED, reason="needs palmette[coreai], a pre-release")
def test_a_network_becomes_a_model_that_holds_its_weights(tmp_path: Path) -> None:
    path = export_core_ai(TINY, tmp_path / "tiny_0.5")
    assert path == tmp_path / "tiny_0.5.aimodel" and list(tmp_path.iterdir()) == [path]
    program = (path / PROGRAM).read_bytes()
    expect_weights(program, fold_batch_norm(TINY.build().eval(), (3, 32, 32)))
    assert b"image" in program and b"logits" in program and b"/work" not in program
    with pytest.raises(InputError, match="is there already"):
        export_core_ai(TINY, path)
