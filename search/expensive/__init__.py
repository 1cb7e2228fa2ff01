"""What to measure next, where a measurement costs minutes: beliefs, gains, samplers, halving."""
