"""The settings of a selection in lanes."""

from __future__ import annotations

from dataclasses import dataclass

from acav_spark.selection._validation import checked_integer


@dataclass(frozen=True)
class LaneSettings:
    """How lanes are cut and rounds sized; every field can change what is picked.

    Parameters
    ----------
    n_lanes : int
        Lanes, at most one for each clip.
    batch_size, per_batch : int
        Candidates of a batch and clips taken from it. A lane shorter than a batch is
        one batch, of which the same share is taken.
    max_round_growth : float
        Picks of a round, at most, as a share of those before it.
    seed : int
        Where in each lane reading begins.
    """

    n_lanes: int = 64
    batch_size: int = 10_000
    per_batch: int = 500
    max_round_growth: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("n_lanes", "batch_size", "per_batch"):
            checked_integer(getattr(self, name), name=name, minimum=1)
        checked_integer(self.seed, name="seed", minimum=0)
        if self.per_batch > self.batch_size:
            msg = (
                f"per_batch: expected at most batch_size ({self.batch_size}), got "
                f"{self.per_batch}. More cannot be taken from a batch than it holds."
            )
            raise ValueError(msg)
        if not 0 < self.max_round_growth <= 1:
            msg = (
                "max_round_growth: expected a share in (0, 1], got "
                f"{self.max_round_growth!r}. Larger rounds see older tables."
            )
            raise ValueError(msg)
