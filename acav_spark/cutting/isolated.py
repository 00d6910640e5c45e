"""``encode_clip`` in a sandbox: the file comes in pieces, for the caller to keep."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from acav_spark.cutting.settings import CutSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from acav_spark.media.sandbox import Sandbox
    from acav_spark.media.sources import MediaPlace


def encode_clip_isolated(
    sandbox: Sandbox,
    path: MediaPlace,
    start_s: float,
    end_s: float,
    settings: CutSettings,
    sink: Callable[[bytes], object],
) -> dict[str, object]:
    """Give the pieces of ``encode_clip``'s file to a sink; return its other fields."""
    return sandbox.call_for_file(
        "cut",
        sink,
        path=path,
        start_s=start_s,
        end_s=end_s,
        settings=dataclasses.asdict(settings),
    )


def cut_operation(
    *,
    path: str,
    start_s: float,
    end_s: float,
    settings: dict[str, object],
    max_pixels: int,
) -> dict[str, object]:
    """Answer ``encode_clip_isolated`` in the child."""
    from acav_spark.cutting.encoder import encode_clip

    encoded = encode_clip(
        path,
        start_s,
        end_s,
        # The caller sent the fields of the settings.
        CutSettings(**settings),  # type: ignore[arg-type]
        max_pixels=max_pixels,
    )
    return {
        field.name: getattr(encoded, field.name)
        for field in dataclasses.fields(encoded)
    }
