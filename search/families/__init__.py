"""Networks made from one network: shrunk until they fit a budget, scaled by one parameter."""
