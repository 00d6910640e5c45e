"""What is known of a downloaded video, as a row that ``ingest_videos`` reads."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from acav_spark.errors import MediaError
from acav_spark.ingest.layouts import YT_DLP
from acav_spark.ingest.metadata import normalise_row

if TYPE_CHECKING:
    from collections.abc import Mapping

    from acav_spark.download.items import Item
    from acav_spark.media.probe import MediaFacts

# The text that a page has besides the video is not the video's.
_BESIDE: Final = ("extractor_key", "webpage_url", "upload_date", "view_count")


def metadata_row(
    item: Item,
    info: Mapping[str, object],
    facts: MediaFacts,
    *,
    file_uri: str,
    fetched_at: str,
) -> dict[str, object]:
    """Return a row of metadata of a file that was downloaded.

    Parameters
    ----------
    item : Item
        What was wanted. What its input says goes before what the site says, so that a
        video that passed the filters with it passes them again.
    info : mapping
        What yt-dlp says.
    facts : MediaFacts
        What the file says; its duration goes before all others.
    file_uri : str
        Where the file is.
    fetched_at : str
        When it came, ISO 8601.
    """
    said = asdict(item.row) if item.row is not None else {}
    site = _of_site(info)
    row = {name: said.get(name) or site.get(name) for name in {**said, **site}}
    beside = {name: info[name] for name in _BESIDE if info.get(name) is not None}
    return {
        "video_id": item.video_id,
        "uri": file_uri,
        **{k: v for k, v in row.items() if k not in ("video_id", "uri") and v},
        "duration_s": facts.duration_s,
        "width": facts.width,
        "height": facts.height,
        "downloaded_from": item.uri,
        "fetched_at": fetched_at,
        **beside,
    }


def _of_site(info: Mapping[str, object]) -> dict[str, object]:
    """Return what yt-dlp says, in our names; nothing for what cannot be used."""
    raw: dict[str, object] = {"uri": "x"}
    for field, paths in YT_DLP.fields:
        if field in ("video_id", "uri"):
            continue
        values = [info.get(path.partition("[")[0]) for path in paths]
        found = next((value for value in values if value not in (None, "", [])), None)
        if found is not None:
            raw[field] = found
    site: dict[str, object] = {}
    for field, value in raw.items():
        # One value that is too long, say, does not cost the others.
        try:
            row = normalise_row(
                {"uri": "x", field: value}, {"uri": "uri", field: field}
            )
        except MediaError:
            continue
        site[field] = getattr(row, field)
    return site
