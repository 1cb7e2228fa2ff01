"""One app for a fleet of phones: the fewest backbones that serve all, packed for Swift."""

from palmette.search.bundle.fleet import Fleet as Fleet
from palmette.search.bundle.fleet import open_fleet as open_fleet
from palmette.search.bundle.folder import write_bundle as write_bundle
from palmette.search.bundle.portfolio import Portfolio as Portfolio
from palmette.search.bundle.portfolio import choose as choose
from palmette.search.bundle.report import proof_lines as proof_lines
from palmette.search.bundle.report import report as report
from palmette.search.bundle.report import table as table
from palmette.search.bundle.written import device_table as device_table
from palmette.search.bundle.written import packages_in as packages_in
