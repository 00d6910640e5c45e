"""The page on downloads: its commands are understood, its codes are all there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from acav_spark import cli, cli_download
from acav_spark.download.codes import CODES
from acav_spark.download.items import item_from_text

PAGE = Path(__file__).resolve().parents[3] / "docs" / "download.md"
COMMANDS = re.findall(r"^(acav download [^\n]+)$", PAGE.read_text(), re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_of_the_page_is_understood(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("videos.txt", "queries.txt"):
        (tmp_path / name).write_text("dQw4w9WgXcQ\n")
    if " warehouse " in command:  # which Spark reads
        items = [item_from_text("dQw4w9WgXcQ")]
        monkeypatch.setattr(cli_download, "_items", lambda *_: items)

    cli.main([*shlex.split(command)[1:], "--dry-run"])

    (line,) = capsys.readouterr().out.splitlines()
    assert line in (
        "dQw4w9WgXcQ\thttps://www.youtube.com/watch?v=dQw4w9WgXcQ",
        "ytsearch20:dQw4w9WgXcQ",
    )
    assert not (tmp_path / "downloads").exists()


def test_the_page_has_every_code_and_option() -> None:
    text = PAGE.read_text()
    assert COMMANDS
    assert set(re.findall(r"^\| `([a-z_]+)` \|", text, re.MULTILINE)) >= set(CODES)
    for option in ("--max-height", "--format", "--archive", "--retry-failed"):
        assert f"`{option}" in text
