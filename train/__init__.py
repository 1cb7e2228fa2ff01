"""How good it is: estimates of accuracy, with their uncertainty."""

from typing import TYPE_CHECKING

from palmette.space.late import opened_late
from palmette.train.compiled import CompiledPrior as CompiledPrior
from palmette.train.features import FEATURES as FEATURES
from palmette.train.guards import TIE_POINTS as TIE_POINTS
from palmette.train.guards import Violation as Violation
from palmette.train.guards import violations as violations
from palmette.train.prior import AccuracyPrior as AccuracyPrior
from palmette.train.prior import PriorBatch as PriorBatch
from palmette.train.prior import widening_line as widening_line
from palmette.train.published import FITTED as FITTED
from palmette.train.published import OUTSIDE as OUTSIDE
from palmette.train.published import errors_by as errors_by
from palmette.train.published import published as published
from palmette.train.published import published_figure as published_figure
from palmette.train.rank_card import card_table as card_table
from palmette.train.rank_card import shipped_card as shipped_card
from palmette.train.ranking import Interval as Interval
from palmette.train.ranking import best_of as best_of
from palmette.train.ranking import kendall as kendall
from palmette.train.ranking import order_by_distance as order_by_distance
from palmette.train.ranking import within as within
from palmette.train.recipe import Recipe as Recipe
from palmette.train.recipe import load_recipe as load_recipe
from palmette.train.recipe import recipes as recipes
from palmette.train.validation import validation_pixels as validation_pixels
from palmette.train.weights import TrainedWeights as TrainedWeights
from palmette.train.weights import read_weights as read_weights

if TYPE_CHECKING:
    from palmette.train.own_card import Card as Card
    from palmette.train.own_card import card_figure as card_figure
    from palmette.train.own_card import make_card as make_card
    from palmette.train.proxy import Fidelity as Fidelity
    from palmette.train.trainer import Trained as Trained
    from palmette.train.trainer import train as train
else:  # these open torch
    __getattr__ = opened_late(
        __name__,
        {
            "own_card": ("Card", "card_figure", "make_card"),
            "proxy": ("Fidelity",),
            "trainer": ("Trained", "train"),
        },
    )
