"""Packages to be timed on a device, and what comes back from it."""

from palmette.latency.suite.probes import Probe as Probe
from palmette.latency.suite.probes import series as series
from palmette.latency.suite.slopes import ChainCost as ChainCost
from palmette.latency.suite.slopes import Drift as Drift
from palmette.latency.suite.slopes import Figure as Figure
from palmette.latency.suite.slopes import TransferCost as TransferCost
from palmette.latency.suite.slopes import chain_costs as chain_costs
from palmette.latency.suite.slopes import drift as drift
from palmette.latency.suite.slopes import floors as floors
from palmette.latency.suite.slopes import transfer_costs as transfer_costs
