"""A predictor shows its target, what is behind it, and what to beware of."""

from __future__ import annotations

import re

import pytest

from palmette.latency import TARGETS, LatencyPredictor, load_predictor


def text_of(predictor: LatencyPredictor) -> str:
    html = predictor._repr_mimebundle_()["text/html"]
    assert html == predictor._repr_html_() and "<script" not in html and "<style" not in html
    return re.sub("<[^>]*>", " ", str(html))


@pytest.mark.parametrize("name", TARGETS)
def test_every_predictor_shows_its_target_its_rows_and_its_error(name: str) -> None:
    predictor = load_predictor(name)
    text = text_of(predictor)
    assert f"LatencyPredictor {name}" in text
    if predictor.anchors:
        assert f"{predictor.anchors} anchors" in text and predictor.caution in text
        assert f"% (mean absolute), of {predictor.anchors} anchors alone" in text
    else:
        assert f"{len(predictor.held_out_errors_)} networks" in text
    assert f"{predictor.mape:.1f} % (mean absolute)" in text
    assert f"×/÷ {predictor.usual_factor():.2f}" in text


def test_one_that_is_not_fitted_says_so_and_its_name_is_escaped() -> None:
    assert "not fitted" in text_of(LatencyPredictor("iphone-13/ane"))
    assert "<i>" not in str(LatencyPredictor("<i>")._repr_mimebundle_()["text/html"])
