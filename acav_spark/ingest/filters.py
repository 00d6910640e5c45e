"""Which videos are candidates (paper, section 3.1), and why the others are not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from acav_spark.ingest.categories import category_names
from acav_spark.ingest.metadata import FIELDS, VideoRow
from acav_spark.ingest.words import KeywordMatcher, fold

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = [
    "DUPLICATE_CONTENT",
    "EXCLUDED_CATEGORY",
    "EXCLUDED_KEYWORD",
    "EXCLUDED_LANGUAGE",
    "NO_DURATION",
    "REASONS",
    "TOO_LONG",
    "TOO_SHORT",
    "KeywordMatcher",
    "reject_reason",
]

NO_DURATION: Final = "no_duration"
TOO_SHORT: Final = "too_short"
TOO_LONG: Final = "too_long"
EXCLUDED_CATEGORY: Final = "excluded_category"
EXCLUDED_KEYWORD: Final = "excluded_keyword"
DUPLICATE_CONTENT: Final = "duplicate_content"
EXCLUDED_LANGUAGE: Final = "excluded_language"

REASONS: Final[dict[str, str]] = {
    NO_DURATION: "Its duration is not known, and was asked for.",
    TOO_SHORT: "It is shorter than ingest.min_duration_s.",
    TOO_LONG: "It is longer than ingest.max_duration_s.",
    EXCLUDED_CATEGORY: "Its category is among ingest.excluded_categories.",
    EXCLUDED_KEYWORD: "Its title, description or tags have a word or phrase of "
    "ingest.excluded_keywords.",
    DUPLICATE_CONTENT: "Another accepted video has the same bytes.",
    EXCLUDED_LANGUAGE: "The language of its text is not among those of "
    "ingest.language, or not known.",
}


def reject_reason(
    video: VideoRow | Mapping[str, object],
    *,
    min_duration_s: float,
    max_duration_s: float,
    excluded_categories: Collection[str] = (),
    keyword_matcher: KeywordMatcher | None = None,
    is_duration_required: bool = False,
) -> str | None:
    """Return why a video is no candidate, or None if it is one.

    Parameters
    ----------
    video : VideoRow or mapping
        What is known of the video; of a mapping, the keys that are fields of
        ``VideoRow``, of which any may be absent or None.
    min_duration_s, max_duration_s : float
        Shortest and longest duration that is accepted, both included.
    excluded_categories : collection of str
        Names or ids, without regard to case; an id of YouTube's stands for its name,
        and the other way round, where the video is YouTube's.
    keyword_matcher : KeywordMatcher, optional
        Words and phrases that must not be in title, description or any tag.
    is_duration_required : bool, default False
        Whether a video of unknown duration is rejected; otherwise it passes, to be
        judged when it is opened.

    Returns
    -------
    str or None
        The first that applies of ``REASONS``, in their order. That another video has
        the same content, and which languages are kept, is for the job to see.
    """
    row = video if isinstance(video, VideoRow) else _row(video)
    if row.duration_s is None:
        if is_duration_required:
            return NO_DURATION
    elif row.duration_s < min_duration_s:
        return TOO_SHORT
    elif row.duration_s > max_duration_s:
        return TOO_LONG
    if row.category is not None and excluded_categories:
        names = category_names(row.category, row.uri)
        if not names.isdisjoint(map(_plain, excluded_categories)):
            return EXCLUDED_CATEGORY
    texts = (row.title, row.description, *row.tags)
    if keyword_matcher is not None and keyword_matcher.find(texts) is not None:
        return EXCLUDED_KEYWORD
    return None


def _row(fields: Mapping[str, object]) -> VideoRow:
    """Return fields in our shape; what is absent is not known."""
    known = {name: fields.get(name) for name in FIELDS}
    known["uri"], known["tags"] = known["uri"] or "", known["tags"] or []
    return VideoRow(**known)  # type: ignore[arg-type]  # a row of our own tables


def _plain(name: str) -> str:
    return fold(name).strip()
