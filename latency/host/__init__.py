"""Timing this machine: runtimes, what to time, and the loop that does."""
