"""What all sections of the configuration are made of."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

# Spark's LongType, which holds seeds and counts in tables, ends here.
MAX_LONG = 2**63 - 1


class Section(BaseModel):
    """Base of all sections: unknown keys are refused, values are not converted."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False
    )
