"""Benchmarks: `make bench`. Each compares in one run, prints its figures and writes them down."""
