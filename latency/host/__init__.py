"""Timing this machine: runtimes, what to time, and the loop that does."""

from palmette.latency.host.measure import Measured as Measured
from palmette.latency.host.measure import measure as measure
from palmette.latency.host.measure import spread as spread
from palmette.latency.host.plan import host_plan as host_plan
from palmette.latency.host.plan import read_subjects as read_subjects
