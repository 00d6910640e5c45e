"""One video: found, fetched, looked into, and given its name."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from acav_spark.download.fetching import fetch_file
from acav_spark.download.findings import Found
from acav_spark.download.items import (
    archive_line,
    ending_of,
    file_stem,
    is_media_uri,
    safe_ending,
)
from acav_spark.download.partial import PartialFile
from acav_spark.errors import MediaError
from acav_spark.media import codes
from acav_spark.media.isolated import probe_isolated
from acav_spark.media.uri import require_scheme, stem_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from acav_spark.download.findings import Site
    from acav_spark.download.items import Item
    from acav_spark.download.rate import RateLimit
    from acav_spark.media.probe import MediaFacts
    from acav_spark.media.sandbox import Sandbox
    from acav_spark.media.sources_rules import SourceRules

MEDIA: Final = "media"
PARTIAL: Final = "partial"


@dataclass(frozen=True)
class Outcome:
    """What came of one video.

    Parameters
    ----------
    item : Item
        Which.
    path : str, optional
        Its file inside the folder; None where it failed or is archived.
    facts : MediaFacts, optional
        What the file says.
    info : mapping
        What yt-dlp says.
    format_id : str
        The site's name of the format.
    n_fetched : int
        Bytes that came over the network.
    error : MediaError, optional
        Why there is no file.
    """

    item: Item
    path: str | None = None
    facts: MediaFacts | None = None
    info: Mapping[str, object] = field(default_factory=dict)
    format_id: str = ""
    n_fetched: int = 0
    error: MediaError | None = None


class Getter:
    """Gets videos; used by several threads, each with items of its own.

    Parameters
    ----------
    folder : Path
        Where files go.
    sources : SourceRules
        What may be connected to.
    sandbox : Sandbox
        Where files are looked into.
    site : callable
        Returns what asks yt-dlp, or raises that it is not installed.
    limit : RateLimit
        Of bytes.
    is_stopped : callable
        Asked before each piece is written.
    """

    def __init__(
        self,
        folder: Path,
        *,
        sources: SourceRules,
        sandbox: Sandbox,
        site: Callable[[], Site],
        limit: RateLimit,
        is_stopped: Callable[[], bool],
    ) -> None:
        self._folder = folder
        self._sources = sources
        self._sandbox = sandbox
        self._site = site
        self._limit = limit
        self._is_stopped = is_stopped

    def get(
        self,
        item: Item,
        *,
        is_archived: Callable[[str], bool] = lambda _line: False,
        is_damaged: bool = False,
    ) -> Outcome:
        """Return what came of a video.

        Parameters
        ----------
        item : Item
            Which.
        is_archived : callable
            Whether a line of an archive says that it is not wanted.
        is_damaged : bool
            Whether a file that has its name is no longer what was downloaded.
        """
        stem = f"{MEDIA}/{file_stem(item.video_id)}"
        name = file_stem(item.video_id).replace("/", "_")
        partial = PartialFile(self._folder / PARTIAL / f"{name}.part")
        # A file has its name since a run that was killed before it could say so.
        place = self._folder / stem
        named = [p for p in place.parent.glob(f"{place.name}.*") if p.is_file()]
        if is_damaged:
            for path in named:
                path.unlink()
            named = []
        try:
            if named:
                return self._named(item, named[0])
            return self._fetched(item, stem, partial, is_archived)
        except MediaError as error:
            if error.is_permanent:
                partial.discard()
            return Outcome(item, n_fetched=partial.n_new_bytes, error=error)

    def _named(self, item: Item, path: Path) -> Outcome:
        """Return the outcome of a file that is complete and was not told of."""
        facts = probe_isolated(self._sandbox, path)
        info: Mapping[str, object] = _bare_info(item)
        if not is_media_uri(item.uri):
            # The file is there, whatever has become of its page since.
            with contextlib.suppress(MediaError):
                info = self._site().find(item.uri).info
        return Outcome(item, str(path.relative_to(self._folder)), facts, info)

    def _fetched(
        self,
        item: Item,
        stem: str,
        partial: PartialFile,
        is_archived: Callable[[str], bool],
    ) -> Outcome:
        require_scheme(item.uri, self._sources.allowed_schemes)
        found: Found | None = None
        if is_media_uri(item.uri):
            found = Found(item.uri, info=_bare_info(item))
            try:
                self._fetch(found, partial)
            except MediaError as error:
                if error.code != codes.WEB_PAGE:
                    raise
                # A page with a file's name, as sites have them that show a player.
                found = None
        if found is None:
            found = self._site().find(item.uri)
            if is_archived(archive_line(item, found.info)):
                return Outcome(item, info=found.info)
            self._fetch(found, partial)
        facts = probe_isolated(self._sandbox, partial.path)
        ending = safe_ending(found.extension, ending_of(found.uri))
        partial.finish(self._folder / f"{stem}.{ending}")
        return Outcome(
            item,
            f"{stem}.{ending}",
            facts,
            found.info,
            found.format_id,
            partial.n_new_bytes,
        )

    def _fetch(self, found: Found, partial: PartialFile) -> None:
        partial.path.parent.mkdir(parents=True, exist_ok=True)
        fetch_file(
            found.uri,
            partial,
            self._sources,
            version=f"{found.format_id}.{found.extension}",
            headers=found.headers,
            limit=self._limit,
            is_stopped=self._is_stopped,
        )


def _bare_info(item: Item) -> dict[str, object]:
    return {"title": stem_of(item.uri)}
