from __future__ import annotations

import hashlib
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from acav_spark.config import load_config
from acav_spark.errors import ConfigError, DependencyError
from acav_spark.ingest.job import check_input, stage_hash
from acav_spark.ingest.language import LanguageIdentifier
from acav_spark.ingest.language_model import MODEL_URL, check_model, model_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from acav_spark.config import Config

CONTENT = b"a model, as far as fetching it goes" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    """Serve a model on loopback; return its address, and the paths asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            if self.path == "/missing":
                self.send_error(404)
                return
            self.send_response(200)
            if self.path != "/short":
                self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT[: 10 if self.path == "/short" else None])

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}", asked
        listening.shutdown()
        thread.join()


def test_a_model_is_fetched_once_whoever_asks(
    server: tuple[str, list[str]], tmp_path: Path
) -> None:
    address, asked = server
    cache = str(tmp_path / "made" / "cache")
    url = f"{address}/lid.176.ftz"

    with ThreadPoolExecutor(4) as pool:
        files = set(pool.map(lambda _: model_file(url, SHA256, cache), range(8)))

    (file,) = files
    assert file.read_bytes() == CONTENT
    assert asked == ["/lid.176.ftz"]


def test_a_copy_that_was_damaged_is_fetched_again(
    server: tuple[str, list[str]], tmp_path: Path
) -> None:
    address, asked = server
    for _ in range(2):
        file = model_file(f"{address}/model", SHA256, str(tmp_path))
        assert file.read_bytes() == CONTENT
        file.write_bytes(b"damaged")
    assert len(asked) == 2


def test_another_content_is_refused_with_both_hashes_and_not_kept(
    server: tuple[str, list[str]], tmp_path: Path
) -> None:
    address, _ = server
    wrong = "0" * 64
    with pytest.raises(ConfigError, match=rf"expected {wrong}, got {SHA256}"):
        model_file(f"{address}/model", wrong, str(tmp_path))
    short = hashlib.sha256(CONTENT[:10]).hexdigest()
    with pytest.raises(ConfigError, match=rf"expected {SHA256}, got {short}"):
        model_file(f"{address}/short", SHA256, str(tmp_path))
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock", ".lock"]


def test_a_file_of_another_content_is_refused_with_both_hashes(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(CONTENT)
    assert model_file(str(path), SHA256) == path
    assert model_file(f"file://{path}", SHA256) == path
    with pytest.raises(ConfigError, match=rf"expected {'1' * 64}, got {SHA256}"):
        model_file(str(path), "1" * 64)


def test_a_model_that_cannot_be_had_is_an_error_that_says_where_from(
    server: tuple[str, list[str]], tmp_path: Path
) -> None:
    address, _ = server
    for model, words in (
        ("", "got nothing"),
        (str(tmp_path / "nothing.ftz"), "nothing.ftz"),
        (f"{address}/missing", "HTTP Error 404"),
        ("http://127.0.0.1:1/refused", "Connection refused"),
    ):
        with pytest.raises(ConfigError, match=words) as caught:
            model_file(model, SHA256, str(tmp_path))
        assert "cumulative_ratio=null" in str(caught.value)
        if "://" not in model:
            assert MODEL_URL in str(caught.value)


def test_a_cache_that_cannot_be_written_is_an_error(
    server: tuple[str, list[str]], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ConfigError, match="FileExistsError"):
        model_file(f"{server[0]}/model", SHA256, str(tmp_path / "file"))


def test_without_fasttext_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(DependencyError, match=r"acav_spark\[language\]"):
        check_model("", SHA256, "")
    monkeypatch.setitem(sys.modules, "fasttext", None)
    with pytest.raises(DependencyError, match=r"acav_spark\[language\]"):
        LanguageIdentifier("x")


def _config(*settings: str) -> Config:
    return load_config(None, list(settings)).config


def test_the_paper_s_filter_asks_for_its_model_before_anything_runs(
    tmp_path: Path,
) -> None:
    place = f'input.uri="{tmp_path}"'
    ratio = "ingest.language.cumulative_ratio=0.9"
    with pytest.raises(ConfigError, match=r"language\.model: expected fastText's"):
        check_input(_config(place, ratio))


def test_languages_that_the_model_lacks_are_refused(data_dir: Path) -> None:
    model = data_dir / "lid" / "lid.176.ftz"
    if not model.is_file():
        pytest.skip(f"no model of languages: {model}")
    known = _config().ingest.language.sha256
    check_model(str(model), known, "", ["en", "und"])
    with pytest.raises(ConfigError, match=r"got \['xx'\].* af, als, am"):
        check_model(str(model), known, "", ["xx", "en"])


def test_the_hash_of_rows_knows_what_shapes_them() -> None:
    off = stage_hash(_config())
    elsewhere = ("ingest.language.model=a", "ingest.language.cache_dir=b")
    assert stage_hash(_config(*elsewhere)) == off
    assert stage_hash(_config("ingest.language.min_probability=0.1")) == off
    keep = "ingest.language.keep=[en, fr]"
    on = stage_hash(_config(keep))
    assert on != off
    assert stage_hash(_config("ingest.language.keep=[fr, en]")) == on
    assert stage_hash(_config(keep, "ingest.language.model=elsewhere")) == on
    for other in (
        "ingest.language.min_probability=0.1",
        f"ingest.language.sha256={'0' * 64}",
    ):
        assert stage_hash(_config(keep, other)) != on


def test_a_list_and_a_ratio_at_once_are_refused() -> None:
    with pytest.raises(ConfigError, match="expected cumulative_ratio or keep, got"):
        _config("ingest.language={keep: [en], cumulative_ratio: 0.9}")
