"""Benchmarks: each prints a table, names the machine, and can write JSON. Never run by the tests."""
