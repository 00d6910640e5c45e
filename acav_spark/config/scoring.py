"""Parts of the section ``selection`` that methods with a score of their own read."""

from __future__ import annotations

from pydantic import Field, field_validator, model_validator

from acav_spark.config.sections import Section


class ContrastiveConfig(Section):
    """What ``contrastive`` trains (paper, sections 3.3.1, 4.1 and 5)."""

    layers: list[str] = Field(
        default_factory=list,
        description="With contrastive: the two views that heads are trained on, of two "
        "extractors; by default the last layers of the two that there are. NAME is its "
        "last layer, 'NAME layer N' another.",
        json_schema_extra={
            "allowed": "two names such as [slowfast_r50, 'vggish layer 5']"
        },
    )
    dimensions: int = Field(
        default=128, ge=1, description="With contrastive: length of an embedding."
    )
    temperature: float = Field(
        default=0.1,
        ge=1e-3,
        description="With contrastive: temperature of the loss (equation 1).",
    )
    learning_rate: float = Field(
        default=2e-4,
        gt=0,
        description="With contrastive: learning rate of Adam with AMSGrad.",
    )
    n_epochs: int = Field(
        default=100,
        ge=1,
        description="With contrastive: passes over the sample; the paper has 100 over "
        "its retrieval sets and 3 over 100 million clips.",
    )
    batch_size: int = Field(
        default=1024,
        ge=2,
        description="With contrastive: clips that are contrasted with each other; the "
        "paper has 10 in its retrieval sets and 1024 otherwise.",
    )
    max_rows: int = Field(
        default=200_000,
        ge=2,
        description="With contrastive: clips that the heads are trained on, drawn by "
        "hash; all where there are fewer. Their vectors lie in the memory of "
        "the processes together, two bytes a number.",
    )
    n_processes: int = Field(
        default=1,
        ge=1,
        le=1024,
        description="With contrastive: tasks that train together, each with a share of "
        "every batch; they have to run at the same time. Scores do not depend on it "
        "but for rounding. More than one needs torch.",
    )

    @field_validator("layers")
    @classmethod
    def _layers_are_two(cls, value: list[str]) -> list[str]:
        if value and (len(value) != 2 or value[0] == value[1]):
            msg = f"expected two different names, or none, got {value[:5]}"
            raise ValueError(msg)
        return value

    @model_validator(mode="after")
    def _batches_can_be_shared(self) -> ContrastiveConfig:
        if self.n_processes > self.batch_size:
            msg = (
                f"expected n_processes of at most batch_size ({self.batch_size}), got "
                f"{self.n_processes}"
            )
            raise ValueError(msg)
        if self.max_rows < self.batch_size:
            msg = (
                f"expected max_rows of at least batch_size ({self.batch_size}), got "
                f"{self.max_rows}"
            )
            raise ValueError(msg)
        return self


class RankingConfig(Section):
    """What ``ranking_*`` compares (paper, section 4.1)."""

    n_components: int = Field(
        default=64,
        ge=1,
        description="With ranking_*: principal components of each view, at most.",
    )
    max_rows: int = Field(
        default=100_000,
        ge=1,
        description="With ranking_*: clips that the components are fitted to, drawn "
        "by hash; all where there are fewer.",
    )


class SimilarityConfig(Section):
    """What ``similarity`` compares."""

    pairs: list[list[str]] = Field(
        default_factory=list,
        description="With similarity: pairs of extractors with joint embeddings, whose "
        "mean cosine is the score; by default the two that there are. NAME is its last "
        "layer, 'NAME layer N' another.",
        json_schema_extra={
            "allowed": "a list of pairs of names such as [[clip_image, clip_text]]"
        },
    )

    @field_validator("pairs")
    @classmethod
    def _pairs_are_of_two_names(cls, value: list[list[str]]) -> list[list[str]]:
        wrong = [pair for pair in value if len(pair) != 2 or len(set(pair)) != 2]
        if wrong:
            msg = f"expected two different names in each pair, got {wrong[:5]}"
            raise ValueError(msg)
        return value
