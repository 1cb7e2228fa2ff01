"""What to measure next, where a measurement costs minutes: beliefs, gains, samplers, halving."""

from palmette.search.expensive.halving import Contender as Contender
from palmette.search.expensive.halving import Halving as Halving
from palmette.search.expensive.halving import halve as halve
from palmette.search.expensive.halving import rungs_of as rungs_of
