"""Small files beside the tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from acav_spark.errors import TableError
from acav_spark.storage import Folder, prepare_storage, read_only_storage

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file_is_replaced_at_once_and_read_back(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path / "new folder"))
    folder.write_text("a/b.json", "one")
    folder.write_text("a/b.json", "two: ü")
    assert folder.read_text("a/b.json") == "two: ü"
    assert folder.list("a") == ["b.json"]
    folder.move("a/b.json", "a/c.json")
    assert folder.exists("a/c.json")
    folder.delete("a")
    folder.delete("a")
    assert not folder.exists("a")
    assert folder.list("a") == []


def test_a_file_uri_names_the_same_folder_as_its_path(tmp_path: Path) -> None:
    Folder(str(tmp_path)).write_text("x", "there")
    assert Folder(tmp_path.as_uri()).read_text("x") == "there"


def test_storage_is_prepared_once_and_opened_again(tmp_path: Path) -> None:
    root = str(tmp_path / "warehouse")
    with pytest.raises(TableError, match="there is no warehouse"):
        read_only_storage(root, format_version=1)
    prepare_storage(root, format_version=1, code_version="0.1")
    prepare_storage(root, format_version=2, code_version="0.2")
    assert read_only_storage(root, format_version=1).path == root
