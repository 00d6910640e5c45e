"""Search queries and what they found, kept so that a later run finds the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acav_spark.download.items import Item, item_from_row, item_from_text
from acav_spark.download.journal import Journal, stored_rows
from acav_spark.errors import MediaError
from acav_spark.ingest.ids import video_id_from_uri
from acav_spark.media.closing import Closing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from acav_spark.download.findings import Site

_YOUTUBE = "Youtube"


class Searches(Closing):
    """The searches of a folder of downloads.

    Parameters
    ----------
    path : Path
        Journal of queries with their results.
    """

    def __init__(self, path: Path) -> None:
        self._known = {str(r["query"]): r for r in stored_rows(path, "query")}
        self._path = path
        self._journal: Journal | None = None

    def items(
        self, site: Callable[[], Site], prefix: str, query: str, n_results: int
    ) -> Iterator[Item]:
        """Yield what a query finds, or found when it was first asked.

        A search that fails is one item with its error; it is asked again by the next
        run.
        """
        asked = f"{prefix}{n_results}:{query}"
        row = self._known.get(asked)
        if row is None:
            try:
                findings = list(site().search(prefix, query, n_results))
            except MediaError as error:
                yield Item(video_id_from_uri(asked), asked, error=error)
                return
            row = {
                "query": asked,
                "results": [
                    {"uri": f.uri, "site": f.site, "site_id": f.site_id}
                    for f in findings
                ],
            }
            self._append(row)
        results = row["results"]
        for result in results if isinstance(results, list) else []:
            site_id = result.get("site_id")
            if result.get("site") == _YOUTUBE and site_id:
                yield item_from_text(str(site_id))
            else:
                yield item_from_row({"uri": result["uri"]})

    def close(self) -> None:
        """Close the journal."""
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    def _append(self, row: dict[str, object]) -> None:
        if self._journal is None:
            self._journal = Journal(self._path, "query")
        self._journal.append(row)
        self._known[str(row["query"])] = row
