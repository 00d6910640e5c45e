"""``download``: videos of a list, of searches or of a warehouse into a folder."""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import logging
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from acav_spark.download.findings import open_site, require_search
from acav_spark.download.getting import Getter, Outcome
from acav_spark.download.items import Item, archive_line, item_from_text
from acav_spark.download.journal import FolderLock, Journal, written_below
from acav_spark.download.metadata import metadata_row
from acav_spark.download.rate import RateLimit
from acav_spark.download.rules import DownloadRules, DownloadSummary
from acav_spark.download.searching import Searches
from acav_spark.download.standing import (
    ARCHIVED,
    DONE,
    FAILED,
    MANIFEST,
    METADATA,
    SEARCHES,
    Standing,
)
from acav_spark.download.workers import Workers
from acav_spark.errors import DependencyError
from acav_spark.media.sandbox import Sandbox
from acav_spark.media.uri import uri_from_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from acav_spark.download.findings import Site
    from acav_spark.download.journal import Row

__all__ = ["download", "wanted_items"]

_logger = logging.getLogger(__name__)


def download(
    items: Iterable[str | Item],
    folder: str | Path,
    *,
    queries: Iterable[str] = (),
    rules: DownloadRules | None = None,
    max_items: int | None = None,
    on_row: Callable[[Row, DownloadSummary], None] = lambda _row, _summary: None,
) -> DownloadSummary:
    """Fetch videos into a folder that ``ingest_videos`` reads with their metadata.

    Parameters
    ----------
    items : iterable of str or Item
        URIs of files or of pages, YouTube ids, or items with their metadata; read as
        they are needed, each id once.
    folder : str or Path
        Gets ``media/``, the manifest ``downloads.jsonl`` and ``metadata.jsonl``. What
        is there and complete is not fetched again, and what is there in part goes on.
    queries : iterable of str
        Search queries, whose results are fetched after the items.
    rules : DownloadRules, optional
        What is fetched, and how.
    max_items : int, optional
        Videos that are tried at most.
    on_row : callable
        Called with each new row of the manifest.

    Returns
    -------
    DownloadSummary
        What came of it. A video that cannot be had is a row of the manifest with a
        code of ``acav_spark.media.codes`` or ``acav_spark.download.codes``.

    Raises
    ------
    ConfigError
        If a format, search or archive cannot be used.
    DependencyError
        If yt-dlp is needed and not installed.
    StageError
        If the folder cannot be written, or another download holds it.

    Notes
    -----
    Killed at any moment, the same call goes on: a file gets its name when it is
    complete and known to be a video with sound, then its metadata is written, then the
    manifest says so.
    """
    rules = rules or DownloadRules()
    require_search(rules.search)
    folder = Path(folder)
    with ExitStack() as stack:
        with written_below(folder):
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(FolderLock(folder))
            run = _Run(stack, folder, rules, on_row)
        return run.run(items, queries, max_items)


def wanted_items(
    items: Iterable[str | Item], folder: str | Path, rules: DownloadRules | None = None
) -> Iterator[Item]:
    """Yield what ``download`` would try, without network and without writing."""
    rules = rules or DownloadRules()
    standing = _standing(Path(folder), rules)
    seen: set[str] = set()
    for item in map(_item, items):
        if item.video_id in seen or item.error is not None:
            continue
        seen.add(item.video_id)
        if standing.verdict(item) == "wanted":
            yield item


