"""A timing table made fit for others: scrubbed, checked, with its licence and hashes."""

from palmette.latency.sharing.contribute import Contribution as Contribution
from palmette.latency.sharing.contribute import contribute as contribute
from palmette.latency.sharing.readme import LICENCES as LICENCES
