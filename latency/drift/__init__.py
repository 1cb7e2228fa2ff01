"""Two tables of one device: what moved between them, and whether a network keeps its budget."""

from palmette.latency.drift.budget import Chosen as Chosen
from palmette.latency.drift.budget import Kept as Kept
from palmette.latency.drift.budget import kept_budgets as kept_budgets
from palmette.latency.drift.compare import Comparison as Comparison
from palmette.latency.drift.compare import compare as compare
