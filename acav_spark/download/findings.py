"""What is found out about a video before it is fetched, by whoever finds it out."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from acav_spark.errors import ConfigError, DependencyError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from acav_spark.media.sources_rules import SourceRules

# Formats in pieces (HLS, DASH) are no single file, and would need a merge.
_ONE_FILE: Final = "[protocol~='^https?$']"
_FILTER: Final = re.compile(r"\[[^\]]*\]")
_SEARCH: Final = re.compile(r"[a-z0-9]+search[a-z]*")


@dataclass(frozen=True)
class Found:
    """Where the file of a video is.

    Parameters
    ----------
    uri : str
        Of the file; good for a while only.
    format_id : str
        The site's name of the format.
    extension : str
        Of the file's name, without a dot; empty where nobody knows.
    headers : mapping of str to str
        That the site wants.
    info : mapping
        Everything that yt-dlp knows of the video.
    """

    uri: str
    format_id: str = ""
    extension: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    info: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """One result of a search.

    Parameters
    ----------
    uri : str
        Address of the video's page.
    site : str
        yt-dlp's name of the site.
    site_id : str or None
        The site's id of the video.
    """

    uri: str
    site: str = ""
    site_id: str | None = None


class Site(Protocol):
    """Finds videos; errors are ``MediaError``."""

    def find(self, uri: str) -> Found:
        """Return where the file of a video is."""
        ...

    def search(self, prefix: str, query: str, n_results: int) -> Iterator[Finding]:
        """Yield what a search finds, best first."""
        ...


def default_selector(max_height: int) -> str:
    """Return yt-dlp's selector for one file with picture and sound.

    The best mp4 of at most that height; else the best of any container; else, where all
    are larger, the smallest. Formats of which the site does not say the height count as
    small enough, and those of which it does not say the codecs as having both.
    """
    small = f"[height<=?{max_height}]{_ONE_FILE}"
    return f"best[ext=mp4]{small}/best{small}/worst{_ONE_FILE}"


def require_one_format(selector: str) -> str:
    """Return a selector that asks for one file.

    Raises
    ------
    ConfigError
        If it merges formats or takes several.
    """
    if re.search(r"[+,]", _FILTER.sub("", selector)):
        msg = (
            "--format: expected a selector of one file, which has picture and sound, "
            f"got {selector!r}. Nothing is merged: leave out '+' and ','."
        )
        raise ConfigError(msg)
    return selector


def require_search(prefix: str) -> str:
    """Return yt-dlp's name of a search.

    Raises
    ------
    ConfigError
        If it has not the form of one.
    """
    if not _SEARCH.fullmatch(prefix):
        msg = (
            "--search: expected yt-dlp's name of a search, such as ytsearch, got "
            f"{prefix[:50]!r}."
        )
        raise ConfigError(msg)
    return prefix


def open_site(
    rules: SourceRules,
    *,
    format_selector: str,
    wait: Callable[[], None] = lambda: None,
) -> Site:
    """Return what asks yt-dlp.

    Raises
    ------
    DependencyError
        If yt-dlp is not installed.
    ConfigError
        If yt-dlp does not understand the selector.
    """
    try:
        from acav_spark.download.sites import YtDlpSite
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "yt_dlp":
            raise
        msg = (
            "acav download: expected the package yt-dlp, which finds videos on sites; "
            "it is not installed. Install it: pip install 'acav_spark[download]'. "
            "Addresses that end in .mp4 and the like need none."
        )
        raise DependencyError(msg) from error
    return YtDlpSite(rules, format_selector=format_selector, wait=wait)
