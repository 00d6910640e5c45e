"""What all sections of the configuration are made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

# ``allowed`` says in words what a type or pattern alone cannot; error messages and
# docs/configuration.md print it.
Name = Annotated[
    str,
    Field(
        pattern=r"^[a-z0-9][a-z0-9_\-]{0,62}$",
        json_schema_extra={
            "allowed": "a name of at most 63 characters from a-z, 0-9, _ and -, "
            "beginning with a letter or digit"
        },
    ),
]
# Spark's LongType, which holds seeds and counts in tables, ends here.
MAX_LONG = 2**63 - 1


class Section(BaseModel):
    """Base of all sections: unknown keys are refused, values are not converted."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False
    )
