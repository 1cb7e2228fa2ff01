"""Weights and activations in 8 bits: prepared for training, exported from what was trained."""

from palmette.export.quantised.export import Quantised as Quantised
from palmette.export.quantised.export import export_quantised as export_quantised
from palmette.export.quantised.prepare import prepare_w8a8 as prepare_w8a8
from palmette.export.quantised.verify import is_quantised as is_quantised
from palmette.export.quantised.verify import verify_quantised as verify_quantised
