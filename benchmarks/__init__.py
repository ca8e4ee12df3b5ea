"""Benchmarks: each script is a command of its own, the modules with an underscore are what they share."""
