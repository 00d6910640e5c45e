"""Compiled loops of the selection (numba); importing this package imports numba.

Arrays in, arrays out, validation assumed. Every sum that decides a choice is one of
int64, so that its order, the number of threads and the processor do not matter.
"""
