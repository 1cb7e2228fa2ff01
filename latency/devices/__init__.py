"""Timing a suite through coremltools 9.0: on this Mac, or on a phone beside it.

Nothing of it was run by us on a Mac: it is held to coremltools' own classes, and to what they say
and answer, by tests.
"""
