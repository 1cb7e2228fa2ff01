"""Foreign CSV files into the one timing table, by maps."""

from palmette.latency.foreign.imported import Imported as Imported
from palmette.latency.foreign.importing import import_timings as import_timings
from palmette.latency.foreign.maps import ImportMap as ImportMap
from palmette.latency.foreign.maps import find_map as find_map
from palmette.latency.foreign.maps import parse_map as parse_map
from palmette.latency.foreign.maps import shipped_maps as shipped_maps
