"""Journals survive being cut anywhere; partial files know what they are part of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from downloads import rows_of

from acav_spark.download.journal import FolderLock, Journal, stored_rows
from acav_spark.download.partial import PartialFile
from acav_spark.errors import StageError

if TYPE_CHECKING:
    from pathlib import Path

ROWS: list[dict[str, object]] = [
    {"id": "a", "n": 1},
    {"id": "b", "text": "zwei\nZeilen \u00fc"},
    {"id": "a", "n": 2},
]


def test_a_journal_cut_at_any_byte_keeps_its_whole_rows(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    with Journal(path, "id") as journal:
        for row in ROWS:
            journal.append(row)
    content = path.read_bytes()
    ends = [i + 1 for i, byte in enumerate(content) if byte == ord("\n")]
    assert len(ends) == 3

    for size in range(len(content) + 1):
        path.write_bytes(content[:size])
        n_whole = sum(end <= size for end in ends)
        assert list(stored_rows(path, "id")) == ROWS[:n_whole]
        with Journal(path, "id") as journal:
            journal.append({"id": "c"})
        assert rows_of(path) == [*ROWS[:n_whole], {"id": "c"}]


def test_a_torn_line_longer_than_a_block_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    path.write_bytes(b'{"id": "a"}\n' + b"x" * 200_000)
    Journal(path, "id").close()
    assert path.read_bytes() == b'{"id": "a"}\n'
    path.write_bytes(b"x" * 200_000)
    Journal(path, "id").close()
    assert path.read_bytes() == b""


def test_compacting_keeps_the_last_row_of_each_key_changed(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    journal = Journal(path, "id")
    for row in ROWS:
        journal.append(row)
    journal.compact(lambda row: None if row["id"] == "b" else {**row, "seen": True})
    assert rows_of(path) == [{"id": "a", "n": 2, "seen": True}]


def test_a_line_that_is_no_row_is_named(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    path.write_text('{"id": "a"}\n{"other": 1}\n')
    with pytest.raises(StageError, match=r"line 2: expected an object with 'id'"):
        list(stored_rows(path, "id"))


def test_a_folder_is_locked_for_one(tmp_path: Path) -> None:
    with FolderLock(tmp_path), pytest.raises(StageError, match="another download"):
        FolderLock(tmp_path)
    FolderLock(tmp_path).close()


ETAGS = ('"one"', None)


def _part(tmp_path: Path) -> PartialFile:
    partial = PartialFile(tmp_path / "a.part")
    assert partial.begin("18.mp4", 10, ETAGS) == 0
    partial.write(b"01234")
    partial.close()
    return PartialFile(tmp_path / "a.part")


def test_a_partial_file_goes_on_where_it_ends(tmp_path: Path) -> None:
    partial = _part(tmp_path)
    assert partial.begin("18.mp4", 10, ETAGS) == 5
    partial.write(b"56789")
    partial.finish(tmp_path / "x" / "a.mp4")
    assert (tmp_path / "x" / "a.mp4").read_bytes() == b"0123456789"
    assert (partial.n_bytes, partial.n_new_bytes) == (10, 5)
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize(
    ("version", "size", "validators"),
    [
        ("22.mp4", 10, ETAGS),
        ("18.mp4", 11, ETAGS),
        ("18.mp4", 4, ETAGS),
        ("18.mp4", 10, ('"two"', None)),
        ("18.mp4", 10, (None, None)),
    ],
)
def test_of_another_version_nothing_is_kept(
    tmp_path: Path,
    version: str,
    size: int,
    validators: tuple[str | None, str | None],
) -> None:
    with _part(tmp_path) as partial:
        assert partial.begin(version, size, validators) == 0


def test_a_server_without_validators_begins_anew_each_time(tmp_path: Path) -> None:
    partial = PartialFile(tmp_path / "a.part")
    partial.begin("", 10, (None, None))
    partial.write(b"01234")
    partial.close()
    assert partial.begin("", 10, (None, None)) == 0
    partial.close()


def test_bytes_without_a_note_are_not_continued(tmp_path: Path) -> None:
    partial = _part(tmp_path)
    (tmp_path / "a.part.json").write_text("{")
    with partial:
        assert partial.begin("18.mp4", 10, ETAGS) == 0
