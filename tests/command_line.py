"""The type of the fixture ``acav``."""

from __future__ import annotations

from collections.abc import Callable

Acav = Callable[..., tuple[int, str, str]]
"""Runs a command; returns its exit status, output and messages."""
