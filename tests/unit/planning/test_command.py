"""``acav plan`` without Spark: what it prints and what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from acav_spark import cli
from acav_spark.config import load_config
from acav_spark.errors import ConfigError
from acav_spark.planning.job import media_of, settings_of
from acav_spark.planning.render import amount, hours, size

if TYPE_CHECKING:
    from pathlib import Path


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    cli.main(["plan", *words])
    return capsys.readouterr().out


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


def test_the_papers_plan_has_the_papers_funnel(
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = printed(capsys, "--videos", "140e6", "--config", "paper", "--json")
    plan = json.loads(out)
    assert plan["n_clips"] == pytest.approx(300e6)
    assert plan["n_selected"] == 100e6
    assert plan["n_clusters"] == 500
    stages = {one["name"]: one for one in plan["stages"]}
    assert list(stages) == [
        *("ingest_videos", "segment_clips", "find_duplicates", "extract_features"),
        *("fit_centroids", "assign_clusters", "select_clips", "publish_clips"),
    ]
    # 300 million clips of 74.33 * 2 * 10^9 operations at 6 % of 121 Tflop/s.
    assert stages["extract_features"]["gpu_hours"] == pytest.approx(1706.4, rel=1e-3)
    assert stages["extract_features"]["pool"] == "gpu"
    assert stages["select_clips"]["pool"] == "driver"
    # Two extractors of 4,856 and 1,088 dimensions of two bytes, and the ids.
    features = next(one for one in plan["tables"] if one["name"] == "features")
    assert features["n_bytes"] == pytest.approx(300e6 * (2 * (4856 + 1088) + 48))


def test_assumptions_are_printed_with_where_to_change_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = printed(capsys, "--videos", "1e6", "--mean-duration-s", "60")
    assert "--clips-per-video" in out
    assert "--mean-duration-s" not in out
    assert "Prices: 2025" in out
    assert "not measured" in out


def test_a_plan_needs_no_spark() -> None:
    code = (
        "import sys; from acav_spark.cli import main; "
        "main(['plan', '--videos', '5', '--json']); "
        "sys.exit('pyspark' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["n_videos"] == 5


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "expected --videos N, --from-input or --from-warehouse"),
        (["--videos", "5", "--gpu-share", "2"], "--gpu-share: expected a number in"),
        (["--videos", "-5"], "n_videos: expected a number >= 1, got -5"),
        (["--from-input", "--from-warehouse"], "expected one of"),
        (["--videos", "5", "--rates", "no.json"], "no.json: expected a file"),
        (["--videos", "5", "--hardware", "no.yaml"], "no.yaml: expected a file"),
        (["--videos", "5", "--set", "features.extractors=[{name: x}]"], "'x'"),
    ],
)
def test_what_cannot_be_planned_is_refused(
    capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as leave:
        cli.main(["plan", *words])
    assert leave.value.code == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_settings_are_those_of_the_configuration() -> None:
    settings, told = settings_of(
        load_config(
            None,
            [
                "clustering.n_clusters=[100, 500]",
                "selection.size=12.5%",
                "selection.pairing=diagonal",
                "publish.formats=[csv]",
            ],
        ).config
    )
    assert settings.n_clusters == (100, 500)
    assert settings.size == 0.125
    assert settings.n_pairs == 5
    assert settings.n_views == 10
    assert settings.n_formats == 1
    assert told == []


def test_an_input_without_media_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("video_id,title\na,b\n")
    config = load_config(None, [f'input.uri="{tmp_path}/list.csv"']).config
    with pytest.raises(ConfigError, match=r"expected media, got .*list\.csv without"):
        media_of(config)


def test_numbers_are_printed_with_the_digits_that_they_have() -> None:
    assert [hours(h) for h in (0, 0.01, 0.5, 30.0, 1000.0)] == [
        *("0 s", "36 s", "30 min", "30 h", "42 days")
    ]
    assert [hours(h) for h in (0.1, 1.5, 3.0, 150.0)] == [
        *("360 s", "90 min", "3.0 h", "6.2 days")
    ]
    assert [amount(x) for x in (0.0, 0.0123, 12.34, 1234567.0)] == [
        *("0", "0.012", "12.3", "1,234,567")
    ]
    assert [size(x) for x in (12, 2.5e9, 1.8e15)] == ["12 B", "2.5 GB", "1.8 PB"]
