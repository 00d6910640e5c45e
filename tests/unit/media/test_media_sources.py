"""Sources by scheme, their bytes and temporary files, whatever the server."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, cast

import fsspec
import numpy as np
import pytest
from fsspec.registry import known_implementations
from hypothesis import given, settings
from hypothesis import strategies as st
from media_files import write_video
from media_server import running

from acav_spark.errors import ConfigError, DependencyError, MediaError
from acav_spark.media import (
    Limits,
    LocalSource,
    RangeSource,
    Sandbox,
    SourceRules,
    SpooledSource,
    open_source,
    probe_isolated,
)
from acav_spark.media.piped import PipedFile, PipedMedia
from acav_spark.media.serving import ServedCall
from acav_spark.media.sources import LatestSource, require_readable_schemes
from acav_spark.media.sources_rules import NetworkTime
from acav_spark.media.uri import require_scheme, shown_uri, without_user
from acav_spark.media.wire import WireError

if TYPE_CHECKING:
    from collections.abc import Iterator

RULES = SourceRules(
    allowed_schemes=("file", "http", "memory"),
    allow_private_addresses=True,
    stall_s=5.0,
    first_wait_s=0.001,
)
_HERE = Path(__file__).parent


class _Remote:
    """A file in memory that counts what is fetched of it."""

    uri = name = "fake://files/a.mp4"

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.is_closed = False

    def pieces(self, first: int, end: int) -> Iterator[bytes]:
        middle = (first + end) // 2
        yield self.content[first:middle]
        yield self.content[middle:end]

    def all_pieces(self) -> Iterator[bytes]:
        return self.pieces(0, len(self.content))

    def close(self) -> None:
        self.is_closed = True


def _range_source(remote: _Remote) -> RangeSource:
    time_left = NetworkTime(RULES, remote.name)
    return RangeSource(remote, RULES, time_left, size_bytes=len(remote.content))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    size=st.integers(1, 12 * 2**20),
    reads=st.lists(
        st.tuples(st.floats(0, 1.1), st.integers(1, 2**20)), min_size=1, max_size=12
    ),
)
def test_reads_of_any_place_give_the_file_and_fetch_no_byte_twice(
    size: int, reads: list[tuple[float, int]]
) -> None:
    remote = _Remote(_CONTENT[:size])
    with _range_source(remote) as source:
        for share, n_bytes in reads:
            place = int(share * size)
            expected = remote.content[place : place + n_bytes]
            assert source.read(place, n_bytes) == expected
        assert source.n_fetched_bytes <= size
    assert remote.is_closed


_CONTENT = np.random.default_rng(3).bytes(12 * 2**20)


def test_reading_on_takes_few_requests_and_seeking_small_ones() -> None:
    remote = _Remote(_CONTENT)
    asked: list[int] = []

    def pieces(first: int, end: int) -> Iterator[bytes]:
        asked.append(end - first)
        yield remote.content[first:end]

    remote.pieces = pieces  # type: ignore[method-assign]
    with _range_source(remote) as source:
        for place in range(0, len(_CONTENT), 2**18):
            source.read(place, 2**18)
    assert len(asked) <= 5
    assert max(asked) <= 8 * 2**20
    asked.clear()
    with _range_source(remote) as source:
        for place in (11 * 2**20, 2**20, 7 * 2**20):
            source.read(place, 1000)
    assert sum(asked) <= 3 * 2**20


def test_a_piped_file_reads_and_seeks_as_files_do(tmp_path: Path) -> None:
    content = _CONTENT[: 3 * 2**20 + 5]
    path = tmp_path / "a"
    path.write_bytes(content)
    asked: list[int] = []

    def fetch(place: int, n_bytes: int) -> bytes:
        asked.append(n_bytes)
        return content[place : place + n_bytes]

    media = PipedMedia("https://a/b", len(content), fetch)
    assert os.fspath(media) == "https://a/b"
    with media.open() as piped, path.open("rb", buffering=0) as file:
        for offset, whence in ((0, 0), (7, 1), (-9, 2), (2**22, 0), (-(2**21), 1)):
            assert piped.seek(offset, whence) == file.seek(offset, whence)
            assert piped.read(1000) == file.read(1000)
            assert piped.tell() == file.tell()
        for both in (piped, file):
            with pytest.raises(OSError, match="Invalid argument"):
                both.seek(-(2**23), 1)
        piped.seek(3)
        assert piped.read() == content[3:]
    assert max(asked) <= 2**20


def test_a_piped_file_never_gives_more_than_asked_for() -> None:
    file = PipedFile(PipedMedia("a", 100, lambda _, n: bytes(n + 1)))
    with pytest.raises(MediaError, match=r"gave 11 of 10 bytes"):
        file.read(10)


def test_local_files_are_left_to_the_child(tmp_path: Path) -> None:
    path = tmp_path / "ü b.mp4"
    with open_source(path.as_uri(), SourceRules()) as source:
        assert source == LocalSource(path)
        assert (os.fspath(source), source.stem) == (str(path), "ü b")


@pytest.mark.parametrize("uri", ["http://a/b", "s3://a/b", "memory://a", "concat:a|b"])
def test_only_files_are_opened_unless_more_is_allowed(uri: str) -> None:
    with pytest.raises(MediaError, match="scheme_not_allowed"):
        open_source(uri, SourceRules())


@pytest.fixture
def stored_video(tmp_path: Path) -> Iterator[Path]:
    path = write_video(tmp_path / "a.mp4")
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/bucket/a b.mp4", path.read_bytes())
    yield path
    memory.rm("/bucket", recursive=True)


def test_object_stores_are_read_through_fsspec(stored_video: Path) -> None:
    # As a store that is reached without naming a host.
    rules = dataclasses.replace(RULES, allow_private_addresses=False)
    with (
        Sandbox(Limits(time_s=20)) as sandbox,
        open_source("memory://bucket/a b.mp4", rules) as source,
    ):
        assert isinstance(source, RangeSource)
        assert source.stem == "a b"
        assert probe_isolated(sandbox, source) == probe_isolated(sandbox, stored_video)


@pytest.mark.usefixtures("stored_video")
def test_faults_of_object_stores_have_their_codes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    memory = fsspec.filesystem("memory")
    for uri, code in [
        ("memory://bucket/other.mp4", "not_found"),
        ("memory://bucket", "not_a_regular_file"),
    ]:
        with pytest.raises(MediaError, match=code) as caught:
            open_source(uri, RULES)
        assert caught.value.is_permanent
    rules = dataclasses.replace(RULES, max_bytes=100)
    with pytest.raises(MediaError, match="download_too_large"):
        open_source("memory://bucket/a b.mp4", rules)
    memory.pipe_file("/bucket/empty", b"")
    with pytest.raises(MediaError, match="empty_file"):
        open_source("memory://bucket/empty", RULES)
    for error, code in [
        (PermissionError("no"), "permission_denied"),
        (RuntimeError("token at https://a/b?token=hush"), "connection_failed"),
    ]:
        with monkeypatch.context() as patched:

            def fail(*_: object, error: Exception = error, **__: object) -> None:
                raise error

            patched.setattr(type(memory), "info", fail)
            with pytest.raises(MediaError, match=code) as caught:
                open_source("memory://bucket/a b.mp4", RULES)
            assert "hush" not in caught.value.message
            assert caught.value.is_permanent == (code == "permission_denied")


def test_an_object_that_changes_or_ends_early_is_noticed() -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/changing/a", _CONTENT[: 4 * 2**20])
    with open_source("memory://changing/a", RULES) as source:
        assert isinstance(source, RangeSource)
        source.read(0, 10)
        memory.pipe_file("/changing/a", _CONTENT[2**20 : 5 * 2**20])
        with pytest.raises(MediaError, match="source_changed") as caught:
            source.read(3 * 2**20, 10)
        assert not caught.value.is_permanent
    memory.rm("/changing", recursive=True)


def test_an_object_of_unknown_size_is_read_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/whole/a", b"a film")
    info = type(memory).info
    monkeypatch.setattr(
        type(memory), "info", lambda self, path: info(self, path) | {"size": None}
    )
    with open_source("memory://whole/a", RULES) as source:
        assert isinstance(source, SpooledSource)
        assert source.read(2, 99) == b"film"
    memory.rm("/whole", recursive=True)


def test_a_store_that_never_answers_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = fsspec.filesystem("memory")
    is_over = threading.Event()
    monkeypatch.setattr(type(memory), "info", lambda *_: is_over.wait())
    rules = dataclasses.replace(RULES, stall_s=0.1, n_tries=1)
    with pytest.raises(MediaError, match="download_stalled") as caught:
        open_source("memory://bucket/a", rules)
    assert not caught.value.is_permanent
    is_over.set()


def test_systems_that_look_up_hosts_by_themselves_need_permission() -> None:
    rules = SourceRules(allowed_schemes=("ftp", "local"))
    for uri in ("ftp://169.254.169.254/a.mp4", "local:///etc/passwd"):
        with pytest.raises(MediaError, match="address_not_allowed") as caught:
            open_source(uri, rules)
        assert caught.value.is_permanent


def test_schemes_are_checked_before_a_job_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    require_readable_schemes(["file", "http", "https", "memory"])
    with pytest.raises(ConfigError, match=r"allowed_schemes.*'nothing'"):
        require_readable_schemes(["file", "nothing"])
    known = {"class": "no_such_package.Store", "err": "Install no_such_package"}
    monkeypatch.setitem(known_implementations, "store", known)
    with pytest.raises(DependencyError, match=r"store://.*pip install no_such_package"):
        require_readable_schemes(["store"])


def test_the_latest_source_is_kept_and_the_one_before_closed() -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/two/a", b"first")
    memory.pipe_file("/two/b", b"second")
    with LatestSource(RULES) as latest:
        first = latest.open("memory://two/a")
        assert latest.open("memory://two/a") is first
        second = latest.open("memory://two/b")
        assert cast("RangeSource", second).read(0, 9) == b"second"
        with pytest.raises(ValueError, match="closed"):
            cast("RangeSource", first).read(0, 9)
    with pytest.raises(ValueError, match="closed"):
        cast("RangeSource", second).read(0, 9)
    memory.rm("/two", recursive=True)


def test_a_full_disk_is_a_passing_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with (
        _range_source(_Remote(b"a film")) as source,
        pytest.raises(MediaError, match=r"no_temporary_space.*TMPDIR") as caught,
    ):
        source.read(0, 5)
    assert not caught.value.is_permanent


_WORKER = """
from media_server import running
from acav_spark.media import Limits, Sandbox, SourceRules, open_source
rules = SourceRules(("http",), allow_private_addresses=True)
with running(bytes(2**22)) as server, Sandbox(
    Limits(), _operations="sandbox_faults"
) as sandbox:
    server.answers = {"/r": server.ranges, "/w": server.whole}
    with open_source(server.uri("/r"), rules) as a, open_source(
        server.uri("/w"), rules
    ) as b:
        a.read(0, 9)
        sandbox.call("pid")
        print(sandbox.child_pid, flush=True)
        sandbox.call("sleep", seconds=60, path=a)
