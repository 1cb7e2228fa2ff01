"""What to time next."""
