"""The section ``features``: which networks look at and listen to the clips."""

from __future__ import annotations

import json
import re
from typing import Any

from pydantic import Field, field_validator, model_validator

from acav_spark.config.importing import ImportedConfig
from acav_spark.config.sections import Section
from acav_spark.config.text_types import NAME_PATTERN, NAME_RULE


class ExtractorConfig(Section):
    """One extractor and its options."""

    name: str = Field(
        min_length=1,
        description="Registered name, 'package.module:Class' of your own, or any name "
        "for vectors that are imported.",
    )
    options: dict[str, Any] = Field(
        default_factory=dict, description="Keyword arguments of the extractor."
    )
    imported: ImportedConfig = Field(default_factory=ImportedConfig)

    @field_validator("options")
    @classmethod
    def _options_are_plain(cls, value: dict[str, Any]) -> dict[str, Any]:
        # Options travel to executors and into hashes as JSON.
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            msg = (
                "expected plain values (text, finite numbers, true, false, lists, "
                f"mappings), got {error}"
            )
            raise ValueError(msg) from error
        return value

    @model_validator(mode="after")
    def _imported_names_are_plain(self) -> ExtractorConfig:
        if not self.imported.modality:
            return self
        if not re.fullmatch(NAME_PATTERN, self.name):
            msg = f"expected {NAME_RULE}, where imported, got {self.name!r}"
            raise ValueError(msg)
        if self.options:
            msg = "expected no options beside imported, since nothing is computed"
            raise ValueError(msg)
        return self


class FeaturesConfig(Section):
    """Which networks look at and listen to the clips (paper, section 3.2)."""

    extractors: list[ExtractorConfig] = Field(
        default=[
            ExtractorConfig(name="handcrafted_visual"),
            ExtractorConfig(name="handcrafted_audio"),
        ],
        min_length=1,
        description="Extractors, in the order of the views.",
    )
    visual: str = Field(
        default="",
        description="In place of extractors: name of the visual one, without options.",
    )
    audio: str = Field(
        default="",
        description="In place of extractors: name of the audio one, without options.",
    )

    @model_validator(mode="before")
    @classmethod
    def _names_become_extractors(cls, given: Any) -> Any:  # noqa: ANN401 - not checked yet
        if not isinstance(given, dict) or not (
            given.get("visual") or given.get("audio")
        ):
            return given
        rest = {k: v for k, v in given.items() if k not in ("visual", "audio")}
        if "extractors" in rest:
            msg = "expected visual and audio, or extractors, got both. Leave one out"
            raise ValueError(msg)
        names = [
            given.get(modality) or f"handcrafted_{modality}"
            for modality in ("visual", "audio")
        ]
        return {**rest, "extractors": [{"name": name} for name in names]}

    @field_validator("extractors")
    @classmethod
    def _names_are_unique(cls, value: list[ExtractorConfig]) -> list[ExtractorConfig]:
        names = [extractor.name for extractor in value]
        if len(set(names)) != len(names):
            msg = f"expected each extractor once, got {names}"
            raise ValueError(msg)
        return value
