"""What an input is, and what the beginning of a file tells; without Spark."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import pytest

from acav_spark.errors import ConfigError, StageError
from acav_spark.ingest.sniffing import HEAD_BYTES, sniff
from acav_spark.ingest.sources import Source, find_sources

if TYPE_CHECKING:
    from pathlib import Path

RECORD = {"video_id": "abcdefghijk", "title": "T"}
INFO = {"id": "abcdefghijk", "webpage_url": "x", "tags": ["a"]}


def only(uri: Path | str, form: str = "auto") -> Source:
    (source,) = find_sources([str(uri)], form)
    return source


def told(text: str | bytes, form: str | None = None) -> tuple[str, str]:
    head = text if isinstance(text, bytes) else text.encode()
    sniffed = sniff(head, form, {}, name="f")
    assert sniffed is not None
    return sniffed.format, sniffed.layout.name


@pytest.mark.parametrize(
    ("text", "form", "expected"),
    [
        (json.dumps(RECORD), "json", ("json", "json")),
        (json.dumps([RECORD]), "json", ("json", "json")),
        ("\ufeff" + json.dumps([RECORD], indent=1), "json", ("json", "json")),
        (json.dumps(INFO, indent=4), "json", ("json", "yt_dlp")),
        ('{"broken\n' + json.dumps(INFO), "json", ("json", "yt_dlp")),
        (json.dumps(INFO), "uris", ("json", "yt_dlp")),
        ("video_id,title\n", "csv", ("csv", "csv")),
        ('id;"a; b"\nx;y\n', "csv", ("csv", "csv")),
        ("abcdefghijk\t{}\n", "csv", ("url_json", "url_json")),
        ("http://x.org/a\t{}\n", None, ("url_json", "url_json")),
        ("# list\n\n/v/a b.mp4\n", "uris", ("uris", "uri_list")),
        ("abcdefghijk\n", "uris", ("uris", "uri_list")),
    ],
)
def test_the_layout_is_told_by_the_beginning_of_a_file(
    text: str, form: str | None, expected: tuple[str, str]
) -> None:
    assert told(text, form) == expected


def test_one_value_is_told_from_one_a_line() -> None:
    def is_whole(text: str) -> bool:
        sniffed = sniff(text.encode(), "json", {}, name="f")
        assert sniffed is not None
        return sniffed.is_whole

    lines = f"{json.dumps(RECORD)}\n" * 3
    assert not is_whole(lines)
    assert not is_whole('{"cut\n' + lines)
    assert not is_whole(json.dumps(RECORD))
    assert is_whole(json.dumps([RECORD]))
    assert is_whole(json.dumps(RECORD, indent=1))
    assert is_whole(json.dumps({"a": {}, "items": [{"snippet": {}}]}, indent=1))


def test_keys_that_the_first_record_lacks_are_found() -> None:
    text = json.dumps(RECORD) + "\n" + json.dumps({**RECORD, "duration": 5})
    sniffed = sniff(text.encode(), "json", {}, name="f")
    assert sniffed is not None
    assert dict(sniffed.layout.fields)["duration_s"] == ("duration",)


@pytest.mark.parametrize(
    "value",
    [
        [{**RECORD, "number": number} for number in range(40_000)],
        {"kind": "x", "items": [{"snippet": {}, "id": "x" * 90}] * 20_000},
    ],
)
def test_of_a_long_value_the_beginning_is_enough(value: object) -> None:
    head = json.dumps(value, indent=1).encode()[:HEAD_BYTES]
    assert len(head) == HEAD_BYTES
    assert told(head, "json")[0] == "json"


@pytest.mark.parametrize(
    ("raw", "encoding", "header"),
    [
        ("id,título\n".encode(), "UTF-8", ("id", "título")),
        ("\ufeffid,título\n".encode(), "UTF-8", ("id", "título")),
        ("id,título\n".encode("utf-16"), "UTF-16", ("id", "título")),
        ("id,título\n".encode("cp1252"), "windows-1252", ("id", "título")),
        (b"id,a,a,\n", "UTF-8", ("id", "a", "a_3", "column_4")),
    ],
)
def test_a_csv_has_a_charset_and_columns_of_different_names(
    raw: bytes, encoding: str, header: tuple[str, ...]
) -> None:
    sniffed = sniff(raw, "csv", {}, name="f")
    assert sniffed is not None
    assert (sniffed.encoding, sniffed.header) == (encoding, header)


@pytest.mark.parametrize(
    ("text", "form", "words"),
    [
        ("abcdefghijk_1.mp4,dog\n", "csv", "a.csv: .*has to be the header"),
        ('{"title": "T"}', "json", "expected a column for uri or video_id"),
        ("[1, 2]", "json", "expected an object of JSON a line"),
        ("nothing at all", "json", "expected an object of JSON a line"),
        ("some prose\nmore prose\n", "uris", "expected a URI a line, got 'some prose'"),
    ],
)
def test_a_file_of_no_known_layout_is_refused(text: str, form: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        sniff(text.encode(), form, {}, name="a.csv")


def test_a_folder_of_metadata_is_no_media_and_the_other_way_round(
    tmp_path: Path,
) -> None:
    (tmp_path / "a.info.json").write_text(json.dumps(INFO))
    (tmp_path / "README.md").write_text("about")
    (tmp_path / "_SUCCESS").write_text("")
    inner = tmp_path / "more [2]"
    inner.mkdir()
    (inner / "b.info.json").write_text(json.dumps(INFO))
    (inner / "empty.json").write_text("\n")
    source = only(tmp_path)
    assert (source.format, len(source.files)) == ("json", 2)
    assert any(file.endswith("more \\[2\\]/b.info.json") for file in source.files)
    assert only(f"{tmp_path}/*.json").format == "json"

    (inner / "b.mp4").write_bytes(b"x")
    assert only(tmp_path) == Source("media", (str(tmp_path),))
    assert only(f"{tmp_path}/**/*.mp4").format == "media"


def test_files_of_several_layouts_are_one_source_each(tmp_path: Path) -> None:
    for name in ("BR", "US"):
        (tmp_path / f"{name}_videos.csv").write_text("video_id,trending_date\n")
    (tmp_path / "x.csv").write_text("id\nabcdefghijk\n")
    (tmp_path / "y.csv").write_text("id\nabcdefghijk\n")
    (tmp_path / "z.jsonl.gz").write_bytes(gzip.compress(json.dumps(INFO).encode()))
    found = find_sources([str(tmp_path)])
    seen = sorted((s.layout.name, s.region or "", len(s.files)) for s in found)
    assert seen == [
        ("csv", "", 2),
        ("youtube_trending", "BR", 1),
        ("youtube_trending", "US", 1),
        ("yt_dlp", "", 1),
    ]


def test_a_file_of_any_name_is_looked_into(tmp_path: Path) -> None:
    path = tmp_path / "part-00000"
    path.write_text(json.dumps(INFO))
    assert only(path).format == "json"
    path.write_bytes(b"\x00\x00\x00\x18ftypmp42")
    assert only(path).format == "media"
    assert only(path.as_uri(), "media").format == "media"


def test_delta_parquet_and_tables_are_left_to_spark(tmp_path: Path) -> None:
    (tmp_path / "table" / "_delta_log").mkdir(parents=True)
    assert only(tmp_path / "table").format == "delta"
    assert only("table:a.b.c") == Source("table", ("a.b.c",))
    folder = tmp_path / "p"
    (folder / "day=1").mkdir(parents=True)
    (folder / "day=1" / "x.parquet").write_bytes(b"PAR1")
    source = only(folder)
    assert (source.format, source.base) == ("parquet", f"file://{folder}")


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.csv", "", "which is empty"),
        ("a.csv", None, "does not exist or is empty"),
        ("*.jsonl", None, "does not exist or is empty"),
        ("nosuch://x/a.csv", None, "expected a local path or a URI of an object store"),
    ],
)
def test_metadata_that_is_not_there_is_a_configuration_error(
    tmp_path: Path, name: str, text: str | None, words: str
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    uri = name if "://" in name else str(tmp_path / name)
    with pytest.raises(ConfigError, match=words):
        find_sources([uri])
    with pytest.raises(ConfigError, match="got nothing"):
        find_sources([])
    with pytest.raises(StageError, match="there is no"):
        find_sources([str(tmp_path / "nowhere")])


def test_the_real_lists_are_told(data_dir: Path) -> None:
    folder = data_dir / "metadata"
    trending = find_sources([str(folder / "yt_trending_2018")])
    assert sorted(s.region or "" for s in trending) == [
        *("BR", "CA", "DE", "FR", "GB", "IN", "JP", "KR", "MX", "RU", "US")
    ]
    assert {s.layout.name for s in trending} == {"youtube_trending"}
    assert only(folder / "yt2006_videos_sample_1000.json").layout.name == "json"
    cold = folder / "yt_coldones_128_title_desc_category_length.csv"
    assert only(cold).layout.name == "csv"
    with pytest.raises(ConfigError, match=r"US_category_id.json: .* holds no videos"):
        find_sources([str(folder / "US_category_id.json")])
