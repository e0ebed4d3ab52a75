"""Measurements: `make bench` prints one JSON line each."""
