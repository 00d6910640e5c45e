"""The errors of the project: every message says where, rule, value, what to do."""

from __future__ import annotations


class AcavError(Exception):
    """Base of every error that the project raises on purpose."""


class ConfigError(AcavError, ValueError):
    """A configuration that cannot be used; found before Spark starts."""


class TableError(AcavError, RuntimeError):
    """A table that is missing, of another version, or not what a stage expects."""


class StageError(AcavError, RuntimeError):
    """A stage that cannot do what was asked of it."""


class DependencyError(AcavError, ImportError):
    """A program or package that is needed and not there; says how to install it."""


class DeviceMemoryError(AcavError, MemoryError):
    """A batch that does not fit into an accelerator's memory: try a smaller one."""


class MediaError(AcavError):
    """One piece of media that cannot be used: data, not a bug.

    Jobs turn it into one row of ``failures``.

    Parameters
    ----------
    code : str
        What is wrong, one of the constants of ``acav_spark.media.codes``.
    message : str
        Where, what was found, in one line.
    is_permanent : bool, default True
        Whether trying again cannot help (a broken file), or may (a stalled source).
    """

    def __init__(self, code: str, message: str, *, is_permanent: bool = True) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.is_permanent = is_permanent

    def __reduce__(self) -> tuple[object, ...]:
        """Return how to make it again: Spark sends exceptions between processes."""
        return _media_error, (self.code, self.message, self.is_permanent)


def _media_error(code: str, message: str, is_permanent: bool) -> MediaError:  # noqa: FBT001 - called by pickle, by position
    return MediaError(code, message, is_permanent=is_permanent)
