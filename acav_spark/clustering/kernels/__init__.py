"""Compiled loops of the clustering (numba); importing this package imports numba.

Arrays in, arrays out, validation assumed. Every sum is taken in an order that is
written down, so that neither the processor nor the rows beside it matter to a row.
"""
