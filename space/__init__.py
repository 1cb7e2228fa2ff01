"""What can be built: architectures, blocks, search spaces, the zoo, op traces."""

from palmette.space.architecture import Architecture as Architecture
from palmette.space.architecture import Part as Part
from palmette.space.blocks import ACTIVATIONS as ACTIVATIONS
from palmette.space.blocks import BLOCKS as BLOCKS
from palmette.space.blocks import Block as Block
from palmette.space.blocks import ConvBlock as ConvBlock
from palmette.space.blocks import DepthwiseSeparable as DepthwiseSeparable
from palmette.space.blocks import FusedInvertedResidual as FusedInvertedResidual
from palmette.space.blocks import Head as Head
from palmette.space.blocks import InvertedResidual as InvertedResidual
from palmette.space.blocks import Stem as Stem
from palmette.space.compiled import CompiledSpace as CompiledSpace
from palmette.space.compiled import compile_space as compile_space
from palmette.space.diagram import diagram as diagram
from palmette.space.errors import InputError as InputError
from palmette.space.ops import Op as Op
from palmette.space.ops import OpTable as OpTable
from palmette.space.scaling import scale as scale
from palmette.space.search_space import SearchSpace as SearchSpace
from palmette.space.search_space import presets as presets
from palmette.space.tasks import with_task as with_task
from palmette.space.third_party import third_party_files as third_party_files
from palmette.space.third_party import third_party_folder as third_party_folder
from palmette.space.zoo import MOBILENET_LIKE as MOBILENET_LIKE
from palmette.space.zoo import ZOO as ZOO
from palmette.space.zoo import load as load
