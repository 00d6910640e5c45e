"""Downloads into a folder: what is there stays, what is missing comes."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from downloads import LOOPBACK, RULES, ThenSilence, film, ranges_asked, rows_of
from media_server import MediaServer, answer, running
from samples import write_video

from acav_spark import cli, cli_download
from acav_spark.config import load_config
from acav_spark.download import Item, download, item_from_row, wanted_items
from acav_spark.download import downloading as downloading_module
from acav_spark.download.findings import Finding, Found
from acav_spark.errors import ConfigError, DependencyError, MediaError, StageError
from acav_spark.ingest.metadata import BAD_ROW
from acav_spark.ingest.sources import find_sources
from acav_spark.media import codes, sources_address

if TYPE_CHECKING:
    from collections.abc import Iterator

SETTINGS = (
    "--set=input.allowed_schemes=[http]",
    "--set=input.allow_private_addresses=true",
)


@pytest.fixture
def server() -> Iterator[MediaServer]:
    with running(film()) as server:
        server.answers["/a.mp4"] = server.ranges
        server.answers["/b.mp4"] = server.ranges
        server.answers["/gone.mp4"] = lambda _: answer(b"", "404 Not Found")
        yield server


def _names(folder: Path) -> list[str]:
    """Return the names of all media and partial files."""
    return sorted(
        p.name for sub in ("media", "partial") for p in folder.glob(f"{sub}/**/*.*")
    )


def test_a_file_a_typed_answer_and_a_page_come_with_what_is_known(
    server: MediaServer, tmp_path: Path
) -> None:
    page = b'<html><title>A film</title><video src="/b.mp4"></video></html>'
    server.answers["/page"] = lambda _: answer(
        page, headers={"Content-Type": "text/html"}
    )
    server.answers["/watch"] = lambda r: server.ranges(r, Content_Type="video/mp4")
    row = {
        "video_id": "mine",
        "uri": server.uri("/page"),
        "title": "What I call it",
        "category": "Pets",
        "tags": "one|two",
        "duration_s": "99",
    }
    items: list[str | Item] = [
        server.uri("/a.mp4"),
        server.uri("/watch"),
        item_from_row(row),
    ]

    summary = download(items, tmp_path, rules=RULES)

    assert (summary.n_items, summary.n_done, summary.n_failed) == (3, 3, 0)
    assert summary.n_bytes == 3 * len(film())
    manifest = rows_of(tmp_path / "downloads.jsonl")
    for told in manifest:
        assert (told["status"], told["bytes"]) == ("done", len(film()))
        assert (tmp_path / str(told["path"])).read_bytes() == film()
    known = {r["video_id"]: r for r in rows_of(tmp_path / "metadata.jsonl")}
    assert list(known) == [r["id"] for r in manifest]
    mine = known["mine"]
    assert (mine["title"], mine["category"]) == ("What I call it", "Pets")
    assert mine["tags"] == ["one", "two"]
    assert mine["downloaded_from"] == server.uri("/page")
    assert mine["webpage_url"] == server.uri("/page")
    # The file knows its length better than any list.
    assert mine["duration_s"] == pytest.approx(2.0, abs=0.1)
    assert {r["title"] for r in known.values()} == {"a", "watch", "What I call it"}
    assert _names(tmp_path / "partial") == []
    # Columns that the user named are those of other inputs.
    (source,) = find_sources([str(tmp_path)], mapping={"uri": "url"})
    assert source.layout.name == "download"
    assert dict(source.layout.fields)["uri"] == ("uri",)


def test_what_is_there_is_not_asked_for_again_and_what_is_damaged_is(
    server: MediaServer, tmp_path: Path
) -> None:
    uris = [server.uri("/a.mp4"), server.uri("/b.mp4"), server.uri("/a.mp4")]
    assert download(uris, tmp_path, rules=RULES).n_items == 2
    n_requests = len(server.requests)

    again = download(uris, tmp_path, rules=RULES)

    assert (again.n_done, again.n_present) == (0, 2)
    assert len(server.requests) == n_requests
    assert list(wanted_items(uris, tmp_path, RULES)) == []
    damaged = tmp_path / str(rows_of(tmp_path / "downloads.jsonl")[0]["path"])
    damaged.write_bytes(film()[:100])
    assert [i.uri for i in wanted_items(uris, tmp_path, RULES)] == [uris[0]]
    assert download(uris, tmp_path, rules=RULES).n_done == 1
    assert damaged.read_bytes() == film()


def test_failures_are_rows_with_codes_tried_again_while_that_may_help(
    server: MediaServer, tmp_path: Path
) -> None:
    server.answers["/busy.mp4"] = lambda _: answer(b"", "503 Service Unavailable")
    silent = write_video(tmp_path / "silent.mp4", 1, duration_s=1.0, has_audio=False)
    content = silent.read_bytes()
    server.answers["/silent.mp4"] = lambda _: answer(content)
    server.answers["/text.mp4"] = lambda _: answer(b"some words")
    uris = [
        server.uri(p) for p in ("/gone.mp4", "/busy.mp4", "/silent.mp4", "/text.mp4")
    ]
    uris += ["ftp://h/a.mp4", "http://user:hush@h/a.mp4"]
    broken = Item("row 7", "", error=MediaError(BAD_ROW, "no row"))
    once = dataclasses.replace(LOOPBACK, n_tries=1)
    rules = dataclasses.replace(RULES, sources=once)
    folder = tmp_path / "folder"

    first = download([*uris, broken], folder, rules=rules)

    assert first.n_failed == 7
    told = {r["uri"]: r for r in rows_of(folder / "downloads.jsonl")}
    assert {
        uri: (told[uri]["code"], told[uri]["is_permanent"], told[uri]["attempts"])
        for uri in [*uris, ""]
    } == {
        uris[0]: ("not_found", True, 1),
        uris[1]: ("server_error", False, 1),
        uris[2]: ("no_audio_stream", True, 1),
        uris[3]: ("not_media", True, 1),
        uris[4]: ("scheme_not_allowed", True, 1),
        uris[5]: ("invalid_uri", True, 1),
        "": ("bad_row", True, 1),
    }
    assert _names(folder) == []
    for n_attempts in (2, 3):
        more = download([*uris, broken], folder, rules=rules)
        assert (more.n_failed, more.n_given_up) == (1, 6)
        told = {r["uri"]: r for r in rows_of(folder / "downloads.jsonl")}
        assert told[uris[1]]["attempts"] == n_attempts
    assert download(uris, folder, rules=rules).n_given_up == 6
    server.answers["/busy.mp4"] = server.answers["/gone.mp4"] = server.ranges
    eager = dataclasses.replace(rules, retry_failed=True)
    assert download(uris, folder, rules=eager).n_done == 2


def test_a_page_with_the_name_of_a_file_is_left_to_yt_dlp(
    server: MediaServer, tmp_path: Path
) -> None:
    page = b'<html><title>x</title><video src="/a.mp4"></video></html>'
    server.answers["/File:Rain.webm"] = lambda _: answer(
        page, headers={"Content-Type": "text/html"}
    )
    summary = download([server.uri("/File:Rain.webm")], tmp_path, rules=RULES)
    assert summary.n_done == 1
    assert rows_of(tmp_path / "downloads.jsonl")[0]["path"].endswith(".mp4")  # type: ignore[attr-defined]


def test_without_yt_dlp_files_come_and_pages_end_the_download(
    server: MediaServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "acav_spark.download.sites", raising=False)
    monkeypatch.setitem(sys.modules, "yt_dlp", None)
    assert download([server.uri("/a.mp4")], tmp_path, rules=RULES).n_done == 1
    with pytest.raises(DependencyError, match="Install it: pip"):
        download([server.uri("/page")], tmp_path, rules=RULES)


def test_a_redirect_into_the_own_network_is_one_row(
    server: MediaServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = sources_address.is_public
    monkeypatch.setattr(
        sources_address, "is_public", lambda a: str(a) == "127.0.0.1" or known(a)
    )
    inward = f"http://127.0.0.2:{server.port}/a.mp4"
    for path in ("/in.mp4", "/in"):
        server.answers[path] = lambda _: answer(b"", "302 Found", {"Location": inward})
    public = dataclasses.replace(LOOPBACK, allow_private_addresses=False)
    rules = dataclasses.replace(RULES, sources=public)
    uris = [server.uri("/in.mp4"), server.uri("/in"), inward]

    summary = download(uris, tmp_path, rules=rules)

    assert summary.codes == {"address_not_allowed": 3}
    assert {r.path for r in server.requests} == {"/in.mp4", "/in"}


def _half_then_silence(server: MediaServer) -> None:
    """Answer the first request for bytes with half of them, and hang."""

    def half(request: object) -> list[bytes]:
        head, body = server.ranges(request)  # type: ignore[arg-type]
        if len(body) == 1 or getattr(request, "n_before", 0) > 1:
            return [head, body]
        return ThenSilence([head, body[: len(body) // 2]], server.is_over)

    server.answers["/slow.mp4"] = half


def _started(server: MediaServer, folder: Path) -> subprocess.Popen[bytes]:
    """Start the command, and return when half of the file is on disk."""
    code = "from acav_spark.cli import main; main()"
    command = [sys.executable, "-c", code, "download", server.uri("/slow.mp4")]
    environment = {**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[1])}
    process = subprocess.Popen(
        [*command, "--output", str(folder), *SETTINGS], env=environment
    )
    while process.poll() is None:
        parts = list(folder.glob("partial/*.part"))
        if parts and parts[0].stat().st_size == len(film()) // 2:
            return process
        time.sleep(0.02)
    pytest.fail(f"the command ended with {process.returncode}")


@pytest.mark.parametrize("killed_by", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_download_goes_on_where_it_was(
    server: MediaServer, tmp_path: Path, killed_by: signal.Signals
) -> None:
    _half_then_silence(server)
    process = _started(server, tmp_path)
    process.send_signal(killed_by)
    status = process.wait()
    assert status == (130 if killed_by is signal.SIGINT else -killed_by)
    half = len(film()) // 2

    summary = download([server.uri("/slow.mp4")], tmp_path, rules=RULES)

    assert (summary.n_done, summary.n_bytes) == (1, len(film()) - half)
    assert ranges_asked(server.requests, "/slow.mp4") == [
        f"bytes=0-{len(film()) - 1}",
        f"bytes={half}-{len(film()) - 1}",
    ]
    (row,) = rows_of(tmp_path / "downloads.jsonl")
    assert (tmp_path / str(row["path"])).read_bytes() == film()
    assert len(_names(tmp_path)) == 1


def test_a_file_that_got_its_name_before_the_kill_is_not_fetched_again(
    server: MediaServer, tmp_path: Path
) -> None:
    download([server.uri("/a.mp4")], tmp_path, rules=RULES)
    for name in ("downloads.jsonl", "metadata.jsonl"):
        (tmp_path / name).write_text("")
    n_requests = len(server.requests)
    summary = download([server.uri("/a.mp4")], tmp_path, rules=RULES)
    assert (summary.n_done, summary.n_bytes) == (1, 0)
    assert len(server.requests) == n_requests
    assert rows_of(tmp_path / "metadata.jsonl")[0]["title"] == "a"


def test_an_error_in_between_leaves_what_is_done(
    server: MediaServer, tmp_path: Path
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    uris = [server.uri("/a.mp4"), server.uri("/b.mp4")]
    with pytest.raises(KeyboardInterrupt):
        download(uris, tmp_path, rules=RULES, on_row=interrupt)
    assert [r["status"] for r in rows_of(tmp_path / "downloads.jsonl")] == ["done"]
    summary = download(uris, tmp_path, rules=RULES)
    assert (summary.n_done, summary.n_present) == (1, 1)


def test_a_folder_that_was_moved_is_right_after_a_rerun(
    server: MediaServer, tmp_path: Path
) -> None:
    download([server.uri("/a.mp4")], tmp_path / "old", rules=RULES)
    shutil.move(tmp_path / "old", tmp_path / "new")
    assert download([], tmp_path / "new", rules=RULES).n_done == 0
    (row,) = rows_of(tmp_path / "new" / "metadata.jsonl")
    assert Path(str(row["uri"]).removeprefix("file://")).read_bytes() == film()


def test_a_limit_is_of_videos_that_are_tried(
    server: MediaServer, tmp_path: Path
) -> None:
    uris = [server.uri(p) for p in ("/a.mp4", "/b.mp4")]
    for n_there in (0, 1, 2):
        summary = download(uris, tmp_path, rules=RULES, max_items=1)
        assert (summary.n_present, summary.n_done) == (n_there, min(1, 2 - n_there))


def test_several_workers_fetch_everything_once(
    server: MediaServer, tmp_path: Path
) -> None:
    for number in range(12):
        server.answers[f"/{number}.mp4"] = server.ranges
    rules = dataclasses.replace(RULES, n_workers=4)
    uris = [server.uri(f"/{number}.mp4") for number in range(12)]
    assert download(uris, tmp_path, rules=rules).n_done == 12
    assert sorted(str(r["uri"]) for r in rows_of(tmp_path / "downloads.jsonl")) == (
        sorted(uris)
    )
    assert all(len(ranges_asked(server.requests, f"/{n}.mp4")) == 1 for n in range(12))


def test_archived_videos_are_left_out_and_new_ones_get_in(
    server: MediaServer, tmp_path: Path
) -> None:
    archive = tmp_path / "archive.txt"
    archive.write_text("youtube dQw4w9WgXcQ\nvimeo 1\n")
    rules = dataclasses.replace(RULES, archive=archive)
    uris = [server.uri("/a.mp4"), "dQw4w9WgXcQ"]
    summary = download(uris, tmp_path / "one", rules=rules)
    assert (summary.n_done, summary.n_archived) == (1, 1)
    lines = archive.read_text().splitlines()
    assert len(lines) == 3
    assert lines[2].startswith("acav v")
    # Also in another folder.
    assert download(uris, tmp_path / "two", rules=rules).n_archived == 2
    lost = dataclasses.replace(RULES, archive=tmp_path / "no" / "archive")
    with pytest.raises(ConfigError, match="--archive: expected a file that can"):
        download(uris[:1], tmp_path / "three", rules=lost)
    (tmp_path / "binary").write_bytes(b"\xff")
    lost = dataclasses.replace(RULES, archive=tmp_path / "binary")
    with pytest.raises(ConfigError, match="--archive: expected a text file"):
        download(uris[:1], tmp_path / "four", rules=lost)


class FakeSite:
    """A site that knows where everything is."""

    def __init__(self, server: MediaServer) -> None:
        self.server = server
        self.asked: list[str] = []

    def find(self, uri: str) -> Found:
        self.asked.append(uri)
        info = {"extractor_key": "Vimeo", "id": 1, "title": "t" * 200_000}
        info |= {"description": "found", "categories": ["Pets"], "tags": ["a", "b"]}
        return Found(self.server.uri("/a.mp4"), "18", "mp4", info=info)

    def search(self, prefix: str, query: str, n_results: int) -> Iterator[Finding]:
        self.asked.append(f"{prefix}{n_results}:{query}")
        if query == "nothing goes":
            raise MediaError(codes.SERVER_ERROR, "busy", is_permanent=False)
        yield Finding("https://h/1", "Youtube", "dQw4w9WgXcQ")
        yield Finding(self.server.uri("/page"), "Vimeo", "1")


def test_searches_are_asked_once_and_their_results_fetched(
    server: MediaServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = FakeSite(server)
    monkeypatch.setattr(downloading_module, "open_site", lambda *_, **__: site)
    sources = dataclasses.replace(LOOPBACK, allowed_schemes=("http", "https"))
    rules = dataclasses.replace(RULES, n_results=2, sources=sources)
    queries = ["rain", "nothing goes"]

    summary = download([], tmp_path, queries=queries, rules=rules)

    assert (summary.n_done, summary.n_failed) == (2, 1)
    watch = "https://www.youtube.com/watch?v=dQw4w9WgXcQ"
    page = server.uri("/page")
    # In which order a search and a video's page come is up to the threads.
    assert sorted(site.asked) == sorted(
        ["ytsearch2:rain", watch, page, "ytsearch2:nothing goes"]
    )
    known = {r["video_id"]: r for r in rows_of(tmp_path / "metadata.jsonl")}
    assert known["dQw4w9WgXcQ"]["description"] == "found"
    assert known["dQw4w9WgXcQ"]["category"] == "Pets"
    # A title that is too long for ingest costs the title.
    assert "title" not in known["dQw4w9WgXcQ"]
    site.asked.clear()
    again = download([], tmp_path, queries=queries, rules=rules)
    assert (again.n_present, again.n_failed) == (2, 1)
    assert site.asked == ["ytsearch2:nothing goes"]


def test_videos_of_a_site_in_the_archive_are_found_but_not_fetched(
    server: MediaServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = FakeSite(server)
    monkeypatch.setattr(downloading_module, "open_site", lambda *_, **__: site)
    (tmp_path / "archive").write_text("vimeo 1\n")
    rules = dataclasses.replace(RULES, archive=tmp_path / "archive")
    summary = download([server.uri("/page")], tmp_path / "f", rules=rules)
    assert (summary.n_archived, server.requests) == (1, [])
    assert rows_of(tmp_path / "f" / "downloads.jsonl")[0]["status"] == "archived"


def test_a_folder_that_cannot_be_written_ends_the_download(
    server: MediaServer, tmp_path: Path
) -> None:
    (tmp_path / "media").write_text("a file in the way")
    with pytest.raises(StageError, match="expected a folder that can be written"):
        download([server.uri("/a.mp4")], tmp_path, rules=RULES)


def test_the_command_tells_what_came_and_what_would(
    server: MediaServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = tmp_path / "list.txt"
    uris = [server.uri("/a.mp4"), server.uri("/gone.mp4")]
    listed.write_text("\n".join(uris))
    folder = tmp_path / "folder"
    words = ["download", str(listed), "--output", str(folder), *SETTINGS]

    cli.main([*words, "--dry-run"])
    assert [line.split("\t")[1] for line in capsys.readouterr().out.splitlines()] == (
        uris
    )
    assert not folder.exists()
    assert server.requests == []

    cli.main([*words, "--rate-limit", "100M", "--max-height", "240"])
    told = capsys.readouterr().err
    assert "2 videos: 1 fetched" in told
    assert "1 not_found" in told
    rows = rows_of(folder / "downloads.jsonl")
    assert {row["status"] for row in rows} == {"done", "failed"}

    with pytest.raises(SystemExit) as left:
        cli.main([*words, "--retry-failed"])
    assert left.value.code == 1


@pytest.mark.parametrize(
    ("settings", "schemes", "is_private"),
    [
        ([], ("https",), False),
        (["input.allowed_schemes=[file, s3]"], ("https",), False),
        (["input.allowed_schemes=[http]"], ("http", "https"), False),
        (["input.allow_private_addresses=true"], ("https",), True),
    ],
)
def test_the_settings_of_remote_media_hold_for_the_command(
    settings: list[str],
    schemes: tuple[str, ...],
    is_private: bool,  # noqa: FBT001 - a parameter
) -> None:
    more = ["input.max_download_mb=3", "input.stall_timeout_s=4"]
    rules = cli_download._sources(load_config(None, settings + more).config, 5.0)
    assert rules.allowed_schemes == schemes
    assert rules.allow_private_addresses is is_private
    assert (rules.max_bytes, rules.stall_s, rules.total_s) == (3 * 2**20, 4.0, 5.0)


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--exec=touch x", "No such option"),
        ("--postprocessor-args=x", "No such option"),
        ("--format=bv+ba", "--format: expected a selector of one file"),
        ("--search=--exec", "--search: expected yt-dlp's name"),
        ("--rate-limit=fast", "--rate-limit: expected bytes a second"),
    ],
)
def test_options_of_yt_dlp_are_not_passed_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, words: str
) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(["download", "https://h/a.mp4", "--output", str(tmp_path), option])
    assert left.value.code == 2
    assert words in " ".join(capsys.readouterr().err.split())
