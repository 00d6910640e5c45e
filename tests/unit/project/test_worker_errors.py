"""Errors that executors raise reach the user as they were meant."""

from __future__ import annotations

import pytest

from acav_spark.errors import AcavError, ConfigError, MediaError, StageError
from acav_spark.worker_errors import own_error

# As Spark words it, abridged.
TRACE = """An exception was thrown from the Python worker. Please see the stack trace
Traceback (most recent call last):
  File "weights.py", line 122, in _require_hash
    raise ConfigError(msg)
{cause}

\tat org.apache.spark.api.python.BasePythonRunner.handlePythonException(Runner.scala:1)
"""


class SparksError(Exception):
    """Stands for one of Spark's."""


SparksError.__module__ = "pyspark.errors.exceptions.captured"


@pytest.mark.parametrize(
    ("cause", "kind", "message"),
    [
        ("acav_spark.errors.ConfigError: a: b, got c.", ConfigError, "a: b, got c."),
        ("acav_spark.errors.StageError: is it: so", StageError, "is it: so"),
    ],
)
def test_the_error_of_a_worker_is_found_in_sparks(
    cause: str, kind: type[AcavError], message: str
) -> None:
    found = own_error(SparksError(TRACE.format(cause=cause)))
    assert type(found) is kind
    assert str(found) == message


def test_one_with_more_than_a_message_is_told_by_its_name() -> None:
    text = f"acav_spark.errors.MediaError: {MediaError('no_frames', 'x')}"
    found = own_error(SparksError(TRACE.format(cause=text)))
    assert type(found) is AcavError
    assert str(found) == "MediaError: no_frames: x"


@pytest.mark.parametrize(
    "error",
    [
        SparksError(TRACE.format(cause="ValueError: acav")),
        SparksError(TRACE.format(cause="acav_spark.errors.annotations: x")),
        ValueError(TRACE.format(cause="acav_spark.errors.ConfigError: x")),
    ],
    ids=["another", "no error", "not of Spark"],
)
def test_other_errors_stay_what_they_are(error: Exception) -> None:
    assert own_error(error) is None
