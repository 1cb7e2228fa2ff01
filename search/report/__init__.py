"""A run as one page that explains itself, and two runs side by side."""

from palmette.search.report.compare import Compared as Compared
from palmette.search.report.compare import compare as compare
from palmette.search.report.page import write_report as write_report
