"""Which videos are candidates (paper, section 3.1), and why the others are not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from acav_spark.ingest.categories import YOUTUBE, RegionalCategories
from acav_spark.ingest.metadata import FIELDS, VideoRow
from acav_spark.ingest.words import KeywordMatcher

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

__all__ = [
    "DUPLICATE_CONTENT",
    "EXCLUDED_CATEGORY",
    "EXCLUDED_KEYWORD",
    "EXCLUDED_LANGUAGE",
    "EXCLUDED_TOPIC",
    "NEAR_DUPLICATE",
    "NO_DURATION",
    "REASONS",
    "TOO_LONG",
    "TOO_SHORT",
    "ExcludedWords",
    "KeywordMatcher",
    "Rejection",
    "reject_reason",
    "rejection",
]

NO_DURATION: Final = "no_duration"
TOO_SHORT: Final = "too_short"
TOO_LONG: Final = "too_long"
EXCLUDED_CATEGORY: Final = "excluded_category"
EXCLUDED_KEYWORD: Final = "excluded_keyword"
EXCLUDED_TOPIC: Final = "excluded_topic"
DUPLICATE_CONTENT: Final = "duplicate_content"
EXCLUDED_LANGUAGE: Final = "excluded_language"
NEAR_DUPLICATE: Final = "near_duplicate"

REASONS: Final[dict[str, str]] = {
    NO_DURATION: "Its duration is not known, and was asked for.",
    TOO_SHORT: "It is shorter than ingest.min_duration_s.",
    TOO_LONG: "It is longer than ingest.max_duration_s.",
    EXCLUDED_CATEGORY: "Its category is among ingest.excluded_categories.",
    EXCLUDED_KEYWORD: "Its title, description or tags have a word or phrase of "
    "ingest.excluded_keywords.",
    EXCLUDED_TOPIC: "Its title, description or tags have a word or phrase of one of "
    "ingest.excluded_topics.",
    DUPLICATE_CONTENT: "Another accepted video has the same bytes.",
    EXCLUDED_LANGUAGE: "The language of its text is not among those of "
    "ingest.language, or not known.",
    NEAR_DUPLICATE: "Another accepted video shows the same: coded, scaled or cut anew.",
}


class Rejection(NamedTuple):
    """Why a video is rejected: a code of ``REASONS``, and what it is due to.

    The detail is a category as it was excluded, a keyword, ``TOPIC: keyword``, or None
    where the reason needs none.
    """

    reason: str
    detail: str | None = None


class ExcludedWords:
    """Words and phrases that reject a video, alone or by topic, found all at once.

    Parameters
    ----------
    keywords : iterable of str
        Words and phrases of no topic.
    topics : iterable of (str, collection of str)
        Names of topics and their words and phrases. One that belongs to several
        topics counts for the first; before keywords alone.

    Attributes
    ----------
    matcher : KeywordMatcher
        Of all words and phrases.
    rejections : list of Rejection
        By place in ``matcher.keywords``.
    """

    def __init__(
        self,
        keywords: Iterable[str] = (),
        topics: Iterable[tuple[str, Collection[str]]] = (),
    ) -> None:
        found = [
            (word, Rejection(EXCLUDED_TOPIC, f"{name}: {word}"))
            for name, words in topics
            for word in words
        ]
        found += [(word, Rejection(EXCLUDED_KEYWORD, word)) for word in keywords]
        self.matcher = KeywordMatcher(word for word, _ in found)
        self.rejections = [rejected for _, rejected in found]

    def find(self, texts: Iterable[str | None]) -> Rejection | None:
        """Return why texts are rejected: by the first word or phrase in them."""
        place = self.matcher.find_index(texts)
        return None if place is None else self.rejections[place]


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
    found = rejection(
        row,
        min_duration_s=min_duration_s,
        max_duration_s=max_duration_s,
        excluded_categories=excluded_categories,
        is_duration_required=is_duration_required,
    )
    if found is not None:
        return found.reason
    texts = (row.title, row.description, *row.tags)
    if keyword_matcher is not None and keyword_matcher.find(texts) is not None:
        return EXCLUDED_KEYWORD
    return None


def rejection(
    video: VideoRow | Mapping[str, object],
    *,
    min_duration_s: float,
    max_duration_s: float,
    excluded_categories: Collection[str] = (),
    excluded_words: ExcludedWords | None = None,
    categories: RegionalCategories = YOUTUBE,
    is_duration_required: bool = False,
) -> Rejection | None:
    """Return why a video is no candidate, and what that is due to, or None.

    Parameters are those of ``reject_reason``, and ``excluded_words``, which must not be
    in title, description or any tag, and ``categories``, which says what ids mean.
    """
    row = video if isinstance(video, VideoRow) else _row(video)
    reason = duration_reason(
        row.duration_s, min_duration_s, max_duration_s, is_required=is_duration_required
    )
    if reason is not None:
        return Rejection(reason)
    if row.category is not None and excluded_categories:
        category = categories.excluded(
            row.category, row.uri, excluded_categories, row.region
        )
        if category is not None:
            return Rejection(EXCLUDED_CATEGORY, category)
    if excluded_words is None:
        return None
    return excluded_words.find((row.title, row.description, *row.tags))


def duration_reason(
    duration_s: float | None,
    min_duration_s: float,
    max_duration_s: float,
    *,
    is_required: bool = False,
) -> str | None:
    """Return why a video of a duration is rejected, or None."""
    if duration_s is None:
        return NO_DURATION if is_required else None
    if duration_s < min_duration_s:
        return TOO_SHORT
    return TOO_LONG if duration_s > max_duration_s else None


def _row(fields: Mapping[str, object]) -> VideoRow:
    """Return fields in our shape; what is absent is not known."""
    known = {name: fields.get(name) for name in FIELDS}
    known["uri"], known["tags"] = known["uri"] or "", known["tags"] or []
    return VideoRow(**known)  # type: ignore[arg-type]  # a row of our own tables
