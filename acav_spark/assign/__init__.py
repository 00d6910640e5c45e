"""Gives every clip its cluster in every view; the core is in clustering."""

from __future__ import annotations

__all__: list[str] = []
