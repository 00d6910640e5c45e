from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from acav_spark.errors import ConfigError
from acav_spark.ingest.categories import (
    YOUTUBE_CATEGORIES,
    CategoryNames,
    RegionalCategories,
    category_names,
    read_category_names,
)

if TYPE_CHECKING:
    from pathlib import Path

WATCH = "https://www.youtube.com/watch?v=dQw4w9WgXcQ"


def write_list(folder: Path, region: str, names: dict[str, str]) -> Path:
    items = [{"id": key, "snippet": {"title": name}} for key, name in names.items()]
    path = folder / f"{region}_category_id.json"
    path.write_text(json.dumps({"items": items}), encoding="utf-8")
    return path


def test_names_of_other_regions_stand_for_the_same_id() -> None:
    names = CategoryNames(
        [*YOUTUBE_CATEGORIES.items(), ("20", "Spiele"), ("20", "Jeux vidéo")]
    )
    every = {"20", "gaming", "spiele", "jeux vidéo"}
    for name in ("20", "SPIELE", "Gaming", " jeux VIDÉO"):
        assert names.of(name, WATCH) == every
    assert names.of("20", "file:///a.mp4") == {"20"}


def test_names_count_by_the_region_of_a_video_then_by_the_one_given() -> None:
    lists = {"DE": {"20": "Spiele"}, "fr": {"20": "Jeux", "17": "Spiele"}}
    every, german = RegionalCategories(lists), RegionalCategories(lists, "de")
    assert every.excluded("Spiele", WATCH, ["Music", "Sports"]) == "Sports"
    assert every.excluded("Spiele", WATCH, ["Gaming"]) == "Gaming"
    assert every.excluded("Spiele", WATCH, ["Gaming"], "FR") is None
    assert every.excluded("20", WATCH, ["Jeux"], "de") is None
    assert german.excluded("Spiele", WATCH, ["Sports"]) is None
    assert german.excluded("Spiele", WATCH, ["Sports"], "fr") == "Sports"
    assert german.excluded("Jeux", WATCH, ["20"], "XX") is None


def test_a_name_that_two_ids_share_goes_by_both() -> None:
    assert category_names("Comedy", WATCH) == {"comedy", "23", "34"}
    assert category_names("23", WATCH) == {"comedy", "23"}


def test_lists_are_read_by_region_from_files_and_folders(tmp_path: Path) -> None:
    write_list(tmp_path, "DE", {"20": "Spiele"})
    us = write_list(tmp_path, "US", {"20": "Gaming"})
    both = {"DE": {"20": "Spiele"}, "US": {"20": "Gaming"}}
    assert read_category_names([str(tmp_path)]) == both
    assert read_category_names([str(us)]) == {"US": both["US"]}
    assert read_category_names([str(tmp_path)], "de") == both
    assert read_category_names([]) == {}


@pytest.mark.parametrize("text", ["{}", "[]", "{", '{"items": [{"id": "1"}]}'])
def test_a_list_of_another_form_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "US_category_id.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match="expected a list of categories"):
        read_category_names([str(path)])


def test_a_missing_list_or_region_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"category_names: expected a file REGION"):
        read_category_names([str(tmp_path)])
    write_list(tmp_path, "US", {})
    with pytest.raises(ConfigError, match="expected one of the regions of"):
        read_category_names([str(tmp_path)], "FR")


def test_the_built_in_names_are_those_of_the_public_list(data_dir: Path) -> None:
    (names,) = read_category_names(
        [str(data_dir / "metadata" / "US_category_id.json")]
    ).values()
    assert names == YOUTUBE_CATEGORIES
