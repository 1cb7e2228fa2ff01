"""Spaces whose exact fronts are known, and the searches that are held against them."""
