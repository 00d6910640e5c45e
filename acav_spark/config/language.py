"""The section ``ingest.language``: which languages candidate videos are in."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from acav_spark.config.sections import Section

# pydantic reads annotations at run time.
from acav_spark.config.text_types import Place  # noqa: TC001 - at run time

# Of the published lid.176.ftz, in which every language has its code.
_SHA256 = "8f3472cfe8738a7b6099e8e999c3cbfae0dcd15696aac7d7738a8039db603e83"
_Code = Annotated[
    str,
    Field(
        pattern=r"^[a-z]{2,3}$",
        json_schema_extra={"allowed": "a language code such as en or ceb, or und"},
    ),
]


class LanguageConfig(Section):
    """Which languages are kept (paper, section 3.1); by default every one."""

    cumulative_ratio: Annotated[float, Field(gt=0, le=1)] | None = Field(
        default=None,
        description="The most frequent languages are kept that together make up this "
        "share of the otherwise accepted videos whose language is known; null: no "
        "filter.",
    )
    keep: list[_Code] = Field(
        default_factory=list,
        description="Languages that are kept, in place of cumulative_ratio; und stands "
        "for videos whose language is not known.",
    )
    min_probability: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Below this probability a language counts as not known (und).",
    )
    model: Place = Field(
        default="",
        description="fastText's lid.176.ftz: a path that every machine has, or a URL, "
        "which each machine fetches once.",
    )
    sha256: str = Field(
        default=_SHA256,
        pattern=r"^[0-9a-f]{64}$",
        json_schema_extra={"allowed": "64 hexadecimal digits, lower case"},
        description="SHA-256 of the model, by default that of the published file.",
    )
    cache_dir: Place = Field(
        default="",
        description="Folder for models that were fetched; empty: one below the "
        "folder for temporary files.",
    )

    @property
    def is_on(self) -> bool:
        """Whether videos are filtered by language."""
        return self.cumulative_ratio is not None or bool(self.keep)

    @model_validator(mode="after")
    def _is_by_ratio_or_by_list(self) -> LanguageConfig:
        if self.keep and self.cumulative_ratio is not None:
            msg = (
                "expected cumulative_ratio or keep, got both "
                f"({self.cumulative_ratio:g} and {self.keep[:5]})"
            )
            raise ValueError(msg)
        return self
