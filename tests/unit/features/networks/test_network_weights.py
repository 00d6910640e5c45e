from __future__ import annotations

import hashlib
import subprocess
import sys
from typing import TYPE_CHECKING

import media_server
import pytest

from acav_spark.errors import ConfigError
from acav_spark.features.networks import weights as module
from acav_spark.features.networks.options import Weights
from acav_spark.features.networks.weights import cache_folder, weights_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONTENT = b"numbers, as far as fetching them goes" * 40_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()

# What a process does that needs the weights.
GET = """
import sys
from acav_spark.features.networks.options import Weights
from acav_spark.features.networks.weights import weights_file
place, sha256, cache = sys.argv[1:]
print("ready", flush=True)
sys.stdin.readline()
weights = Weights(place, sha256)
file = weights_file(weights, cache_dir=cache, allow_private_addresses=True)
print(file.stat().st_size)
"""


@pytest.fixture
def server() -> Iterator[media_server.MediaServer]:
    """Serve a file whole, by ranges, or not at all."""
    with media_server.running(CONTENT) as server:
        server.answers["/ranges"] = server.ranges
        server.answers["/whole"] = server.whole
        server.answers["/missing"] = lambda _: media_server.answer(b"", "404 Not Found")
        yield server


def get(place: str, cache: Path, sha256: str = SHA256) -> Path:
    return weights_file(
        Weights(place, sha256), cache_dir=str(cache), allow_private_addresses=True
    )


@pytest.mark.parametrize("path", ["/ranges", "/whole"])
def test_what_was_fetched_is_kept(
    server: media_server.MediaServer, tmp_path: Path, path: str
) -> None:
    cache = tmp_path / "new" / "cache"
    file = get(server.uri(path), cache)
    n_requests = len(server.requests)

    assert file.read_bytes() == CONTENT
    assert get(server.uri("/missing"), cache) == file  # the hash is what counts
    assert len(server.requests) == n_requests
    assert {p.name for p in cache.iterdir()} == {SHA256, f"{SHA256}.lock"}


def test_a_copy_that_was_damaged_is_fetched_again(
    server: media_server.MediaServer, tmp_path: Path
) -> None:
    get(server.uri("/whole"), tmp_path).write_bytes(b"damaged")
    (tmp_path / f"{SHA256}.part").write_bytes(b"what a killed process left")

    assert get(server.uri("/whole"), tmp_path).read_bytes() == CONTENT
    assert {p.name for p in tmp_path.iterdir()} == {SHA256, f"{SHA256}.lock"}


def test_of_two_processes_one_fetches(
    server: media_server.MediaServer, tmp_path: Path
) -> None:
    arguments = [server.uri("/whole"), SHA256, str(tmp_path)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", GET, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    results = []
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        out, _ = process.communicate()
        results.append((process.returncode, out))

    assert results == [(0, f"{len(CONTENT)}\n")] * 2
    assert server.n_body_requests("/whole") == 1


def test_another_content_is_refused_with_both_hashes_and_not_kept(
    server: media_server.MediaServer, tmp_path: Path
) -> None:
    wrong = "0" * 64
    with pytest.raises(ConfigError, match=rf"SHA-256 {wrong}, got {SHA256} of http"):
        get(server.uri("/ranges"), tmp_path, wrong)
    assert [p.name for p in tmp_path.iterdir()] == [f"{wrong}.lock"]

    path = tmp_path / "weights"
    path.write_bytes(CONTENT)
    assert get(str(path), tmp_path) == get(f"file://{path}", tmp_path) == path
    with pytest.raises(ConfigError, match=rf"SHA-256 {wrong}, got {SHA256}"):
        get(str(path), tmp_path, wrong)


def test_weights_that_are_not_there_are_an_error_that_says_what_to_do(
    server: media_server.MediaServer, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"missing, got not_found.*give its path"):
        get(server.uri("/missing"), tmp_path)
    with pytest.raises(ConfigError, match=r"'/nothing/w\.pth', which is not there"):
        get("/nothing/w.pth", tmp_path)
    with pytest.raises(ConfigError, match=r"address_not_allowed"):
        weights_file(Weights(server.uri("/whole"), SHA256), cache_dir=str(tmp_path))


def test_a_cache_that_cannot_be_written_is_named(
    server: media_server.MediaServer, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="Set cache_dir or ACAV_WEIGHTS_CACHE"):
        get(server.uri("/whole"), tmp_path / "file")


def test_the_cache_is_where_option_environment_or_system_say(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("ACAV_WEIGHTS_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder() == tmp_path / ".cache" / "acav_spark" / "weights"
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert str(cache_folder()) == "/caches/acav_spark/weights"
    monkeypatch.setenv("ACAV_WEIGHTS_CACHE", "/fast/disk")
    assert str(cache_folder()) == "/fast/disk"
    assert str(cache_folder("/own")) == "/own"


def test_the_command_prints_the_hash_of_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "weights"
    path.write_bytes(CONTENT)

    assert module.main([str(path)]) == 0
    assert capsys.readouterr().out == f"{SHA256}  {path}\n"
    assert module.main(["/nothing/there"]) == 1
    assert "/nothing/there" in capsys.readouterr().err
    assert module.main(["http://127.0.0.1:1/w"]) == 1
    assert "address_not_allowed" in capsys.readouterr().err
