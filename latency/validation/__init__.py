"""How good predictors are: what `palmette latency validate` prints and draws."""

from palmette.latency.validation.against import against as against
from palmette.latency.validation.against import against_figure as against_figure
from palmette.latency.validation.against import coverage as coverage
from palmette.latency.validation.per_op import Additivity as Additivity
from palmette.latency.validation.per_op import additivity as additivity
from palmette.latency.validation.per_op import learning_curves as learning_curves
from palmette.latency.validation.per_op_report import curves_figure as curves_figure
from palmette.latency.validation.validate import report as report
