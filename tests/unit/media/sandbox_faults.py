"""Operations that misbehave, for the tests of the sandbox; none of them ships."""

from __future__ import annotations

import ctypes
import mmap
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from acav_spark.errors import MediaError
from acav_spark.media import codes
from acav_spark.media.wire import encode_message

if TYPE_CHECKING:
    from acav_spark.media.piped import PipedMedia

_NAMES = (
    "echo",
    "pid",
    "sleep",
    "allocate",
    "reserve",
    "crash",
    "leave",
    "shout",
    "forge",
    "forge_range",
    "read_range",
    "fail",
    "find",
    "invent_code",
    "write_file",
    "open_files",
    "environment",
    "connect",
    "start_grandchild",
)
OPERATIONS = {name: f"{__name__}:{name}" for name in _NAMES}


def echo(**arguments: object) -> dict[str, object]:
    return arguments


def pid(**_: object) -> dict[str, object]:
    return {"pid": os.getpid()}


def sleep(*, seconds: float, **_: object) -> dict[str, object]:
    time.sleep(seconds)
    return {}


def reserve(*, n_bytes: int, **_: object) -> dict[str, object]:
    """Take address space without using it, as drivers of GPUs do."""
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    with mmap.mmap(-1, n_bytes, flags=flags, prot=0) as space:
        return {"length": len(space)}


def allocate(*, n_bytes: int, **_: object) -> dict[str, object]:
    return {"length": len(bytearray(n_bytes))}


def crash(**_: object) -> dict[str, object]:
    ctypes.string_at(0)
    return {}


def leave(**_: object) -> dict[str, object]:
    os._exit(3)


def shout(**_: object) -> dict[str, object]:
    for descriptor in (1, 2):
        os.write(descriptor, b"library noise\n" * 1000)
    print("more noise")  # noqa: T201 - the subject of the test
    sys.stdout.flush()
    return {"heard": False}


def forge(*, answer: bytes, **_: object) -> dict[str, object]:
    """Write raw bytes where answers go, as a decoder that was taken over could."""
    for descriptor in range(3, 20):
        try:
            target = Path(f"/proc/self/fd/{descriptor}").readlink()
        except OSError:
            continue
        if str(target).startswith("pipe:"):
            try:
                os.write(descriptor, answer)
            except OSError:
                continue
    time.sleep(30)
    return {}


def forge_range(*, asked: object, **_: object) -> dict[str, object]:
    """Ask the parent for bytes as no honest child would."""
    return forge(answer=b"".join(map(bytes, encode_message({"range": asked}))))


def read_range(*, path: PipedMedia, place: int, n_bytes: int, **_: object) -> object:
    return {"data": path.fetch(place, n_bytes)}


def fail(**_: object) -> dict[str, object]:
    msg = "nobody foresaw this"
    raise RuntimeError(msg)


def find(*, is_permanent: bool, **_: object) -> dict[str, object]:
    raise MediaError(codes.EMPTY_FILE, "it has no bytes", is_permanent=is_permanent)


def invent_code(**_: object) -> dict[str, object]:
    code = "all_is_well"
    raise MediaError(code, "trust me")


def write_file(*, path: str, **_: object) -> dict[str, object]:
    try:
        n_written = Path(path).write_bytes(b"x")
    except OSError as error:
        return {"errno": error.errno}
    return {"n_written": n_written}


def open_files(**_: object) -> dict[str, object]:
    files: list[int] = []
    try:
        while len(files) < 1000:
            files.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        return {"n_opened": len(files)}
    finally:
        for file in files:
            os.close(file)
    return {"n_opened": len(files)}


def environment(**_: object) -> dict[str, object]:
    return {
        "names": sorted(os.environ),
        "folder": str(Path.cwd()),
        "group": os.getpgid(0),
        "pid": os.getpid(),
    }


def connect(*, port: int, **_: object) -> dict[str, object]:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except OSError as error:
        return {"connected": False, "reason": str(error)}
    return {"connected": True}


def start_grandchild(**_: object) -> dict[str, object]:
    """Leave a process behind and hang."""
    with subprocess.Popen(["sleep", "60"]):
        time.sleep(60)
    return {}
