"""The project's own errors on their way back from executors."""

from __future__ import annotations

import re
from typing import Final

from acav_spark import errors
from acav_spark.errors import AcavError

# The last line of a worker's trace; Spark puts it amid lines of its own.
_TOLD: Final = re.compile(r"^acav_spark\.errors\.(\w+): (.+)$", re.MULTILINE)
_SPARKS: Final = ("pyspark.", "py4j.")


def own_error(error: Exception) -> AcavError | None:
    """Return the project's error that made a Spark job fail, if it was one.

    Parameters
    ----------
    error : Exception
        As Spark raises it: with the trace of the worker in its text.
    """
    if not type(error).__module__.startswith(_SPARKS):
        return None
    for name, message in reversed(_TOLD.findall(str(error))):
        kind = getattr(errors, name, None)
        if isinstance(kind, type) and issubclass(kind, AcavError):
            try:
                return kind(message.strip())
            except TypeError:  # one that takes more than a message
                return AcavError(f"{name}: {message.strip()}")
    return None
