"""Packages to be timed on a device, and what comes back from it."""