class _Run:
    """One download: reads items, gives them to threads, writes what comes back."""

    def __init__(
        self,
        stack: ExitStack,
        folder: Path,
        rules: DownloadRules,
        on_row: Callable[[Row, DownloadSummary], None],
    ) -> None:
        self._folder = folder
        self._rules = rules
        self._on_row = on_row
        self._stop = threading.Event()
        self._summary = DownloadSummary()
        self._standing = _standing(folder, rules)
        # What may be wrong with the rules, before anything is opened.
        self._site = self._opened_site()
        self._manifest = stack.enter_context(Journal(folder / MANIFEST, "id"))
        self._metadata = stack.enter_context(Journal(folder / METADATA, "video_id"))
        self._searches = stack.enter_context(Searches(folder / SEARCHES))
        self._getter = Getter(
            folder,
            sources=rules.sources,
            sandbox=stack.enter_context(Sandbox(rules.limits)),
            site=self._site,
            limit=RateLimit(rules.bytes_per_s, sleep=self._wait),
            is_stopped=self._stop.is_set,
        )

    def run(
        self,
        items: Iterable[str | Item],
        queries: Iterable[str],
        max_items: int | None,
    ) -> DownloadSummary:
        """Do everything."""
        everything = itertools.chain(map(_item, items), self._found(queries))
        pending = itertools.islice(self._pending(everything), max_items)
        workers = Workers(self._get, self._rules.n_workers, self._stop)
        for outcome in workers.results(pending):
            self._record(outcome)
        with written_below(self._folder):
            self._manifest.compact(lambda row: row)
            self._metadata.compact(self._with_present_place)
        return self._summary

    def _pending(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield what is to be tried; the rest is counted."""
        seen: set[str] = set()
        for item in items:
            if item.video_id in seen:
                continue
            seen.add(item.video_id)
            self._summary.n_items += 1
            verdict = self._standing.verdict(item)
            if verdict == "wanted" and item.error is None:
                yield item
            elif verdict == "wanted":
                self._record(Outcome(item, error=item.error))
            elif verdict == "present":
                self._summary.n_present += 1
            elif verdict == "archived":
                self._summary.n_archived += 1
            else:
                self._summary.n_given_up += 1

    def _found(self, queries: Iterable[str]) -> Iterator[Item]:
        """Yield the results of searches; a search that fails is a row as well."""
        rules = self._rules
        for query in queries:
            found = self._searches.items(
                self._site, rules.search, query, rules.n_results
            )
            yield from found

    def _get(self, item: Item) -> Outcome:
        row = self._standing.rows.get(item.video_id)
        is_damaged = row is not None and row["status"] == DONE
        with written_below(self._folder):
            return self._getter.get(
                item, is_archived=self._standing.is_archived, is_damaged=is_damaged
            )

    def _record(self, outcome: Outcome) -> None:
        """Write what came of a video: metadata, then archive, then the manifest."""
        item, summary = outcome.item, self._summary
        moment = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        row: Row = {"id": item.video_id, "uri": item.uri}
        if outcome.error is not None:
            summary.n_failed += 1
            summary.codes[outcome.error.code] += 1
            row |= {
                "status": FAILED,
                "code": outcome.error.code,
                "message": outcome.error.message,
                "is_permanent": outcome.error.is_permanent,
                "attempts": self._standing.attempts(item.video_id) + 1,
            }
        elif outcome.path is None or outcome.facts is None:
            summary.n_archived += 1
            row |= {"status": ARCHIVED}
        else:
            summary.n_done += 1
            facts = outcome.facts
            path = self._folder / outcome.path
            known = metadata_row(
                item,
                outcome.info,
                facts,
                file_uri=uri_from_path(path),
                fetched_at=moment,
            )
            with written_below(self._folder):
                self._metadata.append(known)
            self._standing.add_to_archive(archive_line(item, outcome.info))
            row |= {
                "path": outcome.path,
                "bytes": facts.size_bytes,
                "status": DONE,
                "sha256": facts.content_sha256,
                "format": outcome.format_id,
            }
        summary.n_bytes += outcome.n_fetched
        row |= {"at": moment}
        with written_below(self._folder):
            self._manifest.append(row)
        self._standing.rows[item.video_id] = row
        _logger.debug("downloaded %s", row)
        self._on_row(row, summary)

    def _with_present_place(self, row: Row) -> Row | None:
        """Return a row of metadata with its file where the folder now is."""
        known = self._standing.rows.get(str(row["video_id"]))
        if known is None or known["status"] != DONE:
            return None
        return {**row, "uri": uri_from_path(self._folder / str(known["path"]))}

    def _opened_site(self) -> Callable[[], Site]:
        """Return what gives yt-dlp, which is loaded when it is needed first."""
        rules = self._rules
        interval_s = rules.request_interval_s
        pace = RateLimit(1 / interval_s if interval_s else None, sleep=self._wait)
        lock = threading.Lock()
        made: list[Site] = []

        def site() -> Site:
            with lock:
                if not made:
                    made.append(
                        open_site(
                            rules.sources,
                            format_selector=rules.format_selector,
                            wait=lambda: pace.take(1),
                        )
                    )
            return made[0]

        if rules.format is not None:
            # A wrong format shall be found now; that of files matters to none.
            with contextlib.suppress(DependencyError):
                site()
        return site

    def _wait(self, seconds: float) -> None:
        self._stop.wait(seconds)


def _item(given: str | Item) -> Item:
    return item_from_text(given) if isinstance(given, str) else given


def _standing(folder: Path, rules: DownloadRules) -> Standing:
    return Standing(
        folder,
        max_attempts=rules.max_attempts,
        retry_failed=rules.retry_failed,
        archive=rules.archive,
    )
