"""Core ML's two formats, the systems that read them, and the runtimes that timed them."""

from __future__ import annotations

from dataclasses import dataclass

from palmette.space.errors import expect


@dataclass(frozen=True, slots=True)
class Format:
    """One of Core ML's formats: suffix of its files, and the systems that one can ask it to fit.

    A package is written for `minimum_target` if nothing else is asked for; for `resizing_system` at
    least if it resizes maps bilinearly.
    """

    suffix: str
    systems: tuple[str, ...]
    minimum_target: str
    resizing_system: str


FORMATS: dict[str, Format] = {
    "mlprogram": Format(
        ".mlpackage", ("iOS15", "iOS16", "iOS17", "iOS18", "iOS26"), "iOS16", "iOS15"
    ),
    "neuralnetwork": Format(".mlmodel", ("iOS13", "iOS14"), "iOS13", "iOS14"),
}
"""Formats by the name that coremltools gives them.

iOS 15 has ML Programs, but takes and gives single precision alone: one must ask for it.
"""

SPECIFICATIONS = {
    "iOS13": 4,
    "iOS14": 5,
    "iOS15": 6,
    "iOS16": 7,
    "iOS17": 8,
    "iOS18": 9,
    "iOS26": 10,
}
"""Newest specification that a system reads (coremltools, `_SPECIFICATION_VERSION_IOS_...`)."""
MULTIFUNCTION_SINCE = "iOS18"
"""System from which on a package may have several functions."""
HALF_ARRAYS_SINCE = "iOS16"
"""System from which on inputs and outputs may be arrays of half precision."""

RUNTIME_KINDS: dict[str, str] = {
    **dict.fromkeys(("coreml-ios12", "coreml-ios13", "coreml-ios14"), "neuralnetwork"),
    # Apple counted on from 18 to 26
    **dict.fromkeys(
        ("coreml-ios15", "coreml-ios16", "coreml-ios17", "coreml-ios18", "coreml-ios26"),
        "mlprogram",
    ),
}
"""Format that each Core ML runtime timed; runtimes that are not here timed neither."""


def kind_for_runtime(runtime: str) -> str:
    """Format that a target's runtime timed, such as `mlprogram` for `coreml-ios16`.

    Raises:
        InputError: the runtime is not one of Core ML's; the message lists those.
    """
    expect(
        runtime in RUNTIME_KINDS,
        f"runtime '{runtime}': runs no Core ML packages; those are {', '.join(RUNTIME_KINDS)};"
        " choose a format yourself",
    )
    return RUNTIME_KINDS[runtime]


def system_for_runtime(runtime: str, kind: str) -> str | None:
    """System of a runtime, such as `iOS17`, or None if a format is not written for that one."""
    system = runtime.replace("coreml-ios", "iOS")
    return system if system in FORMATS[kind].systems else None
