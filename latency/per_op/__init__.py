"""Targets fitted to timings per op: kernels, what they cost, calibration on whole networks."""
