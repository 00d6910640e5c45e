"""An input that is not there is found before Spark starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from acav_spark import cli, session

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("", "got nothing"),
        ("nowhere", "there is no"),
        ("nowhere/*.mp4", "there is no"),
        ("nothing.csv", "does not exist"),
    ],
)
def test_a_missing_input_is_refused_before_spark_starts(
    uri: str,
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def start(*_: object, **__: object) -> None:
        pytest.fail("Spark was started")

    monkeypatch.setattr(session, "get_session", start)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as left:
        cli.main(["run", "--set", f"input.uri={uri!r}"])
    assert left.value.code == 2
    # However wide the console is.
    assert expected in " ".join(capsys.readouterr().err.split())
    assert not list(tmp_path.iterdir())
