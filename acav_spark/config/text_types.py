"""Kinds of text that several options hold."""

from __future__ import annotations

import os
from typing import Annotated

from pydantic import AfterValidator, Field

# ``allowed`` says in words what a type or pattern alone cannot; error messages and
# docs/configuration.md print it.
NAME_PATTERN = r"^[a-z0-9][a-z0-9_\-]{0,62}$"
NAME_RULE = (
    "a name of at most 63 characters from a-z, 0-9, _ and -, beginning with a letter "
    "or digit"
)
Name = Annotated[
    str, Field(pattern=NAME_PATTERN, json_schema_extra={"allowed": NAME_RULE})
]
Scheme = Annotated[
    str,
    Field(
        pattern=r"^[a-z][a-z0-9+.\-]*$",
        json_schema_extra={"allowed": "a URI scheme such as file, https or s3"},
    ),
]
# A shell leaves the tilde of --set input.uri=~/videos as it is.
Place = Annotated[str, AfterValidator(os.path.expanduser)]
