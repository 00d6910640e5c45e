"""The decoding child: answers requests of its parent until the pipe closes.

Started by ``acav_spark.media.sandbox`` with its settings as one JSON argument. It
ends with its parent, cannot write files, and keeps its answers apart from whatever
libraries print.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import resource
import signal
import sys
import threading
import time
import traceback
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypedDict, cast

# Imported before memory is limited: the limit is for media, not for our own code.
import av
import av.logging

from acav_spark.errors import MediaError
from acav_spark.media import codes
from acav_spark.media.hardware import use_gpu, wants_gpu
from acav_spark.media.piped import PipedMedia
from acav_spark.media.wire import encode_message, read_message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38
_CLONE_NEWNET: Final = 0x40000000
_WATCH_S: Final = 1.0
MAX_REQUEST_BYTES: Final = 64 * 2**20
_PIECE_BYTES: Final = 2**20


class Settings(TypedDict):
    """What the parent tells its child at the start."""

    operations: str
    memory_bytes: int
    n_open_files: int
    parent_pid: int
    # Not where a thread that may end first started the child: the signal would come.
    dies_with_thread: bool


def main(arguments: list[str]) -> None:
    """Serve requests from standard input; answers go to standard output."""
    settings: Settings = json.loads(arguments[1])
    _die_with_parent(settings)
    requests, answers = _take_pipes()
    operations = importlib.import_module(settings["operations"]).OPERATIONS
    av.logging.set_level(av.logging.PANIC)
    # Before files and memory are limited: the driver opens devices.
    gpu_problem = use_gpu() if wants_gpu() else ""
    _drop_abilities(settings)
    _write(answers, encode_message({"ready": True, "gpu_problem": gpu_problem}))
    _silence(2)

    def next_message() -> dict[str, object]:
        return read_message(
            lambda n: _read_exactly(requests, n), max_bytes=MAX_REQUEST_BYTES
        )

    def fetch(place: int, n_bytes: int) -> bytes:
        _write(answers, encode_message({"range": [place, n_bytes]}))
        return cast("bytes", next_message()["data"])

    while True:
        request = next_message()
        answer, can_go_on = _answer(operations, request, fetch)
        _write(answers, answer)
        del request, answer
        if not can_go_on:
            return


def _answer(
    operations: dict[str, str],
    request: dict[str, object],
    fetch: Callable[[int, int], bytes],
) -> tuple[Iterable[bytes | memoryview], bool]:
    """Return the answer to a request, and whether the process is fit for another."""
    try:
        operation = _resolve(operations[str(request["operation"])])
        arguments = request["arguments"]
        if not isinstance(arguments, dict):
            msg = f"arguments: expected a mapping, got {type(arguments).__name__}."
            raise TypeError(msg)
        if isinstance(source := request.get("source"), dict):
            media = PipedMedia(source["name"], source["size_bytes"], fetch)
            arguments[source["argument"]] = media
        result = operation(**arguments)
        file = result.pop("file") if request.get("in_pieces") else b""
        answer = encode_message({"id": request["id"], "result": result})
        # A file is kept by the parent piece by piece, not as one more copy.
        return chain(_pieces(cast("bytes", file)), answer), True
    except MediaError as error:
        found = error
    except MemoryError:
        message = "decoding wanted more memory than allowed"
        found = MediaError(codes.MEMORY_LIMIT, message, is_permanent=False)
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(last.filename).name}:{last.lineno}"
        message = f"{type(error).__name__}: {str(error)[:500]} ({place})"
        found = MediaError(codes.UNEXPECTED_ERROR, message, is_permanent=False)
    fields = {
        "code": found.code,
        "message": found.message,
        "is_permanent": found.is_permanent,
    }
    can_go_on = found.code not in (codes.MEMORY_LIMIT, codes.UNEXPECTED_ERROR)
    return encode_message({"id": request["id"], "error": fields}), can_go_on


def _pieces(file: bytes) -> Iterable[bytes | memoryview]:
    view = memoryview(file)
    for first in range(0, len(view), _PIECE_BYTES):
        yield from encode_message({"piece": view[first : first + _PIECE_BYTES]})


def _resolve(target: str) -> Callable[..., dict[str, object]]:
    module, _, name = target.partition(":")
    function: Callable[..., dict[str, object]] = getattr(
        importlib.import_module(module), name
    )
    return function


def _take_pipes() -> tuple[int, int]:
    """Move the parent's pipes away from where libraries read and print."""
    requests, answers = os.dup(0), os.dup(1)
    _silence(0)
    _silence(1)
    return requests, answers


def _silence(descriptor: int) -> None:
    with Path(os.devnull).open("r+b") as nothing:
        os.dup2(nothing.fileno(), descriptor)


def _die_with_parent(settings: Settings) -> None:
    """End when the parent ends, also in the middle of a request."""
    if settings["dies_with_thread"]:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    parent_pid = settings["parent_pid"]

    def watch() -> None:
        while os.getppid() == parent_pid:
            time.sleep(_WATCH_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _drop_abilities(settings: Settings) -> None:
    """Give up what decoding does not need: memory, files, writing, the network."""
    # A GPU's driver reserves far more address space than it uses.
    bounded = resource.RLIMIT_DATA if wants_gpu() else resource.RLIMIT_AS
    limit = _bytes_in_use(bounded) + settings["memory_bytes"]
    for kind, value in (
        (bounded, limit),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, settings["n_open_files"]),
    ):
        _, hard = resource.getrlimit(kind)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    # Only where the system permits; nothing here opens a connection anyway.
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).unshare(_CLONE_NEWNET)


def _prctl(option: int, value: int) -> None:
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _bytes_in_use(bounded: int) -> int:
    """Return what the interpreter and its libraries take of a limit already."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()
    except OSError:
        return 2**30
    # All of the address space, or data and stack.
    field = 0 if bounded == resource.RLIMIT_AS else 5
    return int(pages[field]) * resource.getpagesize()


def _read_exactly(descriptor: int, n_bytes: int) -> bytearray:
    """Read so many bytes; leave quietly when the parent has closed the pipe."""
    block = bytearray(n_bytes)
    view = memoryview(block)
    while len(view):
        n_read = os.readv(descriptor, [view])
        if n_read == 0:
            raise SystemExit(0)
        view = view[n_read:]
    return block


def _write(descriptor: int, pieces: Iterable[bytes | memoryview]) -> None:
    for piece in pieces:
        view = memoryview(piece)
        while len(view):
            view = view[os.write(descriptor, view) :]


if __name__ == "__main__":
    main(sys.argv)
