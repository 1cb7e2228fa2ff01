"""What a fit says of its predictors: what was fitted, why that was taken, what is doubted."""

from copy import copy
from pathlib import Path

import pytest

from palmette.cli.fits import print_fits
from palmette.latency import LatencyPredictor, load_predictor

PER_OP, WHOLE, FEW = "iphone-xs/gpu@tflite-2.10", "iphone-13/ane", "iphone-14/ane"


def told(predictor: LatencyPredictor, capsys: pytest.CaptureFixture[str]) -> str:
    print_fits({"mine": predictor}, Path("mine.json"), as_json=False)
    found = capsys.readouterr()
    return found.out + found.err


@pytest.mark.parametrize(
    ("compared", "reason"),
    [
        ({"power": 2.9, "MODEL": 3.6}, "MODEL is less than 2 standard errors above the least, "),
        ({"power": 2.9, "MODEL": 2.8}, "MODEL has the least"),
    ],
)
def test_an_op_model_is_told_with_the_reason_it_was_taken_for(
    compared: dict[str, float], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    predictor = copy(load_predictor(PER_OP))
    name = predictor.model_name
    predictor.compared_ = {key.replace("MODEL", name): error for key, error in compared.items()}
    out = told(predictor, capsys)
    assert f"mine: held-out errors: power 2.9 %, {name} " in out
    assert reason.replace("MODEL", name) in out


def test_prices_of_whole_networks_are_named_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    out = told(load_predictor(WHOLE), capsys)
    assert "prices: of the kinds of work" in out and "moved" not in out and "ane_ios16" not in out
    assert "moved prices: those of a known phone" in told(load_predictor(FEW), capsys)


def test_doubts_are_warned_of_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    predictor = copy(load_predictor(WHOLE))
    predictor.doubts_ = ("1 of 3 networks: more than 20 times slower",)
    print_fits({"mine": predictor}, Path("mine.json"), as_json=True)
    found = capsys.readouterr()
    assert found.err == "warning: mine: 1 of 3 networks: more than 20 times slower\n"
    assert '"doubts": ["1 of 3' in found.out
