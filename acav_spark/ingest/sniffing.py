"""What the beginning of a file of metadata tells: format, form and layout."""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from acav_spark.errors import ConfigError
from acav_spark.ingest.ids import is_youtube_id
from acav_spark.ingest.layouts import (
    URI_LIST,
    URL_JSON,
    Layout,
    layout_of_columns,
    layout_of_record,
    with_columns,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HEAD_BYTES: Final = 1 << 20
"""As much of a file is looked at."""

_MAX_RECORDS = 1_000
_MARKS = (
    (codecs.BOM_UTF8, "UTF-8"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
_URL_JSON = re.compile(r"[^\t\n]+\t\s*\{.*")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:\S|/|.*\.[A-Za-z0-9]{2,4}$")


@dataclass(frozen=True)
class Sniffed:
    """What a file is.

    Parameters
    ----------
    format : str
        ``csv``, ``json``, ``url_json`` or ``uris``.
    layout : Layout
        Where it has which field.
    header : tuple of str
        Columns of a CSV in their order.
    delimiter, encoding : str
        Of a CSV.
    is_whole : bool
        Whether a file of JSON is one value, rather than one a line.
    """

    format: str
    layout: Layout
    header: tuple[str, ...] = ()
    delimiter: str = ","
    encoding: str = "UTF-8"
    is_whole: bool = False


def sniff(
    head: bytes, form: str | None, mapping: Mapping[str, str], *, name: str
) -> Sniffed | None:
    """Return what a file is, or None if it is empty.

    Parameters
    ----------
    head : bytes
        Its beginning, at most ``HEAD_BYTES``.
    form : str, optional
        What its name, or the user, says that it is; None where only content tells.
    mapping : mapping of str to str
        Columns or paths that the user named, by field.
    name : str
        The file, for messages.

    Raises
    ------
    ConfigError
        If it is of no known layout.
    """
    encoding = _encoding(head)
    is_cut = len(head) >= HEAD_BYTES
    text = head.decode(encoding, "replace").removeprefix("\ufeff")
    if not text.strip():
        return None
    try:
        return _sniffed(text, form, mapping, encoding, is_cut=is_cut)
    except ConfigError as error:
        msg = f"input.uri: {name}: {error}"
        raise ConfigError(msg) from error


def has_metadata_magic(head: bytes) -> bool:
    """Return whether a file of any name begins like JSON, or like lines with it."""
    text = head[:65536].decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    first = text.split("\n", 1)[0]
    begins = text.startswith(("{", "[{")) or _URL_JSON.fullmatch(first) is not None
    return begins and "\x00" not in text


def _sniffed(
    text: str,
    form: str | None,
    mapping: Mapping[str, str],
    encoding: str,
    *,
    is_cut: bool,
) -> Sniffed:
    first = text.lstrip().split("\n", 1)[0]
    if form == "url_json" or (
        form in ("csv", "uris", None) and _URL_JSON.fullmatch(first.strip())
    ):
        layout = with_columns(URL_JSON, mapping)
        return Sniffed("url_json", layout)
    # Lists of JSON Lines are often called .txt.
    if form in ("json", None) or (form == "uris" and first.startswith(("{", "[{"))):
        return _json(text, mapping, is_cut=is_cut)
    if form == "uris":
        return _uris(text)
    return _csv(text, mapping, encoding)


def _json(text: str, mapping: Mapping[str, str], *, is_cut: bool) -> Sniffed:
    is_whole, records = _records(text, is_cut=is_cut)
    if not records:
        msg = (
            "expected an object of JSON a line, or an array or object of JSON, got "
            f"{text.strip()[:80]!r}."
        )
        raise ConfigError(msg)
    # A field may be missing from the first record, and empty in others.
    merged: dict[str, object] = {}
    for record in records:
        merged.update({k: v for k, v in record.items() if v or k not in merged})
    layout = layout_of_record(merged, mapping)
    return Sniffed("json", layout, is_whole=is_whole)


def _records(text: str, *, is_cut: bool) -> tuple[bool, list[Mapping[str, object]]]:
    """Return whether a file is one value, and records from its beginning."""
    lines = [line for line in text.split("\n") if line.strip()]
    if is_cut and len(lines) > 1:
        lines.pop()
    if not text.lstrip().startswith("["):
        found = [_object(line) for line in lines[:_MAX_RECORDS]]
        # A broken line is one, a broken file is all; `{` alone begins a printed object.
        if any(record is not None for record in found) and _may_be_lines(lines[0]):
            return False, [record for record in found if record is not None]
    return True, list(_inside(text))


def _may_be_lines(first: str) -> bool:
    return _object(first) is not None or first.strip() not in ("{", "[", "[{")


def _object(text: str) -> Mapping[str, object] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _inside(text: str) -> Iterator[Mapping[str, object]]:
    """Yield the objects of an array, or an object; as far as they are complete."""
    decoder = json.JSONDecoder()
    whole = _object(text)
    if whole is not None:
        yield whole
        return
    start = text.find("[") if not text.lstrip().startswith("{") else -1
    if start < 0:
        # An answer of an interface that is longer than what we look at.
        match = re.search(r'"(?:items|entries)"\s*:\s*\[', text)
        if match is None:
            return
        start = match.end() - 1
    position, n_found = start + 1, 0
    while n_found < _MAX_RECORDS:
        place = re.compile(r"[\s,]*").match(text, position)
        position = place.end() if place else position
        try:
            value, position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError):
            return
        n_found += 1
        if isinstance(value, dict):
            yield value


def _csv(text: str, mapping: Mapping[str, str], encoding: str) -> Sniffed:
    text = text.lstrip("\r\n")
    first = text.split("\n", 1)[0]
    counts = Counter({mark: first.count(mark) for mark in ",\t;|"})
    delimiter, n_marks = max(counts.items(), key=lambda item: item[1])
    delimiter = delimiter if n_marks else ","
    reader = csv.reader(
        io.StringIO(text.lstrip("\r\n"), newline=""), delimiter=delimiter
    )
    try:
        header = [cell.strip() for cell in next(reader)]
    except (csv.Error, StopIteration) as error:
        msg = f"expected a header line of CSV, got {first[:80]!r} ({error})."
        raise ConfigError(msg) from error
    # Cells of one name: the first keeps it.
    seen: Counter[str] = Counter()
    for position, cell in enumerate(header):
        seen[cell] += 1
        if seen[cell] > 1 or not cell:
            header[position] = f"{cell or 'column'}_{position + 1}"
    try:
        layout = layout_of_columns(header, mapping, name="csv")
    except ConfigError as error:
        if mapping:
            raise
        msg = (
            f"{error} The first line has to be the header; a file without one needs "
            "it added."
        )
        raise ConfigError(msg) from error
    return Sniffed("csv", layout, tuple(header), delimiter, encoding)


def _uris(text: str) -> Sniffed:
    lines = [line.strip() for line in text.splitlines()[:_MAX_RECORDS]]
    entries = [line for line in lines if line and not line.startswith("#")]
    if entries and not any(
        _URI.match(e) or is_youtube_id(e) for e in entries[:-1] or entries
    ):
        msg = f"expected a URI a line, got {entries[0][:80]!r}."
        raise ConfigError(msg)
    return Sniffed("uris", URI_LIST)


def _encoding(head: bytes) -> str:
    """Return UTF-8 or UTF-16, or what old lists of western languages are in."""
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        decoder.decode(head)
    except UnicodeDecodeError:
        return "windows-1252"
    return "UTF-8"
