"""How a video stands: there, given up, or wanted; what a folder of downloads says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from acav_spark.download.items import archive_line
from acav_spark.download.journal import stored_rows
from acav_spark.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from acav_spark.download.items import Item
    from acav_spark.download.journal import Row

MANIFEST: Final = "downloads.jsonl"
METADATA: Final = "metadata.jsonl"
SEARCHES: Final = "searches.jsonl"

DONE: Final = "done"
FAILED: Final = "failed"
ARCHIVED: Final = "archived"

Verdict = Literal["present", "given_up", "archived", "wanted"]


class Standing:
    """What earlier downloads say of a video.

    Parameters
    ----------
    folder : Path
        Where they went; need not be there.
    max_attempts : int
        Attempts after which a passing failure is given up.
    retry_failed : bool
        Whether failures of any kind and number are tried again.
    archive : Path, optional
        A download archive of yt-dlp: a site and an id a line.

    Attributes
    ----------
    rows : dict of str to dict
        Rows of the manifest that count, by id.
    """

    def __init__(
        self,
        folder: Path,
        *,
        max_attempts: int,
        retry_failed: bool = False,
        archive: Path | None = None,
    ) -> None:
        self._folder = folder
        self._max_attempts = max_attempts
        self._retry_failed = retry_failed
        self._archive = archive
        self._archived = _archived(archive)
        self.rows: dict[str, Row] = {
            str(row["id"]): row for row in stored_rows(folder / MANIFEST, "id")
        }

    def verdict(self, item: Item) -> Verdict:
        """Return how a video stands."""
        row = self.rows.get(item.video_id)
        if row is not None and row["status"] == DONE and self.is_complete(row):
            return "present"
        if self.is_archived(archive_line(item, {})):
            return "archived"
        if row is not None and row["status"] == FAILED and not self._retry_failed:
            attempts = self.attempts(item.video_id)
            if row.get("is_permanent") or attempts >= self._max_attempts:
                return "given_up"
        return "wanted"

    def is_complete(self, row: Row) -> bool:
        """Return whether the file of a row is there, with the size it had."""
        path = self._folder / str(row["path"])
        return path.is_file() and path.stat().st_size == row["bytes"]

    def attempts(self, video_id: str) -> int:
        """Return how often in a row a video has failed."""
        found = self.rows.get(video_id, {}).get("attempts")
        return found if isinstance(found, int) else 0

    def is_archived(self, line: str) -> bool:
        """Return whether a line is in the archive."""
        return line in self._archived

    def add_to_archive(self, line: str) -> None:
        """Add a line to the archive, where there is one."""
        if self._archive is not None and line not in self._archived:
            self._archived.add(line)
            try:
                with self._archive.open("a", encoding="utf-8") as file:
                    file.write(f"{line}\n")
            except OSError as error:
                msg = (
                    f"--archive: expected a file that can be written, got "
                    f"{self._archive} ({error})."
                )
                raise ConfigError(msg) from error


def _archived(path: Path | None) -> set[str]:
    if path is None or not path.exists():
        return set()
    try:
        return {line.strip() for line in path.read_text(encoding="utf-8").splitlines()}
    except (OSError, UnicodeDecodeError) as error:
        msg = f"--archive: expected a text file in UTF-8, got {path} ({error})."
        raise ConfigError(msg) from error
