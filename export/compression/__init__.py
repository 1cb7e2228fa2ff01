"""Smaller packages: palettised, quantised, pruned, and how far their weights have moved."""

from palmette.export.compression.compress import Compressed as Compressed
from palmette.export.compression.compress import compress as compress
from palmette.export.compression.measure import Images as Images
from palmette.export.compression.measure import Outputs as Outputs
from palmette.export.compression.measure import run_package as run_package
from palmette.export.compression.schemes import SCHEMES as SCHEMES
from palmette.export.compression.schemes import Scheme as Scheme
from palmette.export.compression.schemes import scheme_named as scheme_named
from palmette.export.compression.sweep import Rule as Rule
from palmette.export.compression.sweep import Sweep as Sweep
from palmette.export.compression.sweep import sweep as sweep
