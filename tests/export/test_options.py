"""Options are checked, and milliseconds keep to the runtime that they belong to."""

import logging
from pathlib import Path
from typing import Any

import pytest

from palmette.export import (
    FORMATS,
    RUNTIME_KINDS,
    ExportOptions,
    kind_for_runtime,
    latency_metadata,
    read_labels,
)
from palmette.space import InputError


@pytest.mark.parametrize(
    ("runtime", "kind"),
    [
        ("coreml-ios12", "neuralnetwork"),
        ("coreml-ios13", "neuralnetwork"),
        ("coreml-ios16", "mlprogram"),
    ],
)
def test_a_prediction_is_the_packages_own_where_its_runtime_timed_the_format(
    runtime: str, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert latency_metadata(runtime, kind, 0.87654) == {"predicted_ms": "0.8765"}
    assert kind_for_runtime(runtime) == kind
    assert not caplog.records


@pytest.mark.parametrize(
    ("runtime", "kind"),
    [
        ("coreml-ios13", "mlprogram"),
        ("coreml-ios16", "neuralnetwork"),
        ("tflite-2.10", "mlprogram"),
        ("tflite-2.10", "neuralnetwork"),
    ],
)
def test_any_other_prediction_names_its_runtime_and_warns(
    runtime: str, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert latency_metadata(runtime, kind, 12) == {f"predicted_ms_on_{runtime}": "12"}
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert runtime in caplog.text and kind in caplog.text


def test_every_runtimes_format_is_known() -> None:
    assert set(RUNTIME_KINDS.values()) <= set(FORMATS)


def test_a_runtime_without_core_ml_is_refused_with_those_that_have_it() -> None:
    with pytest.raises(InputError, match=r"tflite-2.10.*coreml-ios12, coreml-ios13, .*ios26"):
        kind_for_runtime("tflite-2.10")


@pytest.mark.parametrize("latency_ms", [0.0, -1.0, float("nan"), float("inf")])
def test_a_latency_that_is_no_positive_number_is_refused(latency_ms: float) -> None:
    with pytest.raises(InputError, match="must be positive"):
        latency_metadata("coreml-ios16", "mlprogram", latency_ms)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "onnx"}, "unknown format 'onnx'; known formats are mlprogram, neuralnetwork"),
        ({"scale": 0.0}, "one positive number"),
        ({"scale": [0.1, 0.1, 0.1]}, "one positive number"),
        ({"bias": (0.0, 0.0)}, "three finite numbers"),
        ({"bias": (0.0, 0.0, float("nan"))}, "three finite numbers"),
        ({"bias": ("a", 0.0, 0.0)}, "three finite numbers"),
        ({"labels": ()}, "no labels"),
        ({"labels": ("cat", "")}, "label 2 is empty"),
        ({"labels": ("cat", "dog", "cat")}, "'cat' is label 1 and 3"),
        ({"metadata": {"": "x"}}, "must be text"),
        ({"metadata": {"x": 1}}, "must be text"),
        ({"metadata": {"architecture": "x"}}, "'architecture' is written by the export itself"),
    ],
)
def test_a_bad_option_is_refused_by_name(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ExportOptions(**values)


def test_labels_come_from_a_file_one_a_line(tmp_path: Path) -> None:
    file = tmp_path / "labels.txt"
    file.write_text("tench\r\nPallas's cat \nblåhaj\n", "utf-8")
    assert read_labels(file) == ("tench", "Pallas's cat", "blåhaj")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no labels"),
        (b"cat\n\ndog\n", "label 2 is empty"),
        (b"crane\ncat\ncrane\n", "'crane' is label 1 and 3; labels must be unique"),
        (b"caf\xe9\n", "not UTF-8"),
    ],
)
def test_a_bad_file_of_labels_is_refused_by_name(
    tmp_path: Path, content: bytes, message: str
) -> None:
    file = tmp_path / "labels.txt"
    file.write_bytes(content)
    with pytest.raises(InputError, match=message) as refused:
        read_labels(file)
    assert str(file) in str(refused.value)


def test_a_missing_file_of_labels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_labels(tmp_path / "none.txt")
