"""Opening a media file safely: the one place that calls ``av.open``.

The demuxer gets an already open regular file to read and seek in, never a name, so
a name cannot be taken for a protocol, and no file can make it open another one.
Formats are an allow-list without playlists, pictures and concatenations.
"""

from __future__ import annotations

import contextlib
import io
import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import av
import av.error
from av.codec.context import Flags

from acav_spark.errors import MediaError
from acav_spark.media import codes
from acav_spark.media.hardware import decoding_hardware
from acav_spark.media.piped import PipedMedia

if TYPE_CHECKING:
    from collections.abc import Iterator
    from fractions import Fraction

    from av.audio.stream import AudioStream
    from av.codec.hwaccel import HWAccel
    from av.container import InputContainer
    from av.video.stream import VideoStream

ALLOWED_FORMATS: Final = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,ogg,avi,mpegts,mpeg,flv,asf,wav,mp3,flac,aac"
)
MAX_PIXELS: Final = 4096 * 4096
# 8192 x 8192 pixels, beside the default of 4096 x 4096: 200 MB as RGB.
_OPENING_FACTOR: Final = 2
_READ_BYTES: Final = 256 * 1024
_MEDIA_MAGIC: Final = (
    (4, b"ftyp"),
    (4, b"moov"),
    (4, b"mdat"),
    (4, b"free"),
    (4, b"wide"),
    (0, b"\x1a\x45\xdf\xa3"),
    (0, b"OggS"),
    (0, b"RIFF"),
    (0, b"FLV"),
    (0, b"\x00\x00\x01\xba"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"),
    (0, b"fLaC"),
    (0, b"ID3"),
)
_PICTURE_MAGIC: Final = (
    (0, b"\x89PNG"),
    (0, b"\xff\xd8\xff"),
    (0, b"GIF8"),
    (0, b"BM"),
    (0, b"II*\x00"),
    (0, b"MM\x00*"),
    (8, b"WEBP"),
    (4, b"ftypavif"),
    (4, b"ftypheic"),
    (4, b"ftypmif1"),
)


def open_regular_file(path: str | os.PathLike[str]) -> io.RawIOBase:
    """Open a file for reading; a pipe or device is refused without waiting for it.

    Remote media in the place of a path is read through the process's parent.

    Raises
    ------
    MediaError
        ``not_found``, ``permission_denied``, ``not_a_regular_file``, ``empty_file``
        or ``unreadable``.
    """
    if isinstance(path, PipedMedia):
        return path.open()
    name = os.fspath(path)
    try:
        _require_regular(os.stat(name).st_mode, name)  # noqa: PTH116 - bytes-safe
        descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        file = io.FileIO(descriptor, closefd=True)
    except FileNotFoundError as error:
        raise MediaError(codes.NOT_FOUND, f"{name!r} does not exist") from error
    except PermissionError as error:
        message = f"{name!r} may not be read by this user"
        raise MediaError(codes.PERMISSION_DENIED, message) from error
    except (OSError, ValueError) as error:
        message = f"{name!r} cannot be opened: {error}"
        raise MediaError(codes.UNREADABLE, message) from error
    try:
        facts = os.fstat(descriptor)
        _require_regular(facts.st_mode, name)
        if facts.st_size == 0:
            raise MediaError(codes.EMPTY_FILE, f"{name!r} has no bytes")
    except BaseException:
        file.close()
        raise
    return file


@contextmanager
def open_media(
    path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS
) -> Iterator[InputContainer]:
    """Open a media file of an allowed format for demuxing.

    Errors of the decoding library, also in the body, become ``MediaError``.

    Parameters
    ----------
    path : str or path
        Media file.
    max_pixels : int, default 4096 * 4096
        Pixels of a frame beyond which none is decoded. Formats whose headers do not
        tell all make the library decode frames while it opens the file.

    Raises
    ------
    MediaError
        ``not_media``, ``invalid_media``, ``not_a_video`` (a picture), ``unreadable``,
        ``memory_limit``, and those of ``open_regular_file``.
    """
    name = os.fspath(path)
    with open_regular_file(path) as file:
        try:
            with _opened(file, name, max_pixels) as container:
                _refuse_pictures(container, name)
                yield container
        except MemoryError as error:
            message = f"{name!r} wants more memory than allowed"
            raise MediaError(codes.MEMORY_LIMIT, message, is_permanent=False) from error
        except av.error.FFmpegError as error:
            message = f"{name!r} cannot be read as media: {error}"
            raise MediaError(codes.INVALID_MEDIA, message) from error
        except OSError as error:
            message = f"{name!r} cannot be read: {error}"
            raise MediaError(codes.UNREADABLE, message, is_permanent=False) from error


def moving_pictures(container: InputContainer) -> list[VideoStream]:
    """Return the video streams that are not cover art or thumbnails."""
    return [
        stream
        for stream in container.streams.video
        if not stream.disposition & av.stream.Disposition.attached_pic
    ]


def sounds(container: InputContainer) -> list[AudioStream]:
    """Return the audio streams whose codec is known."""
    return [stream for stream in container.streams.audio if _is_decodable(stream)]


def prepare_decoder(stream: VideoStream | AudioStream, *, max_pixels: int) -> None:
    """Bound a decoder: one thread, and no frame of more than ``max_pixels``.

    Raises
    ------
    MediaError
        ``too_many_pixels``, or ``invalid_media`` for a stream without known codec.
    """
    if not _is_decodable(stream):
        message = f"stream {stream.index} has no known codec"
        raise MediaError(codes.INVALID_MEDIA, message)
    # Spark runs one task per core; more threads would only compete with each other.
    stream.codec_context.thread_count = 1
    if isinstance(stream, av.VideoStream):
        context = stream.codec_context
        require_pixels(context.width or 0, context.height or 0, max_pixels)
        # Later frames may be larger than the header says.
        context.options = _decoder_options(max_pixels)
        # Crop exactly as ffmpeg does, not only to where memory is aligned.
        context.flags |= Flags.unaligned


def _decoder_options(max_pixels: int) -> dict[str, str]:
    # Decoders count borders of their own, so the exact limit is for the frames that
    # come out.
    return {"max_pixels": str(2 * max_pixels + 2**18)}


def require_pixels(width: int, height: int, max_pixels: int) -> None:
    """Raise ``too_many_pixels`` for frames larger than allowed."""
    if width * height > max_pixels:
        message = (
            f"frames of {width} x {height} pixels; at most {max_pixels} are allowed"
        )
        raise MediaError(codes.TOO_MANY_PIXELS, message)


def zero_time_s(container: InputContainer) -> float:
    """Return where the container's clock starts: all our times count from there."""
    start_time: int | None = container.start_time
    return 0.0 if start_time is None else start_time / av.time_base


def seconds(timestamp: int | None, time_base: Fraction | None) -> float | None:
    """Return a timestamp in seconds; None where it is not known."""
    if timestamp is None or time_base is None:
        return None
    return float(timestamp * time_base)


def _require_regular(mode: int, name: str) -> None:
    if not stat.S_ISREG(mode):
        message = f"{name!r} is not a regular file"
        raise MediaError(codes.NOT_A_REGULAR_FILE, message)


def _is_decodable(stream: VideoStream | AudioStream) -> bool:
    # PyAV gives streams of unknown codecs no context; its stubs do not say so.
    return getattr(stream, "codec_context", None) is not None


def _refuse_pictures(container: InputContainer, name: str) -> None:
    brand = container.metadata.get("major_brand", "").strip()
    if brand in ("avif", "avis", "heic", "heix", "mif1", "msf1"):
        message = f"{name!r} is a picture ({brand})"
        raise MediaError(codes.NOT_A_VIDEO, message)


def _opened(file: io.RawIOBase, name: str, max_pixels: int) -> InputContainer:
    hardware = decoding_hardware()
    if hardware is not None:
        # A GPU that fails, or has no memory left, says nothing about the file.
        with contextlib.suppress(av.error.FFmpegError):
            return _opened_by(file, max_pixels, hardware)
        file.seek(0)
    try:
        return _opened_by(file, max_pixels, None)
    except av.error.FFmpegError as error:
        # Also what the list of formats refuses, which is an "invalid argument".
        if isinstance(error, MemoryError):
            raise
        raise _invalid(file, name) from error


def _opened_by(
    file: io.RawIOBase, max_pixels: int, hardware: HWAccel | None
) -> InputContainer:
    return av.open(
        file,
        mode="r",
        buffer_size=_READ_BYTES,
        metadata_errors="replace",
        # For all streams, while the library finds out what they are. It forgets
        # sizes beyond this; up to it they are known, and refused by name.
        options=_decoder_options(_OPENING_FACTOR * max_pixels),
        container_options={
            "format_whitelist": ALLOWED_FORMATS,
            "protocol_whitelist": "none",
        },
        hwaccel=hardware,
    )


def _invalid(file: io.RawIOBase, name: str) -> MediaError:
    """Return what is wrong with content that no allowed demuxer accepts."""
    file.seek(0)
    head = file.read(64) or b""
    if _has_magic(head, _PICTURE_MAGIC):
        return MediaError(codes.NOT_A_VIDEO, f"{name!r} is a picture")
    if _has_magic(head, _MEDIA_MAGIC):
        message = f"{name!r} is broken or cut off: it cannot be opened"
        return MediaError(codes.INVALID_MEDIA, message)
    message = f"{name!r} is of no known media format"
    return MediaError(codes.NOT_MEDIA, message)


def _has_magic(head: bytes, magics: tuple[tuple[int, bytes], ...]) -> bool:
    return any(head[start : start + len(magic)] == magic for start, magic in magics)
