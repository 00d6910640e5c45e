"""The stage that gives every clip its cluster in every view; the core is clustering's."""

from __future__ import annotations

__all__: list[str] = []
