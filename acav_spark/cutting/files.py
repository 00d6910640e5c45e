"""Files of cut clips: where they are, how they are written and deleted.

``<root>/<three hex digits>/<name of the clip>.mp4``: of a hundred million clips each
of the 4,096 folders has some 25,000.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from typing import IO, TYPE_CHECKING, Final

from acav_spark.errors import ConfigError
from acav_spark.media.uri import path_from_uri, scheme_of, uri_from_path
from acav_spark.storage import Folder

if TYPE_CHECKING:
    from collections.abc import Sequence

_SHARD_DIGITS: Final = 3
# File systems take 255 bytes; the name of a file being written is longer by 40.
_MAX_NAME: Final = 200
_DIGEST_BYTES: Final = 16


def clip_file_name(clip_id: str) -> str:
    """Return the name of a clip's file: its id, as far as file names can hold it.

    Letters, digits, ``.``, ``_`` and ``-`` are kept; each other byte of UTF-8 becomes
    ``~`` and two hex digits, so that unlike ids have unlike names on every system that
    tells large letters from small ones. Of long ids a hash stands for the rest.
    """
    raw = clip_id.encode("utf-8", "surrogatepass")
    name = re.sub(
        rb"[^A-Za-z0-9._-]", lambda found: b"~%02x" % found[0][0], raw
    ).decode("ascii")
    if len(name) > _MAX_NAME:
        digest = hashlib.blake2b(raw, digest_size=_DIGEST_BYTES).hexdigest()
        name = f"{name[: _MAX_NAME - len(digest) - 2]}~~{digest}"
    return f"{name}.mp4"


def shard_of(clip_id: str) -> str:
    """Return the folder, below the root, in which a clip's file lies."""
    raw = clip_id.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(raw, digest_size=8).hexdigest()[:_SHARD_DIGITS]


def write_clip_file(root: str, clip_id: str, file: IO[bytes]) -> str:
    """Write a clip's file at once, durably, and return its URI.

    Parameters
    ----------
    root : str
        Folder of all clips' files, a path or URI.
    clip_id : str
        The clip.
    file : file
        Is read from its start.
    """
    folder = _folder(root)
    name = f"{shard_of(clip_id)}/{clip_file_name(clip_id)}"
    folder.write_file(name, file)
    # Names and folders need no escapes in a URI.
    base = uri_from_path(folder.path) if folder.is_local else folder.uri
    return f"{base}/{name}"


def delete_clip_file(uri: str) -> None:
    """Delete the file at a URI that ``write_clip_file`` returned, if it is there."""
    base, _, name = uri.rpartition("/")
    root = str(path_from_uri(base)) if scheme_of(base) == "file" else base
    _folder(root).delete(name)


def require_writable(root: str, allowed_schemes: Sequence[str]) -> None:
    """Check before a job starts that files can be written, and read by later stages.

    Raises
    ------
    ConfigError
        If not.
    """
    scheme = scheme_of(root)
    if scheme not in allowed_schemes:
        msg = (
            f"segmentation.cut_root: expected a scheme that later stages may read "
            f"({', '.join(allowed_schemes)}), got {root!r}. Add {scheme!r} to "
            "input.allowed_schemes, or choose another folder."
        )
        raise ConfigError(msg)
    try:
        # Also what pyarrow says of systems that it cannot write.
        Folder(root).make()
    except (OSError, ValueError) as error:
        msg = (
            f"segmentation.cut_root: expected a folder that can be written, got "
            f"{root!r} ({error}). Folders, s3://, gs:// and hdfs:// can be."
        )
        raise ConfigError(msg) from error


@lru_cache(maxsize=64)
def _folder(root: str) -> Folder:
    return Folder(root)
