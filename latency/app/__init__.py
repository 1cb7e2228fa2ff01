"""The benchmark app for iPhones: its source, and writing it out."""
