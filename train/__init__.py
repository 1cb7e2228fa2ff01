"""How good it is: estimates of accuracy, with their uncertainty."""

from palmette.train.compiled import CompiledPrior as CompiledPrior
from palmette.train.guards import TIE_POINTS as TIE_POINTS
from palmette.train.guards import Violation as Violation
from palmette.train.guards import violations as violations
from palmette.train.prior import AccuracyPrior as AccuracyPrior
from palmette.train.prior import PriorBatch as PriorBatch
from palmette.train.prior import widening_line as widening_line
