from __future__ import annotations

from pathlib import Path

import pytest

from acav_spark.config import load_config, options_markdown
from acav_spark.config.ingesting import VIDEO_FIELDS
from acav_spark.config.models import Config
from acav_spark.ingest.metadata import FIELDS
from acav_spark.ingest.words import KeywordMatcher

CONF = Path(__file__).parents[3] / "conf"


def conf(name: str) -> Config:
    return load_config(CONF / name).config


# What the planner reckons with is no configuration.
CONFIGURATIONS = sorted(
    {*CONF.glob("*.yaml")} - {CONF / "prices.yaml", CONF / "hardware.yaml"}
)


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda p: p.name)
def test_every_configuration_in_conf_loads(path: Path) -> None:
    config = load_config(path).config
    KeywordMatcher(config.ingest.excluded_keywords)


def test_paper_yaml_holds_the_values_of_the_paper() -> None:
    config = conf("paper.yaml")
    ingest, segmentation = config.ingest, config.segmentation
    assert (ingest.min_duration_s, ingest.max_duration_s) == (30, 600)
    assert {"Gaming", "Music"} <= set(ingest.excluded_categories)
    assert ingest.language.cumulative_ratio == 0.9
    assert (segmentation.clip_duration_s, segmentation.max_clips_per_video) == (10, 3)
    assert [e.name for e in config.features.extractors] == ["slowfast_r50", "vggish"]
    clustering = config.clustering
    assert clustering.n_clusters == 500
    assert clustering.n_epochs == 100
    assert clustering.minibatch_size == 100_000
    assert clustering.learning_rate == 0.01
    selection = config.selection
    assert selection.method == "batch_greedy"
    assert (selection.batch_size, selection.per_batch) == (10_000, 500)
    assert selection.pairing == "combination"
    assert selection.prior == 0
    assert selection.size == 100_000_000


def test_recommended_yaml_differs_from_the_paper_where_the_study_says_so() -> None:
    config, paper = conf("recommended.yaml"), conf("paper.yaml")
    selection = config.selection
    assert selection.method == "batch_greedy"
    assert selection.pairing == "bipartite"
    assert selection.prior == "recommended"
    # A share, so that it fits any collection.
    assert selection.size == "30%"
    assert config.clustering.n_clusters == "auto"
    assert (selection.batch_size, selection.per_batch) == (10_000, 100)
    assert selection.weights == paper.selection.weights == "uniform"
    for name in ("ingest", "segmentation", "features"):
        assert getattr(config, name) == getattr(paper, name)


def test_picks_by_the_population_tell_how_its_counts_were_read() -> None:
    plain = conf("paper.yaml").selection
    assert "population_counts" not in plain.shape()
    for change in ({"prior": 0.1}, {"prior": "recommended"}, {"method": "pmi"}):
        shape = plain.model_copy(update=change).shape()
        assert "left out" in str(shape["population_counts"])
    assert plain.model_copy(update={"size": 3}).shape() == plain.shape()
    assert "n_lanes" not in plain.shape()
    assert "n_lanes" in plain.model_copy(update={"engine": "broadcast"}).shape()


def test_the_share_of_a_mixture_is_of_no_matter_to_other_methods() -> None:
    plain = conf("paper.yaml").selection
    other = plain.model_copy(update={"mixture_share": 0.2})
    assert other.shape() == plain.shape()
    mixture, changed = (
        one.model_copy(update={"method": "mixture"}).shape() for one in (plain, other)
    )
    assert mixture != changed
    assert "left out" in str(mixture["population_counts"])


def test_local_yaml_takes_nearly_every_video() -> None:
    config = conf("local.yaml")
    assert config.ingest.min_duration_s == 5
    assert config.ingest.max_duration_s >= 36_000
    assert config.ingest.excluded_keywords == config.ingest.excluded_categories == []
    assert not config.ingest.language.is_on
    assert config.clustering.n_clusters == "auto"
    assert config.clustering.preprocess == "standardise"
    assert config.selection.size == "50%"


def test_demo_yaml_reads_the_corpus_where_it_is_written() -> None:
    config = conf("demo.yaml")
    assert config.input.uri == "demo/corpus/videos"
    assert config.storage.root == "demo/warehouse"
    assert config.report.labels_uri == "demo/corpus/labels.csv"
    assert config.ingest.min_duration_s <= config.segmentation.clip_duration_s
    assert config.selection.pairing == "bipartite"


def test_columns_may_be_named_for_every_field_of_a_video() -> None:
    assert VIDEO_FIELDS == FIELDS


def test_the_reference_has_a_row_for_every_option() -> None:
    page = options_markdown()
    assert (
        "| `clustering.learning_rate` | a number in (0, 1] | `0.01` | Rate of" in page
    )
    assert (
        "| `features.extractors[].name` | text that is not empty | required |" in page
    )
    for section in Config.model_fields:
        assert f"\n## {section}\n" in page
    rows = [line for line in page.split("\n") if line.startswith("| `")]
    assert all(line.count("|") == 5 for line in rows)
