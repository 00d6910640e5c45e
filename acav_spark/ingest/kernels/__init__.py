"""Compiled loops of ingest (numba); importing this package imports numba."""
