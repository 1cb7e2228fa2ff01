"""What a suite names, as the ops that the synthetic phone runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from palmette.latency.chains import Chain
from palmette.latency.op_lists import network_ops
from palmette.latency.per_op.kernels import kernel_from_text
from palmette.latency.suite.probes import Probe
from palmette.latency.synthetic.truth import Cost, truth
from palmette.space import Op
from palmette.space.errors import expect

Run = tuple[tuple[Op, ...], tuple[int, ...]]
"""Ops in their order, and the places of those that are kept off the Neural Engine."""


def ops_to_run(kind: str, subject: str) -> Run:
    """Ops of a subject of a plan or a manifest, and those that are kept off the Neural Engine.

    Raises:
        InputError: an unknown kind, or a subject that cannot be read.
    """
    expect(kind in _READERS, f"subject_kind must be one of {', '.join(_READERS)}, got '{kind}'")
    return _READERS[kind](subject)


def subject_truth(kind: str, subject: str, unit: str = "ane") -> Cost:
    """What a call of a subject costs in truth; raises as `ops_to_run` and `truth`."""
    ops, forced = ops_to_run(kind, subject)
    return truth(ops, unit, forced)


def _probe(text: str) -> Run:
    probe = Probe.from_text(text)
    return probe.ops(), probe.forced()


_READERS: Mapping[str, Callable[[str], Run]] = {
    "op": lambda text: (kernel_from_text(text), ()),
    "chain": lambda text: (Chain.from_text(text).ops(), ()),
    "network": lambda text: (network_ops(text), ()),
    "probe": _probe,
}
