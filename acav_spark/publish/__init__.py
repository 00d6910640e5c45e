"""What is written for people who use a selection: files of uris, times and clusters."""

from __future__ import annotations

__all__: list[str] = []
