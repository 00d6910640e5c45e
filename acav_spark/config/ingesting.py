"""The sections ``input`` and ``ingest``: what is read, and which videos stay."""

from __future__ import annotations

from importlib import resources
from typing import Literal

from pydantic import Field, field_validator, model_validator

from acav_spark.config.language import LanguageConfig
from acav_spark.config.sections import Section

# pydantic reads annotations at run time.
from acav_spark.config.text_types import Place, Scheme  # noqa: TC001 - at run time

# The fields of a video that a column of metadata can fill.
VIDEO_FIELDS = (
    "video_id",
    "uri",
    "title",
    "description",
    "channel_id",
    "category",
    "tags",
    "licence",
    "duration_s",
    "language",
    "region",
)


class InputConfig(Section):
    """Where the videos, or the metadata about them, are."""

    uri: Place | list[Place] = Field(
        default="",
        description="What to read, one or several: folder, glob or file of media or of "
        "metadata, Delta folder, or table:NAME of the catalog.",
    )
    format: Literal[
        "auto", "media", "csv", "json", "jsonl", "url_json", "parquet", "delta", "uris"
    ] = Field(
        default="auto",
        description="What all inputs are; auto goes by names and content: a folder or "
        "a glob that matches more than metadata is media.",
    )
    columns: dict[str, str] = Field(
        default_factory=dict,
        description="Metadata column, or path such as snippet.title, for each of "
        f"{', '.join(VIDEO_FIELDS)}.",
    )
    allowed_schemes: list[Scheme] = Field(
        default=["file"],
        description="URI schemes that an input row may name: file, http, https, s3 and "
        "what else fsspec reads (docs/sources.md).",
    )
    allow_private_addresses: bool = Field(
        default=False,
        description="Whether URIs and redirects may lead to private, loopback and "
        "other special addresses, and to hosts that cannot be checked.",
    )
    max_download_mb: int = Field(
        default=2048, ge=1, description="Size in MiB of a remote file, at most."
    )
    download_timeout_s: float = Field(
        default=600.0,
        gt=0,
        description="Seconds of network that one opening of a remote file may take.",
    )
    stall_timeout_s: float = Field(
        default=30.0,
        gt=0,
        description="Seconds of silence after which a server counts as stalled.",
    )

    @property
    def uris(self) -> list[str]:
        """What to read, as a list; empty where nothing is named."""
        named = [self.uri] if isinstance(self.uri, str) else self.uri
        return [uri for uri in named if uri]

    @field_validator("columns")
    @classmethod
    def _columns_are_of_known_fields(cls, value: dict[str, str]) -> dict[str, str]:
        unknown = [name for name in value if name not in VIDEO_FIELDS]
        if unknown:
            msg = f"expected keys from {', '.join(VIDEO_FIELDS)}, got {unknown[:5]}"
            raise ValueError(msg)
        return value


class IngestConfig(Section):
    """Which videos are candidates (paper, section 3.1)."""

    min_duration_s: float = Field(
        default=30.0, ge=0, description="Shorter videos are rejected."
    )
    max_duration_s: float = Field(
        default=600.0, gt=0, description="Longer videos are rejected."
    )
    excluded_categories: list[str] = Field(
        default_factory=list, description="Categories that are rejected, by name or id."
    )
    excluded_keywords: list[str] = Field(
        default_factory=list,
        description="Words or phrases in title, description or tags that reject a "
        "video; whole words, without regard to case.",
    )
    excluded_topics: list[str] = Field(
        default_factory=list,
        description="Topics whose keywords reject a video: names of the lists in "
        "conf/keywords, or paths of your own .txt files, one keyword a line.",
    )
    category_names: list[str] = Field(
        default_factory=list,
        description="Names of categories in other languages: files "
        "REGION_category_id.json of the YouTube Data API, or folders of such.",
    )
    category_region: str = Field(
        default="",
        description="The region whose names count, such as DE, for videos that do not "
        "say theirs; empty: those of all regions.",
    )

    @field_validator("excluded_topics")
    @classmethod
    def _topics_are_known(cls, value: list[str]) -> list[str]:
        known = sorted(
            file.name.removesuffix(".txt")
            for file in resources.files("acav_spark")
            .joinpath("conf/keywords")
            .iterdir()
        )
        for name in value:
            if name not in known and not name.endswith(".txt"):
                msg = (
                    f"expected names among {', '.join(known)}, or paths that end in "
                    f".txt, got {name!r}"
                )
                raise ValueError(msg)
        return value

    language: LanguageConfig = Field(default_factory=LanguageConfig)

    @field_validator("excluded_keywords")
    @classmethod
    def _keywords_have_a_word(cls, value: list[str]) -> list[str]:
        wordless = [text for text in value if not any(c.isalnum() for c in text)]
        if wordless:
            msg = f"expected a letter or digit in each keyword, got {wordless[:5]}"
            raise ValueError(msg)
        return value

    @model_validator(mode="after")
    def _durations_are_ordered(self) -> IngestConfig:
        if self.min_duration_s > self.max_duration_s:
            msg = (
                f"expected min_duration_s of at most max_duration_s "
                f"({self.max_duration_s:g}), got {self.min_duration_s:g}"
            )
            raise ValueError(msg)
        return self
