"""Foreign CSV files into the one timing table, by maps."""
