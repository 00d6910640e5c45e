"""The section ``selection``: which clips are chosen, how, and under which limits."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from acav_spark.config.scoring import (
    ContrastiveConfig,
    RankingConfig,
    SimilarityConfig,
)
from acav_spark.config.sections import MAX_LONG, Section

# pydantic reads annotations at run time.
from acav_spark.config.text_types import Name  # noqa: TC001 - at run time

_SHARE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*%")
_SLOPE = re.compile(r"(linear|exp)\(\s*(-?[0-9]+(?:\.[0-9]+)?)\s*\)")
# Settings that only the broadcast engine reads.
_BROADCAST_ONLY = frozenset({"n_lanes", "max_round_growth"})
# How a prior, pmi and mixture read the population (selection/shrinkage.py).
_POPULATION_COUNTS = "the judged clip left out, half a clip added"
# Settings that change no pick, or only how many there are.
_SHAPELESS = frozenset({"name", "size", "allow_fewer", "when_inputs_grow", "n_threads"})
# Methods that score each clip on its own, by its feature vectors.
SCORED = frozenset(
    {"contrastive", "ranking_inner", "ranking_cos", "ranking_l2", "similarity"}
)
# Sections that only those methods read.
_SCORED_ONLY = frozenset({"contrastive", "ranking", "similarity"})


class SelectionConfig(Section):
    """How clips are chosen (paper, Algorithm 1)."""

    name: Name = Field(default="main", description="Name of the selection.")
    engine: Literal["driver", "broadcast"] = Field(
        default="driver",
        description="driver: exact, in the memory of one machine; broadcast: in lanes "
        "on all executors, near the same objective.",
    )
    method: Literal[
        "batch_greedy",
        "released",
        "greedy",
        "pmi",
        "mixture",
        "random",
        "contrastive",
        "ranking_inner",
        "ranking_cos",
        "ranking_l2",
        "similarity",
    ] = Field(
        default="batch_greedy",
        description="batch_greedy is Algorithm 1 (also called mutual_information); "
        "released scores a batch once, as the authors' code does; greedy is "
        "Algorithm 2; pmi ranks by pointwise mutual information, mixture "
        "by how likely a clip corresponds in a population where some do; random is "
        "a baseline. contrastive ranks by trained projections (section 3.3.1), "
        "ranking_* by how alike the features of two views are, similarity by the "
        "cosine of joint embeddings; they run on all executors, whatever engine says.",
    )
    contrastive: ContrastiveConfig = Field(default_factory=ContrastiveConfig)
    ranking: RankingConfig = Field(default_factory=RankingConfig)
    similarity: SimilarityConfig = Field(default_factory=SimilarityConfig)
    mixture_share: float = Field(
        default=0.4,
        gt=0,
        lt=1,
        description="Method mixture: share of all clips that is taken to correspond.",
    )
    size: Annotated[int, Field(ge=1)] | str = Field(
        default="50%",
        description="Clips to select: a count, or a share such as 50%.",
        json_schema_extra={
            "allowed": "a count of at least 1, or a share in (0%, 100%] such as 50%"
        },
    )
    batch_size: int = Field(
        default=10_000, ge=1, description="Candidates drawn for a batch (b)."
    )
    per_batch: int = Field(
        default=500, ge=1, description="Clips taken from a batch (s)."
    )
    pairing: Literal["diagonal", "bipartite", "combination"] | list[list[int]] = Field(
        default="combination",
        description="Pairs of views whose information is summed, by the paper's name "
        "or each by two view positions.",
        json_schema_extra={
            "allowed": "'diagonal', 'bipartite', 'combination', or a list of pairs of "
            "view positions such as [[0, 5], [1, 6]]"
        },
    )
    weights: str | list[float] = Field(
        default="uniform",
        description="Weight of each layer by its position in its extractor; a pair's "
        "is the geometric mean of its two layers'.",
        json_schema_extra={
            "allowed": "'uniform', 'linear(K)', 'exp(K)', or a list of one number "
            "above 0 a layer"
        },
    )
    prior: Annotated[float, Field(ge=0)] | Literal["recommended"] = Field(
        default=0.0,
        description="Strength of the population's counts as pseudo-counts; recommended "
        "is 8 a cell in the mean; 0 is the paper, which begins with empty tables.",
    )
    where: str = Field(
        default="",
        description="SQL condition that a selected clip satisfies, over the columns of "
        "clips and videos; duration_s is the clip's, video_duration_s the video's.",
    )
    max_per_group: dict[str, Annotated[int, Field(ge=1)]] = Field(
        default_factory=dict,
        description="At most so many clips of each value of a column of clips or "
        "videos, such as video_id or channel_id; unknown values are not limited.",
    )
    quotas: dict[str, dict[str, Annotated[int, Field(ge=0)] | str]] = Field(
        default_factory=dict,
        description="Upper bounds by column and value: a count, or a share of the "
        "selection such as 20%; values that are not named have none.",
        json_schema_extra={
            "allowed": "a mapping from column to a mapping from value to a count or a "
            "share such as 20%"
        },
    )
    must_include: list[str] | str = Field(
        default_factory=list,
        description="Clips that are selected first, whatever they gain: ids, a file "
        "with a column clip_id (Parquet, CSV), or a query that returns one.",
        json_schema_extra={
            "allowed": "a list of clip ids, a file's path, or text that begins with "
            "SELECT"
        },
    )
    must_exclude: list[str] | str = Field(
        default_factory=list,
        description="Clips that are never selected, named in the same ways.",
        json_schema_extra={
            "allowed": "a list of clip ids, a file's path, or text that begins with "
            "SELECT"
        },
    )
    allow_fewer: bool = Field(
        default=False,
        description="Select all clips when more are asked for than there are, "
        "instead of refusing.",
    )
    when_inputs_grow: Literal["extend", "anew"] = Field(
        default="extend",
        description="When clips were added: extend the selection, keeping its picks, "
        "or make a new one under the next free name.",
    )
    seed: int = Field(
        default=0, ge=0, le=MAX_LONG, description="Seed of the drawn batches."
    )
    n_threads: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Threads of the driver engine; no result depends on it.",
    )
    n_lanes: int = Field(
        default=64,
        ge=1,
        le=4096,
        description="Lanes of the broadcast engine, by hash of the clip id.",
    )
    max_round_growth: float = Field(
        default=0.05,
        gt=0,
        le=1,
        description="A round of the broadcast engine adds at most this share of what "
        "is selected; bounds how stale its counts are.",
    )

    @field_validator("method", mode="before")
    @classmethod
    def _objective_names_its_algorithm(cls, value: object) -> object:
        return "batch_greedy" if value == "mutual_information" else value

    @field_validator("size")
    @classmethod
    def _size_is_a_count_or_share(cls, value: int | str) -> int | str:
        if isinstance(value, str) and not _is_share(value):
            msg = (
                "expected a count such as 500, or a share in (0%, 100%] such as "
                f"50%, got text {value[:50]!r}"
            )
            raise ValueError(msg)
        return value

    @field_validator("pairing")
    @classmethod
    def _pairs_are_of_two_views(
        cls, value: str | list[list[int]]
    ) -> str | list[list[int]]:
        if isinstance(value, str):
            return value
        wrong = [
            pair
            for pair in value
            if len(pair) != 2 or min(pair) < 0 or pair[0] == pair[1]
        ]
        if wrong or not value:
            msg = (
                "expected one pair or more, each of two different view positions from "
                f"0, got {wrong[:5] or 'none'}"
            )
            raise ValueError(msg)
        distinct = {frozenset(pair) for pair in value}
        if len(distinct) < len(value):
            msg = f"expected each pair once, got {len(value) - len(distinct)} again"
            raise ValueError(msg)
        return value

    @field_validator("weights")
    @classmethod
    def _weights_are_known(cls, value: str | list[float]) -> str | list[float]:
        if isinstance(value, str):
            if value != "uniform" and not _SLOPE.fullmatch(value):
                msg = (
                    "expected uniform, linear(K) or exp(K) with a number K, or a list, "
                    f"got text {value[:50]!r}"
                )
                raise ValueError(msg)
        elif not value or min(value) <= 0:
            msg = f"expected one number above 0 for each layer, got {value[:5]}"
            raise ValueError(msg)
        return value

    @field_validator("quotas")
    @classmethod
    def _quotas_are_counts_or_shares(
        cls, value: dict[str, dict[str, int | str]]
    ) -> dict[str, dict[str, int | str]]:
        for column, bounds in value.items():
            for label, bound in bounds.items():
                if isinstance(bound, str) and not _is_share(bound):
                    msg = (
                        "expected a count, or a share in (0%, 100%] such as 20%, got "
                        f"text {bound[:50]!r} for {column} {label!r}"
                    )
                    raise ValueError(msg)
        return value

    @model_validator(mode="after")
    def _per_batch_fits_batch(self) -> SelectionConfig:
        if self.per_batch > self.batch_size:
            msg = (
                f"expected per_batch of at most batch_size ({self.batch_size}), got "
                f"{self.per_batch}"
            )
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _engine_knows_method(self) -> SelectionConfig:
        is_any = self.method == "batch_greedy" or self.method in SCORED
        if self.engine == "broadcast" and not is_any:
            msg = (
                f"expected method batch_greedy with engine broadcast, got "
                f"{self.method}: choose engine driver for it"
            )
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _weights_are_of_clusters(self) -> SelectionConfig:
        if self.method in SCORED and self.weights != "uniform":
            msg = (
                f"expected weights uniform with method {self.method}, which does "
                f"not weigh layers, got {self.weights}"
            )
            raise ValueError(msg)
        return self

    def shape(self) -> dict[str, object]:
        """Return what the picks hang on, as plain values: all settings that shape them.

        Not for methods that score clips, which have settings of their own. Where the
        population's counts take part, also how they are read, so that picks of an
        earlier reading count as made under other settings.
        """
        aside = _SHAPELESS | _SCORED_ONLY
        aside |= _BROADCAST_ONLY if self.engine == "driver" else set()
        aside |= {"mixture_share"} if self.method != "mixture" else set()
        settings: dict[str, object] = self.model_dump(mode="json", exclude=set(aside))
        if self.prior != 0 or self.method in ("pmi", "mixture"):
            settings["population_counts"] = _POPULATION_COUNTS
        return settings

    def slope(self) -> tuple[str, float] | None:
        """Return the name and the number of weights on a line or curve, else None."""
        match = (
            _SLOPE.fullmatch(self.weights) if isinstance(self.weights, str) else None
        )
        return (match[1], float(match[2])) if match else None


def _is_share(text: str) -> bool:
    match = _SHARE.fullmatch(text)
    return match is not None and 0 < float(match[1]) <= 100
