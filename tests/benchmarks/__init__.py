"""Benchmarks: `make bench`. Ratios measured in one run on one machine; never part of the test suite."""
