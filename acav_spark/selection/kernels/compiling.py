"""How the loops are compiled: cached on disk where there is a place for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

import numba
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

_F = TypeVar("_F", bound="Callable[..., object]")


def compiled(function: _F) -> _F:
    """Compile at the first call, without the interpreter's lock, and keep the code.

    Without ``fastmath``, so that floating point is IEEE 754's, operation by operation.
    """
    try:
        kept = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:
        # Neither the package's folder nor the user's cache can be written to: every
        # process then compiles for itself, some ten seconds.
        kept = numba.njit(nogil=True, error_model="numpy")(function)
    return cast("_F", kept)


def inlined(function: _F) -> _F:
    """Compile into every caller: for what is called once a choice or oftener."""
    kept = numba.njit(nogil=True, error_model="numpy", forceinline=True)(function)
    return cast("_F", kept)


if TYPE_CHECKING:

    def prefetch(array: NDArray[np.generic], place: int) -> None:
        """Bring the cache line of ``array[place]`` nearer; may lie past the end."""

else:

    @intrinsic
    def prefetch(_context, array, _place):
        """Bring the cache line of ``array[place]`` nearer; may lie past the end."""

        def generate(context, builder, signature, arguments):
            data = context.make_array(signature.args[0])(context, builder, arguments[0])
            pointer = builder.gep(data.data, [arguments[1]])
            byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
            pointer = builder.bitcast(pointer, byte)
            name = "llvm.prefetch.p0"
            called = builder.module.globals.get(name) or ir.Function(
                builder.module,
                ir.FunctionType(ir.VoidType(), [byte, word, word, word]),
                name,
            )
            # For reading, kept in all levels, data rather than code.
            builder.call(called, [pointer, word(0), word(3), word(1)])
            return context.get_dummy_value()

        return types.void(array, types.int64), generate
