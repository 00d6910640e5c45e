"""How the loops are compiled: cached on disk where there is a place for it.

numba numbers the files of its cache, and of two processes that compile at the same
moment both may write number 1: one then runs the other's code, for other types or of
another loop (numba issue 4807). Spark starts a Python process for each core, and all
compile at once. Here a file is named after what it holds. Nor does numba see that a
function which is compiled into another was changed: here any change of a
folder's loops changes all names.

Machine code is found by the function's qualified name, the types of its arguments and a
number that each process counts for itself. Functions of one name, such as a factory
makes, can so be taken for each other when they were compiled by different processes:
every loop has a name of its own.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numba
from llvmlite import ir
from numba import types
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.extending import intrinsic

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

_F = TypeVar("_F", bound="Callable[..., object]")


@cache
def _state_of_loops(folder: Path) -> str:
    """Return a digest of the source of a folder's loops, and of this file."""
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for path in sorted(folder.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


class KeyedFiles(IndexDataCacheFile):
    """Files of a function's cache, each named after what it holds.

    Parameters
    ----------
    cache_path : str
        Folder.
    filename_base : str
        What all names start with.
    source_stamp : object
        State of the source; files of another one are not read.
    """

    def save(self, key: object, data: object) -> None:
        """Save compiled code; an index that another process wrote meanwhile is lost."""
        held = self._dump((self._source_stamp, self._version, key))
        name = self._data_name(int(hashlib.sha256(held).hexdigest()[:15], 16))
        # The data first: an index never names what is not there.
        self._save_data(name, data)
        self._save_index({**self._load_index(), key: name})


class _KeyedCache(FunctionCache):
    def __init__(self, function: Callable[..., object]) -> None:
        super().__init__(function)
        state = _state_of_loops(Path(function.__code__.co_filename).parent)
        self._cache_file = KeyedFiles(self._cache_path, self._impl.filename_base, state)


def compiled(function: _F) -> _F:
    """Compile at the first call, without the interpreter's lock, and keep the code.

    Without ``fastmath``, so that floating point is IEEE 754's, operation by operation.
    """
    kept: Any = numba.njit(nogil=True, error_model="numpy")(function)
    try:
        kept._cache = _KeyedCache(function)  # as numba's own option does
    except RuntimeError:
        # Neither the package's folder nor the user's cache can be written to: every
        # process then compiles for itself, some ten seconds.
        return cast("_F", kept)
    return cast("_F", kept)


def named(function: _F, name: str) -> _F:
    """Return a function that a factory made under a name of its own; see above."""
    function.__name__ = function.__qualname__ = name
    return function


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
