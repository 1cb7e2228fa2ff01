"""What networks took where they were timed, to stand beside what is predicted of them."""

from __future__ import annotations

from contextlib import suppress

from palmette.latency import LATENCY, LatencyPredictor, published_timings
from palmette.latency.op_lists import named_architecture
from palmette.space import InputError


def timed_ms(predictor: LatencyPredictor) -> dict[str, float]:
    """Milliseconds of networks that were timed on a predictor's target, by architecture id.

    Those that the predictor was fitted to stand before published ones: they are of the user's own
    phone. Published are single calls alone, so none of them stands beside sustained times. Timings
    of what is no architecture, such as an op list, are left out.
    """
    found = dict[str, float]()
    if predictor.quantity_ == LATENCY:
        table = published_timings()
        own = table[table["target"] == str(predictor.model_.target)]
        found |= dict(zip(own["subject"], own["latency_ms"].astype(float), strict=True))
    by_id = dict[str, float]()
    for subject, ms in [*found.items(), *predictor.timed_ms_.items()]:
        with suppress(InputError):  # a network timed by its kernels may have any name
            architecture = named_architecture(subject)
            if architecture is not None:
                by_id[architecture.id] = ms
    return by_id
