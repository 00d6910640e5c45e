"""Samples of WebDataset: members of a tar that share a key lie one behind the other.

The key is the path up to the first dot of the file's name, the rest is the ending:
``train/0001.clip.npy`` is the ending ``clip.npy`` of the sample ``train/0001``. Nothing
is unpacked to disk, and links, devices and folders are passed over.
"""

from __future__ import annotations

import io
import math
import re
import tarfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from acav_spark.errors import MediaError
from acav_spark.imports.arrays import parse_header
from acav_spark.imports.checking import BROKEN_SHARD
from acav_spark.imports.vectors import WRONG_LENGTH

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from numpy.typing import NDArray

# A vector of two million numbers; what is larger is none.
_MAX_BYTES = 16 << 20
_MEMBER = re.compile(r"^((?:.*/)?[^./][^./]*)\.([^/]+)$")


@dataclass
class Sample:
    """Members of a tar that belong together.

    Parameters
    ----------
    key : str
        Path without the ending.
    members : dict of str to bytes
        What was asked for, by its ending.
    problem : MediaError or None
        What is wrong with one of them.
    """

    key: str
    members: dict[str, bytes] = field(default_factory=dict)
    problem: MediaError | None = None


def samples_of(
    stream: BinaryIO, endings: Collection[str]
) -> Iterator[Sample | MediaError]:
    """Yield the samples of a tar, plain or compressed, in its order.

    Parameters
    ----------
    stream : binary file
        Read once, from front to back.
    endings : collection of str
        Members that are wanted; other ones are passed over.

    Yields
    ------
    Sample or MediaError
        A sample; or, last, what ended the file too early.
    """
    sample: Sample | None = None
    try:
        with tarfile.open(fileobj=stream, mode="r|*") as archive:
            for member in archive:
                match = _MEMBER.match(member.name)
                if match is None or not member.isreg():
                    continue
                key, ending = match.groups()
                if sample is None or key != sample.key:
                    if sample is not None:
                        yield sample
                    sample = Sample(key)
                if ending not in endings:
                    continue
                if member.size > _MAX_BYTES:
                    rule = f"expected at most {_MAX_BYTES} bytes, got {member.size}"
                    sample.problem = MediaError(WRONG_LENGTH, f"{ending}: {rule}")
                    continue
                reader = archive.extractfile(member)
                sample.members[ending] = reader.read() if reader is not None else b""
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        # The sample that was being read lacks what was to come.
        yield MediaError(BROKEN_SHARD, f"{type(error).__name__}: {error}")
        return
    if sample is not None:
        yield sample


def vector_of(data: bytes) -> NDArray[np.number]:
    """Return the vector of a .npy member; of shape (1, n) its only row.

    Raises
    ------
    MediaError
        With code ``vector_length`` if it is no .npy of one row of numbers. Python
        objects are never loaded.
    """
    stream = io.BytesIO(data)
    try:
        shape, _, dtype = parse_header(stream)
        if dtype.kind not in "fiu":
            msg = f"it holds {dtype}"
            raise ValueError(msg)
        n_values = math.prod(shape)
        if len(data) - stream.tell() < n_values * dtype.itemsize:
            msg = f"it ends before the numbers of shape {shape}"
            raise ValueError(msg)
    except (ValueError, EOFError) as error:
        raise MediaError(WRONG_LENGTH, f"not a .npy of numbers: {error}") from error
    if len(shape) != 1 and shape[:-1] != (1,):
        message = f"expected one row of numbers, got shape {shape}"
        raise MediaError(WRONG_LENGTH, message)
    return np.frombuffer(data, dtype, count=n_values, offset=stream.tell())
