"""Benchmarks: each prints CPU per operation, rate, and the ratio to a named peer."""
