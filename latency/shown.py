"""A predictor as a notebook shows it: what it predicts, from what, and how far it is off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from palmette.latency.quantity import LATENCY
from palmette.space.markup import facts, sentence, titled

if TYPE_CHECKING:
    from palmette.latency.predictor import LatencyPredictor


def predictor_html(predictor: LatencyPredictor) -> str:
    """HTML of a predictor; of one that is not fitted, only its target."""
    if not hasattr(predictor, "model_"):
        return titled(f"LatencyPredictor {predictor.target}", sentence("not fitted"))
    target = predictor.model_.target
    networks = len(predictor.held_out_errors_)
    unknown = [effect.name for effect in predictor.effects_ if not effect.identified]
    rows = {
        "chip": target.chip or "not known",
        "predicts": f"{predictor.quantity_}, ms of one image",
        "model": predictor.model_name,
        "timed": f"{networks} networks",
        "error, each held out": f"{predictor.mape:.1f} % (mean absolute)",
        "80 % interval": f"×/÷ {predictor.usual_factor():.2f} for a mobile network",
        "timings can't tell": ", ".join(unknown) or "nothing of what is asked",
    }
    if predictor.anchors:
        rows["timed"] = f"{predictor.anchors} anchors"
        rows["error, each held out"] += f", of {predictor.anchors} anchors alone"
    warm = "" if predictor.quantity_ == LATENCY else f" ({predictor.quantity_})"
    caution = [sentence(predictor.caution)] if predictor.caution else []
    return titled(f"LatencyPredictor {target}{warm}", facts(rows), *caution)
