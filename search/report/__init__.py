"""A run as one page that explains itself, and two runs side by side."""
