"""Where the vectors of an extractor come from that somebody else has run."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from acav_spark.config.sections import Section

# pydantic reads annotations at run time.
from acav_spark.config.text_types import Place  # noqa: TC001 - at run time


class ImportedConfig(Section):
    """Vectors that are there already, such as those of CLIP, CLAP or ImageBind."""

    modality: str = Field(
        default="",
        pattern=r"^([a-z][a-z0-9_\-]*)?$",
        json_schema_extra={
            "allowed": "a lower-case word such as visual, audio or text; or nothing"
        },
        description="What the vectors are of; empty: they are not imported.",
    )
    uri: Place | list[Place] = Field(
        default="",
        description="What to import, one or several: Parquet, .npy, tar shards of "
        "WebDataset, Delta folder, or table:NAME of the catalog; empty: what "
        "'acav import-features' has imported.",
    )
    format: Literal["auto", "parquet", "delta", "npy", "webdataset"] = Field(
        default="auto", description="What all inputs are; auto goes by their names."
    )
    id_column: str = Field(
        default="id", min_length=1, description="Column of ids, of Parquet and Delta."
    )
    layers: list[str] = Field(
        default_factory=list,
        description="One name a layer, early to late: a column, the .npy files of a "
        "folder, or endings of the members of a tar; empty: the only one there is.",
    )
    ids_uri: Place | list[Place] = Field(
        default="",
        description="Ids of .npy, row by row: text with one a line, or .npy; as many "
        "files as uri has.",
    )
    uri_column: str = Field(
        default="", description="Column of the item's own address, if there is one."
    )
    start_column: str = Field(
        default="", description="Column of the start in seconds, if there is one."
    )
    end_column: str = Field(
        default="", description="Column of the end in seconds, if there is one."
    )
    binary_type: Literal["float16", "float32"] = Field(
        default="float16",
        description="Little-endian numbers of a column of bytes.",
    )
    version: str = Field(
        default="",
        max_length=200,
        description="Name of the model's version; empty: the first source and a hash "
        "of what it holds.",
    )

    @property
    def uris(self) -> list[str]:
        """What to import, as a list; empty where nothing is named."""
        return _as_list(self.uri)

    @property
    def ids_uris(self) -> list[str]:
        """Files of ids, as a list; empty where none is named."""
        return _as_list(self.ids_uri)

    @model_validator(mode="after")
    def _parts_fit(self) -> ImportedConfig:
        if self.uris and not self.modality:
            msg = "expected a modality, such as visual, audio or text, beside the uri"
            raise ValueError(msg)
        if bool(self.start_column) != bool(self.end_column):
            msg = (
                "expected start_column and end_column, or neither, got "
                f"{self.start_column or self.end_column!r} alone"
            )
            raise ValueError(msg)
        return self


def _as_list(named: str | list[str]) -> list[str]:
    found = [named] if isinstance(named, str) else named
    return [one for one in found if one]
