"""Targets fitted to whole networks: forms of a unit's time, prices, and few-shot."""
