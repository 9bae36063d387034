"""Benchmarks. Each prints its figures, names the machine, and can write JSON. The tests never run them."""
