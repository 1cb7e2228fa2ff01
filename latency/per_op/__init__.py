"""Targets fitted to timings per op: kernels, what they cost, calibration on whole networks."""

from palmette.latency.per_op.op_timings import OpTimings as OpTimings
from palmette.latency.per_op.op_timings import gather as gather
