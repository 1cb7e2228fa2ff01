"""What it costs: timings, predictors fitted to them, and how good those are."""

from typing import TYPE_CHECKING

from palmette.latency.chains import Chain as Chain
from palmette.latency.quantity import LATENCY as LATENCY
from palmette.latency.quantity import QUANTITIES as QUANTITIES
from palmette.latency.quantity import SUSTAINED as SUSTAINED
from palmette.latency.targets import TARGETS as TARGETS
from palmette.latency.targets import Target as Target
from palmette.latency.targets import find_target as find_target
from palmette.latency.targets import parse_target as parse_target
from palmette.space.late import opened_late

if TYPE_CHECKING:
    from palmette.latency.predictor import CompiledLatency as CompiledLatency
    from palmette.latency.predictor import Interval as Interval
    from palmette.latency.predictor import LatencyPredictor as LatencyPredictor
    from palmette.latency.predictor import fit as fit
    from palmette.latency.predictor import load_predictor as load_predictor
    from palmette.latency.predictor import published_timings as published_timings
    from palmette.latency.timings import DISAGREEMENT as DISAGREEMENT
    from palmette.latency.timings import TELLING as TELLING
    from palmette.latency.timings import conflicts as conflicts
    from palmette.latency.timings import read_timing_tables as read_timing_tables
    from palmette.latency.timings import read_timings as read_timings
else:  # these open pandas and scikit-learn, and a target's name is checked before that
    __getattr__ = opened_late(
        __name__,
        {
            "predictor": (
                "CompiledLatency",
                "Interval",
                "LatencyPredictor",
                "fit",
                "load_predictor",
                "published_timings",
            ),
            "timings": (
                "DISAGREEMENT",
                "TELLING",
                "conflicts",
                "read_timing_tables",
                "read_timings",
            ),
        },
    )
