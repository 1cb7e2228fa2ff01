"""ML Programs run as they lie on disk, in torch: a check that needs no Mac."""

from palmette.export.interpreter.neural_network import read_network as read_network
from palmette.export.interpreter.program import Operation as Operation
from palmette.export.interpreter.program import Program as Program
from palmette.export.interpreter.program import Value as Value
from palmette.export.interpreter.program import read_program as read_program
from palmette.export.interpreter.run import Interpreter as Interpreter
