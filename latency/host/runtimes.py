"""This machine as a target: what is named in a timing table, as something to call and to time.

Batch of one, single precision, contiguous maps. A network is timed call after call. An op or chain
is timed as it finds the machine inside a network: before each call the data caches are swept and
something small is run (before a chain, one block of it), so weights and maps come from memory while
the runtime's own code is warm. Ops called in a loop find their data in the cache and come out too
fast, those of mobile networks most. A GPU is kept busy with a loop of calls instead.

One thread is timed by its own clock: what other programs take of its core does not count.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import io
import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from types import FunctionType

import torch
from torch import Tensor, nn

from palmette.latency.chains import Chain
from palmette.latency.host.subjects import Subject, build_subject
from palmette.space import InputError
from palmette.space.errors import expect
from palmette.space.installing import pip_install

Call = Callable[[], object]
Sample = Callable[[], float]
"""Times one call, in seconds."""
SWEPT_BYTES = 1 << 25
"""Read before an op is timed: the size of a large last-level cache."""
WARMING_OP = "conv 8x4x4 -> 8x4x4 relu6"
GPU_LOOP_S = 1e-3
"""A GPU's timing is of as many calls as fit into this."""


def _eager(module: nn.Module, inputs: tuple[Tensor, ...], _: int) -> Call:
    return partial(module, *inputs)


def _compiled(module: nn.Module, inputs: tuple[Tensor, ...], _: int) -> Call:
    def run(*tensors: Tensor) -> object:
        return module(*tensors)

    # compiled code is kept by code object, with a bound on variants: each subject gets its own
    own = FunctionType(run.__code__.replace(), run.__globals__, "run", None, run.__closure__)
    return partial(torch.compile(own, fullgraph=True, dynamic=False), *inputs)


def _onnx(module: nn.Module, inputs: tuple[Tensor, ...], threads: int) -> Call:
    onnxruntime = importlib.import_module("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        _exported(module, inputs), options, providers=["CPUExecutionProvider"]
    )
    names = [item.name for item in session.get_inputs()]
    feed = {name: value.numpy() for name, value in zip(names, inputs, strict=True)}
    return partial(session.run, None, feed)


def _exported(module: nn.Module, inputs: tuple[Tensor, ...]) -> bytes:
    """Bytes of an ONNX model; of torch's two exporters the one that needs no further package."""
    import warnings

    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            inputs,
            buffer,  # type: ignore[arg-type]  # this exporter takes it
            dynamo=False,
            opset_version=17,
            input_names=[f"input{at}" for at in range(len(inputs))],
        )
    return buffer.getvalue()


def _nothing() -> None:
    """What a runtime needs that is always there."""


def _need_compiler() -> None:
    try:
        torch.compile(lambda x: x + 1, fullgraph=True)(torch.zeros(8))
    except Exception as error:  # torch wraps whatever the compiler's absence raises
        reason = " ".join(str(error).split())[:160]
        raise InputError(
            f"torch-compile: torch.compile does not work here ({reason}); it needs a C++ compiler"
            " such as g++ or clang++ on the path"
        ) from None


def _need_onnx() -> None:
    try:
        for name in ("onnx", "onnxruntime"):
            importlib.import_module(name)
    except ImportError as error:
        raise InputError(
            f"onnxruntime: needs the package {error.name}; {pip_install('host')}"
        ) from None


def _need_cuda() -> None:
    expect(torch.cuda.is_available(), "host/gpu: torch sees no CUDA device here")


@dataclass(frozen=True, slots=True)
class Runtime:
    """How a module is run."""

    prepare: Callable[[nn.Module, tuple[Tensor, ...], int], Call]
    """Module, inputs and number of threads to something to call."""
    need: Callable[[], None] = _nothing
    """Raises InputError if something is missing."""


RUNTIMES = {
    "torch-eager": Runtime(_eager),
    "torch-compile": Runtime(_compiled, _need_compiler),
    "onnxruntime": Runtime(_onnx, _need_onnx),
}
HOST_TARGETS = (*(f"host/cpu@{name}" for name in RUNTIMES), "host/gpu@torch-eager")
"""Targets that this machine can be."""


