from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acav_spark.config import (
    Config,
    Option,
    config_hash,
    describe_options,
    diff,
    load_config,
    redacted,
    section_hash,
    to_yaml,
)
from acav_spark.config.models import ClusteringConfig, IngestConfig

if TYPE_CHECKING:
    from pathlib import Path

# What people and file systems put into text, with the words that YAML reads otherwise.
_TEXT = st.text(max_size=30) | st.sampled_from(
    ["on", "no", "~", "null", "1e-2", "007", "1:30", "2026-01-01", "- a", "a: b", "#x"]
)
_NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(0, 2**63 - 1)
_PLAIN = st.recursive(
    _TEXT | _NUMBERS | st.booleans() | st.none(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3)
    ),
    max_leaves=8,
)


def reloaded(config: Config, folder: Path) -> Config:
    path = folder / "again.yaml"
    path.write_text(to_yaml(config), encoding="utf-8")
    return load_config(path).config


def test_defaults_survive_being_written_and_read(tmp_path: Path) -> None:
    assert reloaded(Config(), tmp_path) == Config()


@given(
    uri=_TEXT,
    keywords=st.lists(st.text("abcäß語 '\"", min_size=1).map(lambda t: t + "x")),
    spark=st.dictionaries(_TEXT, _TEXT, max_size=4),
    options=st.dictionaries(_TEXT, _PLAIN, max_size=4),
    rate=st.floats(0, 1, exclude_min=True),
    seed=st.integers(0, 2**63 - 1),
)
@settings(
    deadline=None,
    max_examples=60,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_values_survive_being_written_and_read(
    tmp_path: Path,
    uri: str,
    keywords: list[str],
    spark: dict[str, str],
    options: dict[str, Any],
    rate: float,
    seed: int,
) -> None:
    config = Config.model_validate(
        {
            "input": {"uri": uri},
            "ingest": {"excluded_keywords": keywords},
            "spark": spark,
            "features": {"extractors": [{"name": "a", "options": options}]},
            "clustering": {"learning_rate": rate, "seed": seed},
        }
    )
    again = reloaded(config, tmp_path)
    assert again == config
    assert config_hash(again) == config_hash(config)


@pytest.mark.parametrize(
    "option",
    # Options of list items stand in no section of their own.
    [option for option in describe_options() if "[]" not in option.path],
    ids=lambda option: option.path,
)
def test_the_printed_default_of_every_option_is_its_default(
    option: Option, tmp_path: Path
) -> None:
    *sections, name = option.path.split(".")
    text = f"{name}: {option.default}" if sections else "spark: {}"
    for section in reversed(sections):
        text = f"{section}: {{{text}}}"
    path = tmp_path / "one.yaml"
    path.write_text(text, encoding="utf-8")
    assert load_config(path).config == Config()


def test_every_option_has_a_meaning_and_a_path_that_can_be_set() -> None:
    options = describe_options()
    assert len({option.path for option in options}) == len(options) > 40
    assert all(option.description.endswith(".") for option in options)
    assert all(option.allowed and option.type for option in options)
    learning_rate = next(o for o in options if o.path == "clustering.learning_rate")
    assert learning_rate.default == "0.01"
    assert learning_rate.allowed == "a number in (0, 1]"
    assert learning_rate.type == "number"


def test_the_hash_has_the_documented_form() -> None:
    # sha256 of [{"a":[1,2.5,"x",true,null]}], as sha256sum gives it.
    value = {"a": [1, 2.5, "x", True, None]}
    assert section_hash(value) == "0a3049048f10eca7"


def test_the_hash_is_the_same_in_another_process() -> None:
    code = "from acav_spark.config import *; print(config_hash(Config()))"
    shown = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        check=True,
        text=True,
        env={"PYTHONHASHSEED": "77"},
    ).stdout
    assert shown.strip() == config_hash(Config())


def test_the_hash_ignores_spelling_and_sees_values() -> None:
    @dataclass
    class Part:
        x: float

    base = section_hash({"a": 1, "b": [2, 3]}, "x")
    assert base == section_hash({"b": (2.0, 3), "a": 1.0}, "x")
    different = [
        section_hash({"a": 1, "b": [3, 2]}, "x"),
        section_hash({"a": True, "b": [2, 3]}, "x"),
        section_hash({"a": "1", "b": [2, 3]}, "x"),
        section_hash({"a": 1, "b": [2, 3]}, "x", None),
        section_hash("x", {"a": 1, "b": [2, 3]}),
        section_hash([{"a": 1, "b": [2, 3]}, "x"]),
    ]
    assert len({base, *different}) == len(different) + 1
    assert section_hash("ab", "c") != section_hash("a", "bc")
    assert section_hash(0.0) == section_hash(-0.0) == section_hash(0)
    assert section_hash(Part(2.0)) == section_hash({"x": 2})
    assert section_hash(np.float64(0.5)) == section_hash(0.5)


def test_a_section_counts_with_its_defaults() -> None:
    assert section_hash(ClusteringConfig()) == section_hash(ClusteringConfig(seed=0))
    assert section_hash(ClusteringConfig()) != section_hash(ClusteringConfig(seed=1))
    assert section_hash(IngestConfig()) == section_hash(IngestConfig().model_dump())


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1: 2}, {1}, b"x"])
def test_what_has_no_one_spelling_is_not_hashed(value: object) -> None:
    with pytest.raises(ValueError, match="section_hash: expected"):
        section_hash([value])


def test_secrets_are_not_shown() -> None:
    spark = {
        "spark.hadoop.fs.s3a.secret.key": "s",
        "spark.hadoop.fs.s3a.access.key": "a",
        "spark.hadoop.fs.azure.account.key.x.dfs.core.windows.net": "z",
        "spark.master": "local[2]",
    }
    shown = redacted(Config(spark=spark, clustering=ClusteringConfig(seed=5)))
    assert shown.clustering.seed == 5
    assert shown.spark["spark.master"] == "local[2]"
    assert set(shown.spark) == set(spark)
    assert not {"s", "a", "z"} & set(shown.spark.values())


def test_differences_are_one_line_each_and_sorted() -> None:
    old = {"clustering": {"n_clusters": 100, "seed": 1}, "list": [1], "gone": 1.5}
    new = {"clustering": {"n_clusters": 200, "seed": 1.0}, "list": [1, 2], "new": ""}
    assert diff(old, new) == [
        "clustering.n_clusters: 100 -> 200",
        "gone: 1.5 -> (not set)",
        "list: [1] -> [1, 2]",
        'new: (not set) -> ""',
    ]
    assert diff(old, old) == []


def test_differences_tell_text_from_numbers_and_long_values_apart() -> None:
    assert diff({"a": "1"}, {"a": 1}) == ['a: "1" -> 1']
    assert diff({"a": "true"}, {"a": True}) == ['a: "true" -> true']
    lines = diff({"a": "x" * 1000}, {"a": "x" * 1001})
    assert len(lines) == 1
    assert len(lines[0]) < 450
    before, after = lines[0].removeprefix("a: ").split(" -> ")
    assert before != after