"""


def test_no_temporary_file_is_left_by_a_worker_that_is_killed(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": _path(), "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", _WORKER], stdout=subprocess.PIPE, env=environment
    ) as worker:
        assert worker.stdout is not None
        child_pid = int(worker.stdout.readline())
        held = [str(fd.readlink()) for fd in Path(f"/proc/{worker.pid}/fd").iterdir()]
        nameless = [name for name in held if name.startswith(str(tmp_path))]
        assert len(nameless) == 2
        assert all(name.endswith("(deleted)") for name in nameless)
        assert list(tmp_path.iterdir()) == []
        worker.kill()
    assert list(tmp_path.iterdir()) == []
    end = time.monotonic() + 10
    while Path(f"/proc/{child_pid}").exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert not Path(f"/proc/{child_pid}").exists()


def test_no_temporary_file_is_left_when_the_child_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with (
        running(_CONTENT[: 2**20]) as server,
        Sandbox(Limits(), _operations="sandbox_faults") as sandbox,
    ):
        server.answers["/w"] = server.whole
        with open_source(server.uri("/w"), RULES) as source:
            pid = cast("int", sandbox.call("pid")["pid"])
            threading.Timer(0.2, os.kill, (pid, signal.SIGKILL)).start()
            with pytest.raises(MediaError, match=r"decoder_crashed.*SIGKILL"):
                sandbox.call("sleep", seconds=60, path=source)
            sandbox.close()
            answer = sandbox.call("read_range", path=source, place=7, n_bytes=9)
            assert answer == {"data": _CONTENT[7:16]}
    held = [str(fd.readlink()) for fd in Path("/proc/self/fd").iterdir() if fd.exists()]
    assert not any(name.startswith(str(tmp_path)) for name in held)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "asked", [[-1, 5], [0, 0], [0, 2**30], [0], "all", [0.5, 1], None]
)
def test_requests_for_bytes_that_no_honest_child_makes_are_refused(
    asked: object,
) -> None:
    with _range_source(_Remote(b"a film")) as source:
        served = ServedCall({"path": source, "n": 1})
        assert served.sent == {
            "arguments": {"n": 1},
            "source": {"argument": "path", "name": source.name, "size_bytes": 6},
        }
        assert served.reply([2, 4]) == {"data": b"film"}
        with pytest.raises(WireError, match=r"expected \[place, length\]"):
            served.reply(asked)
    with pytest.raises(WireError, match=r"expected \[place, length\]"):
        ServedCall({"path": Path("/a")}).reply([0, 1])


def test_a_forged_request_for_bytes_ends_the_child() -> None:
    with Sandbox(Limits(time_s=20), _operations="sandbox_faults") as sandbox:
        with pytest.raises(MediaError, match=r"decoder_crashed.*expected \[place"):
            sandbox.call("forge_range", asked=[0, 5])
        assert sandbox.child_pid is None


_text = st.text(st.sampled_from("abc0:/@?#%"), max_size=12)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(_text, _text, st.sampled_from(["http", "https", "s3", "ftp"]))
def test_passwords_and_queries_are_never_shown(
    path: str, query: str, scheme: str
) -> None:
    uri = f"{scheme}://user:hush@host/{path.replace('?', '').replace('#', '')}"
    for shown in (shown_uri(f"{uri}?token=hush{query}"), without_user(uri)):
        assert "hush" not in shown
        assert shown.startswith(f"{scheme}://host/")
    with pytest.raises(MediaError, match="invalid_uri") as caught:
        require_scheme(uri, [scheme])
    assert "hush" not in caught.value.message


def test_a_container_in_the_place_of_a_user_is_no_credential() -> None:
    uri = "abfs://container@account.dfs.core.windows.net/a.mp4"
    assert require_scheme(uri, ["abfs"]) == "abfs"


def _path() -> str:
    known = [str(_HERE), str(_HERE.parents[1]), os.environ.get("PYTHONPATH", "")]
    return os.pathsep.join(known)