@dataclass(frozen=True, slots=True)
class Host:
    """This machine while it is being timed: see `opened`."""

    target: str
    threads: int
    warming: Call
    """A small op, run on the CPU."""
    swept: Tensor
    """`SWEPT_BYTES` to read."""

    @property
    def placement(self) -> str:
        """Where subjects run, in words."""
        if self._on_gpu:
            return f"gpu, {torch.cuda.get_device_name()}"
        return f"cpu, {self.threads} thread{'s' if self.threads > 1 else ''}"

    @property
    def system(self) -> str:
        """Operating system, processor family and the runtime's version."""
        version = f"torch {torch.__version__}"
        if self.target.endswith("onnxruntime"):
            version = f"onnxruntime {importlib.import_module('onnxruntime').__version__}"
        return f"{platform.system()} {platform.release()} {platform.machine()}, {version}"

    @property
    def _on_gpu(self) -> bool:
        return self.target.startswith("host/gpu")

    def prepare(self, subject: Subject) -> Sample:
        """Timer of a subject, called once.

        Raises:
            InputError: the subject cannot be built or run; the message says why.
        """
        call = self._call(subject)
        if self._on_gpu:
            return partial(_time_on_gpu, call, _calls_for_clock(call))
        clock = time.thread_time if self.threads == 1 else time.perf_counter
        return partial(_time, call, self._before(subject), clock)

    def _call(self, subject: Subject) -> Call:
        module, inputs = build_subject(subject)
        if self._on_gpu:
            module, inputs = module.cuda(), tuple(value.cuda() for value in inputs)
        try:
            call = RUNTIMES[self.target.partition("@")[2]].prepare(module, inputs, self.threads)
            _time(call, _nothing, time.perf_counter)
        except Exception as error:  # a compiler or exporter raises what it likes
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            raise InputError(f"{subject[0]} '{subject[1]}': cannot run ({reason})") from error
        return call

    def _before(self, subject: Subject) -> Call:
        """What to do before each timing of a subject."""
        kind, text = subject
        if kind == "network":
            return _nothing
        warm = self.warming
        if kind == "chain":
            warm = self._call((kind, replace(Chain.from_text(text), depth=1).to_text()))

        def disturb() -> None:
            self.swept.sum()
            warm()

        return disturb


@torch.inference_mode()
def _time(call: Call, before: Call, clock: Callable[[], float]) -> float:
    before()
    begin = clock()
    call()
    return clock() - begin


@torch.inference_mode()
def _time_on_gpu(call: Call, calls: int) -> float:
    torch.cuda.synchronize()
    begin = time.perf_counter()
    for _ in range(calls):
        call()
    torch.cuda.synchronize()
    return (time.perf_counter() - begin) / calls


def _calls_for_clock(call: Call) -> int:
    """Calls that take about `GPU_LOOP_S` together."""
    return max(1, round(GPU_LOOP_S / _time_on_gpu(call, 3)))


def _keep_memory() -> None:
    """Let glibc keep freed memory, for the rest of the process.

    By default it returns large blocks to the system or not depending on what was freed before, so
    the time of a network would depend on its process's past.
    """
    with contextlib.suppress(OSError, AttributeError):  # not glibc
        libc = ctypes.CDLL("libc.so.6")
        for option, value in ((_M_MMAP_THRESHOLD, 1 << 25), (_M_TRIM_THRESHOLD, (1 << 31) - 1)):
            libc.mallopt(option, value)


_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h


@contextmanager
def opened(target: str, threads: int = 1) -> Iterator[Host]:
    """This machine as a target: threads counted and pinned, all as it was afterwards.

    Raises:
        InputError: not one of `HOST_TARGETS`, a runtime that is missing, or too many threads.
    """
    expect(
        target in HOST_TARGETS,
        f"target '{target}' is none of this machine's: {', '.join(HOST_TARGETS)}",
    )
    pins = hasattr(os, "sched_setaffinity")
    cores = os.sched_getaffinity(0) if pins else set(range(os.cpu_count() or 1))
    expect(1 <= threads <= len(cores), f"threads must be 1 to {len(cores)} here, got {threads}")
    _keep_memory()
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    if pins:
        os.sched_setaffinity(0, sorted(cores)[-threads:])  # interrupts like the first core
    try:
        if target.startswith("host/gpu"):
            _need_cuda()
        RUNTIMES[target.partition("@")[2]].need()
        module, inputs = build_subject(("op", WARMING_OP))
        yield Host(target, threads, partial(module, *inputs), torch.ones(SWEPT_BYTES // 4))
    finally:
        if pins:
            os.sched_setaffinity(0, cores)
        torch.set_num_threads(before)
