"""Videos are kept or rejected by the language of their text, whatever their order."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from contents import contents

from acav_spark.errors import ConfigError
from acav_spark.pipeline import run_stages, stages_named
from acav_spark.report.counts_job import gather_counts

if TYPE_CHECKING:
    from pathlib import Path

    from curation import MakeContext

    from acav_spark.context import StageContext
    from acav_spark.runs import StageResult

TEXTS = {
    "en": "The quick brown fox jumps over the lazy dog near the river bank.",
    "fr": "Bonjour à tous, bienvenue sur ma chaîne de cuisine.",
    "ru": "Привет друзья, сегодня мы будем готовить борщ",
    "und": "IMG_20190203",
}


@pytest.fixture
def model(data_dir: Path) -> str:
    path = data_dir / "lid" / "lid.176.ftz"
    if not path.is_file():
        pytest.skip(f"no model of languages: {path}")
    return f"ingest.language.model={path}"


def _rows(*languages: str, first: int = 0) -> list[dict[str, object]]:
    """Return rows of metadata with a text in each language."""
    return [
        {
            "id": f"vid{number:02d}",
            "url": f"file:///somewhere/{number}.mp4",
            "title": TEXTS[language][:30],
            "description": TEXTS[language][30:],
            "duration": 60,
            "language": "xx",
        }
        for number, language in enumerate(languages, first)
    ]


def _write(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def _ingested(context: StageContext) -> StageResult:
    (result,) = run_stages(context, stages_named(["ingest_videos"]))
    return result


def _states(context: StageContext) -> dict[str, tuple[str, str | None]]:
    rows = context.warehouse.read("videos").collect()
    return {r["video_id"]: (r["detected_language"], r["reject_reason"]) for r in rows}


def test_languages_up_to_the_ratio_are_kept_and_a_table_that_grew_is_that_of_one_run(
    make_context: MakeContext, tmp_path: Path, model: str
) -> None:
    settings = (model, "ingest.language.cumulative_ratio=0.5")
    # Too short for the other filters: it counts for no language.
    short = {**_rows("en", first=90)[0], "duration": 0.1}
    first = [*_rows("fr", "fr", "en", "und"), short]
    growing = make_context(*settings, inputs=_write(tmp_path / "a.jsonl", first))
    result = _ingested(growing)
    assert _states(growing) == {
        "vid00": ("fr", None),
        "vid01": ("fr", None),
        "vid02": ("en", "excluded_language"),
        "vid03": ("und", "excluded_language"),
        "vid90": (None, "too_short"),
    }
    assert (result.n_in, result.n_rejected) == (5, 3)

    everything = [*_rows("en", "ru", "en", "en", first=10), *first]
    path = _write(tmp_path / "b.jsonl", everything)
    growing = make_context(*settings, inputs=path)
    result = _ingested(growing)

    # Four of seven are English now; French ones go, the first English one comes back.
    metrics = result.metrics
    assert (result.n_rejected, metrics["n_restored"]) == (3, 1)
    assert (metrics["n_language_en"], metrics["n_language_und"]) == (4, 1)
    assert metrics["language_ratio"] == pytest.approx(4 / 7)
    assert "kept: en 57.1%; together 57.1% of 7 videos" in result.message
    assert growing.ledger.last_metrics("ingest_videos", "") == pytest.approx(metrics)
    whole = make_context(*settings, root=tmp_path / "at once", inputs=path)
    _ingested(whole)
    assert contents(growing.warehouse, "videos") == contents(whole.warehouse, "videos")
    # What the source says of the language is left alone.
    given = growing.warehouse.read("videos").select("language").distinct().collect()
    assert [row["language"] for row in given] == ["xx"]
    assert _ingested(growing).is_unchanged


def test_a_fixed_list_keeps_what_it_names_and_the_report_counts_it(
    make_context: MakeContext, tmp_path: Path, model: str
) -> None:
    inputs = _write(tmp_path / "rows.jsonl", _rows("fr", "fr", "en", "ru", "und"))
    context = make_context(model, "ingest.language.keep=[en, fr]", inputs=inputs)

    result = _ingested(context)

    states = _states(context)
    kept = {name for name, (_, reason) in states.items() if reason is None}
    assert kept == {"vid00", "vid01", "vid02"}
    assert "1 of unknown language rejected" in result.message
    steps, rejections, _ = gather_counts(context)
    (accepted,) = (step for step in steps if step.label == "Accepted")
    assert accepted.note == "2 rejected, 0 failed; languages: fr 66.7%, en 33.3%"
    assert [(r.reason, r.n) for r in rejections] == [("excluded_language", 2)]


def test_files_without_a_telling_name_are_of_unknown_language(
    make_context: MakeContext, model: str, videos: Path
) -> None:
    context = make_context(model, "ingest.language.keep=[und]", inputs=videos)

    _ingested(context)

    states = set(_states(context).values())
    assert states == {("und", None)}


def test_without_a_model_nothing_runs(make_context: MakeContext, videos: Path) -> None:
    context = make_context("ingest.language.cumulative_ratio=0.9", inputs=videos)
    with pytest.raises(ConfigError, match=r"lid\.176\.ftz"):
        _ingested(context)
    assert not context.warehouse.exists("videos")
