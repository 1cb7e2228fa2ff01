"""Targets fitted to timings per op: kernels, what they cost, calibration on whole networks."""

from typing import TYPE_CHECKING

from palmette.space.late import opened_late

if TYPE_CHECKING:
    from palmette.latency.per_op.op_timings import OpTimings as OpTimings
    from palmette.latency.per_op.op_timings import gather as gather
else:  # a table of timings reads its kernels by this package, and these read such tables
    __getattr__ = opened_late(__name__, {"op_timings": ("OpTimings", "gather")})
