"""Labelled images: where they come from, how they are checked and how they are split."""

from palmette.train.datasets.check import CORRUPT_RULES as CORRUPT_RULES
from palmette.train.datasets.check import Checked as Checked
from palmette.train.datasets.check import checked as checked
from palmette.train.datasets.digits import digits as digits
from palmette.train.datasets.images import ArrayImages as ArrayImages
from palmette.train.datasets.images import FileImages as FileImages
from palmette.train.datasets.images import ImageSet as ImageSet
from palmette.train.datasets.images import Subset as Subset
from palmette.train.datasets.opening import SOURCES as SOURCES
from palmette.train.datasets.opening import Data as Data
from palmette.train.datasets.opening import anywhere as anywhere
from palmette.train.datasets.opening import expect_data as expect_data
from palmette.train.datasets.opening import open_data as open_data
from palmette.train.datasets.procedural import procedural as procedural
from palmette.train.datasets.splits import folds as folds
from palmette.train.datasets.splits import split as split
from palmette.train.datasets.statistics import class_weights as class_weights
from palmette.train.datasets.statistics import pixel_statistics as pixel_statistics
