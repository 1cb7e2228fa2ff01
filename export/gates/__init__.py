"""Gates that a package on disk must pass: its graph, its weights, its half precision."""

from palmette.export.gates.gate import Gate as Gate
from palmette.export.gates.mac_script import write_mac_script as write_mac_script
from palmette.export.gates.verify import IMAGES as IMAGES
from palmette.export.gates.verify import Verdict as Verdict
from palmette.export.gates.verify import sample_images as sample_images
from palmette.export.gates.verify import verify as verify
