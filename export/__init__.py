"""How it ships: Core ML packages, and the proof that they hold the torch module's weights."""

from palmette.export.coreml import export as export
from palmette.export.errors import ExportError as ExportError
from palmette.export.for_runtime import export_for_runtime as export_for_runtime
from palmette.export.for_runtime import options_for_runtime as options_for_runtime
from palmette.export.formats import FORMATS as FORMATS
from palmette.export.formats import RUNTIME_KINDS as RUNTIME_KINDS
from palmette.export.formats import kind_for_runtime as kind_for_runtime
from palmette.export.functions import Function as Function
from palmette.export.functions import export_functions as export_functions
from palmette.export.labels import read_labels as read_labels
from palmette.export.metadata import latency_metadata as latency_metadata
from palmette.export.options import NMS_FORMS as NMS_FORMS
from palmette.export.options import ExportOptions as ExportOptions
from palmette.export.options import Suppression as Suppression
from palmette.export.processes import Job as Job
from palmette.export.processes import export_many as export_many
from palmette.export.proof import WeightReport as WeightReport
from palmette.export.proof import verify_weights as verify_weights
