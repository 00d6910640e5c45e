"""The section ``features``: extractors, or the names of one of each kind."""

from __future__ import annotations

import pytest

from acav_spark.config import load_config
from acav_spark.config.models import Config
from acav_spark.errors import ConfigError


def names(*settings: str) -> list[str]:
    config = load_config(None, ["input.uri=x", "storage.root=y", *settings]).config
    return [extractor.name for extractor in config.features.extractors]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ([], ["handcrafted_visual", "handcrafted_audio"]),
        (
            ["features.visual=slowfast_r50", "features.audio=vggish"],
            ["slowfast_r50", "vggish"],
        ),
        (["features.audio=vggish"], ["handcrafted_visual", "vggish"]),
        (["features.visual=mine:Net"], ["mine:Net", "handcrafted_audio"]),
    ],
)
def test_names_are_extractors(settings: list[str], expected: list[str]) -> None:
    assert names(*settings) == expected


def test_names_beside_extractors_are_refused() -> None:
    with pytest.raises(ConfigError, match="expected visual and audio, or extractors"):
        names("features.visual=a", "features.extractors=[{name: b}]")


def test_a_configuration_survives_being_stored() -> None:
    settings = ["input.uri=x", "features.visual=slowfast_r50"]
    config = load_config(None, settings).config
    assert Config.model_validate(config.model_dump(mode="json")) == config
