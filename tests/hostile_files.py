"""Files made to do harm: what they claim, pack or point at is not what they are."""

from __future__ import annotations

import struct
import zlib
from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np
from media_layout import ebml_elements

if TYPE_CHECKING:
    from pathlib import Path

_RATE_HZ = 8000


def write_packed_png_video(
    path: Path, width: int, height: int, *, n_frames: int = 1
) -> Path:
    """Write a QuickTime file of black pictures that take a thousandth of their size.

    Its header says 64 x 48. Rows are compressed once and repeated, so that gigabytes
    cost no time to write.
    """
    with av.open(str(path), "w", format="mov") as container:
        picture = container.add_stream("png", rate=10)
        picture.width, picture.height, picture.pix_fmt = 64, 48, "rgb24"
        sound = container.add_stream("pcm_s16le", rate=_RATE_HZ, layout="mono")
        container.start_encoding()
        data = _black_png(width, height)
        for index in range(n_frames):
            packet = av.Packet(data)
            packet.stream, packet.time_base = picture, Fraction(1, 10)
            packet.pts = packet.dts = index
            packet.is_keyframe = True
            container.mux(packet)
        silence = np.zeros((1, _RATE_HZ * n_frames // 10), np.int16)
        frame = av.AudioFrame.from_ndarray(silence, format="s16", layout="mono")
        frame.sample_rate, frame.pts = _RATE_HZ, 0
        container.mux(sound.encode(frame))
    return path


def _black_png(width: int, height: int) -> bytes:
    row_bytes, n_rows = 1 + 3 * width, 64
    packer = zlib.compressobj(9, wbits=-15)
    # A full flush forgets what was before: the same bytes may follow again.
    block = packer.compress(bytes(n_rows * row_bytes)) + packer.flush(zlib.Z_FULL_FLUSH)
    rest = packer.compress(bytes(height % n_rows * row_bytes)) + packer.flush()
    checksum = struct.pack(">HH", height * row_bytes % 65521, 1)  # Adler-32 of zeros
    pixels = b"\x78\xda" + block * (height // n_rows) + rest + checksum
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )


def claim_size(path: Path, width: int, height: int) -> Path:
    """Let the header of a Matroska file claim a size of its picture."""
    data = bytearray(path.read_bytes())
    (part,) = (e for e in ebml_elements(data) if e.kind == b"\xe0")  # Video
    sizes = b"\xb0\x83" + width.to_bytes(3, "big")
    sizes += b"\xba\x83" + height.to_bytes(3, "big")
    spare = part.end - part.body - len(sizes)
    # A Void element in place of all else that is said of the picture.
    rest = b"\xec" + bytes([0x80 | spare - 2, *bytes(spare - 2)]) if spare else b""
    data[part.body : part.end] = sizes + rest
    path.write_bytes(data)
    return path


def claim_duration(path: Path, seconds: float) -> Path:
    """Let the header of a Matroska file claim a length."""
    data = bytearray(path.read_bytes())
    (part,) = (e for e in ebml_elements(data) if e.kind == b"\x44\x89")
    # In units of a millisecond, as FFmpeg writes them.
    data[part.body : part.end] = struct.pack(">d", 1000.0 * seconds)
    path.write_bytes(data)
    return path


def pointing_texts(target: str) -> dict[str, bytes]:
    """Return texts that make some demuxer open ``target``, by what they are."""
    texts = {
        "HLS playlist": (
            "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:10\n"
            f"#EXTINF:10,\n{target}\n#EXT-X-ENDLIST\n"
        ),
        "HLS master": f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{target}\n",
        "HLS key": (
            "#EXTM3U\n#EXT-X-TARGETDURATION:10\n"
            f'#EXT-X-KEY:METHOD=AES-128,URI="{target}"\n#EXTINF:10,\na.ts\n'
            "#EXT-X-ENDLIST\n"
        ),
        "concat script": f"ffconcat version 1.0\nfile '{target}'\nduration 10\n",
        "SDP": (
            "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
            "m=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n"
        ),
        "DASH manifest": (
            '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" '
            'type="static" mediaPresentationDuration="PT10S"><Period>'
            '<AdaptationSet mimeType="video/mp4"><Representation id="v" '
            f'bandwidth="1"><BaseURL>{target}</BaseURL></Representation>'
            "</AdaptationSet></Period></MPD>"
        ),
        "XML with an entity": (
            f'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "{target}">]>'
            "<a>&b;</a>"
        ),
        "RTSP": f"[Reference]\nRef1={target}\n",
        "plain list": f"{target}\n",
    }
    return {name: text.encode() for name, text in texts.items()}
