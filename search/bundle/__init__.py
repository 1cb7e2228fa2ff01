"""One app for a fleet of phones: the fewest backbones that serve all, packed for Swift."""

from typing import TYPE_CHECKING

from palmette.space.late import opened_late

if TYPE_CHECKING:
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
else:  # these open pandas and scikit-learn, and numbers are checked before that
    __getattr__ = opened_late(
        __name__,
        {
            "fleet": ("Fleet", "open_fleet"),
            "folder": ("write_bundle",),
            "portfolio": ("Portfolio", "choose"),
            "report": ("proof_lines", "report", "table"),
            "written": ("device_table", "packages_in"),
        },
    )
