"""The classes that sessions share: what is asked of the JVM, and for which Java."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from acav_spark import class_archive
from acav_spark.errors import DependencyError

if TYPE_CHECKING:
    from pathlib import Path

SHARING = 'openjdk version "17.0.15"\nOpenJDK 64-Bit Server VM (mixed mode, sharing)\n'


@pytest.fixture
def java(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(class_archive, "java_description", lambda: SHARING)
    return monkeypatch


@pytest.mark.usefixtures("java")
def test_a_session_starts_from_the_archive_of_its_own_java(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "of one's own"
    folder.mkdir()
    assert class_archive.options_to_read(folder) == []
    archive = class_archive._archive(folder)
    archive.touch()

    named, silent = class_archive.options_to_read(folder)

    assert named == f'"-XX:SharedArchiveFile={archive}"'
    assert silent == "-Xlog:cds*=off"
    other = SHARING.replace("17", "21")
    monkeypatch.setattr(class_archive, "java_description", lambda: other)
    assert class_archive.options_to_read(folder) == []


def test_no_session_is_run_for_a_java_that_shares_no_classes(
    tmp_path: Path, java: pytest.MonkeyPatch
) -> None:
    java.setattr(class_archive, "java_description", lambda: 'version "17" (OpenJ9)')
    java.setattr(sys, "executable", "/nowhere/python")

    class_archive.make(tmp_path / "share")

    assert not (tmp_path / "share").exists()


def test_a_session_that_fails_is_told_with_its_last_lines(
    tmp_path: Path, java: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'no space left' >&2\nexit 3\n")
    python.chmod(0o755)
    java.setattr(sys, "executable", str(python))

    with pytest.raises(DependencyError, match=r"exit status 3(.|\n)*no space left"):
        class_archive.make(tmp_path / "share")

    assert list((tmp_path / "share").iterdir()) == []


def test_an_archive_of_a_former_java_is_replaced(
    tmp_path: Path, java: pytest.MonkeyPatch
) -> None:
    (tmp_path / "classes-0123.jsa").touch()
    python = tmp_path / "python"
    # The last argument names the file to write.
    python.write_text('#!/bin/sh\necho classes > "$3"\n')
    python.chmod(0o755)
    java.setattr(sys, "executable", str(python))

    class_archive.make(tmp_path)

    archives = list(tmp_path.glob("*.jsa"))
    assert archives == [class_archive._archive(tmp_path)]
    assert archives[0].read_text() == "classes\n"


def test_a_java_that_writes_no_archive_costs_a_warning_only(
    tmp_path: Path, java: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\n")
    python.chmod(0o755)
    java.setattr(sys, "executable", str(python))

    class_archive.make(tmp_path)

    assert "wrote no class archive" in caplog.text
    assert not list(tmp_path.glob("*.jsa"))
