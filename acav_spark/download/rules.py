"""What a download is told, and what it tells at its end."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from acav_spark.download.findings import default_selector, require_one_format
from acav_spark.media.sandbox import Limits
from acav_spark.media.sources_rules import SourceRules

if TYPE_CHECKING:
    from pathlib import Path

_DEFAULT_SOURCES = SourceRules(allowed_schemes=("https",), total_s=3600.0)


@dataclass(frozen=True, kw_only=True)
class DownloadRules:
    """What is fetched, and how.

    Parameters
    ----------
    sources : SourceRules
        Schemes and addresses that are allowed, the largest file, the longest silence,
        and the seconds of network that one question to a site or one attempt at a file
        may take; by default ``https``, public addresses, 2 GiB, 30 s, one hour.
    limits : Limits
        What looking into a file that has arrived may take.
    max_height : int, default 360
        Of the picture, in pixels, where the site has a choice. The paper's videos have
        that height or less.
    format : str, optional
        yt-dlp's selector of one format in place of the default.
    bytes_per_s : int, optional
        Of all files together.
    request_interval_s : float, default 0
        Between any two questions to sites.
    n_workers : int, default 2
        Videos at a time.
    max_attempts : int, default 3
        Attempts after which a passing failure is given up.
    retry_failed : bool, default False
        Whether what was given up is tried again.
    archive : Path, optional
        A download archive of yt-dlp: what is in it is not fetched, and what was
        fetched gets into it.
    search : str, default "ytsearch"
        yt-dlp's name of the search that queries go to.
    n_results : int, default 10
        Videos a query.
    """

    sources: SourceRules = _DEFAULT_SOURCES
    limits: Limits = field(default_factory=Limits)
    max_height: int = 360
    format: str | None = None
    bytes_per_s: int | None = None
    request_interval_s: float = 0.0
    n_workers: int = 2
    max_attempts: int = 3
    retry_failed: bool = False
    archive: Path | None = None
    search: str = "ytsearch"
    n_results: int = 10

    @property
    def format_selector(self) -> str:
        """The selector that holds."""
        return require_one_format(self.format or default_selector(self.max_height))


@dataclass
class DownloadSummary:
    """What came of a download.

    Attributes
    ----------
    n_items : int
        Different videos that the input named, as far as it was read.
    n_done : int
        Fetched by this run.
    n_present : int
        That were there already.
    n_archived : int
        In the archive, hence not fetched.
    n_given_up : int
        Failed in earlier runs, for good or too often, and not tried again.
    n_failed : int
        Failed in this run.
    n_bytes : int
        That came over the network for files.
    codes : Counter of str
        Of the failures of this run.
    """

    n_items: int = 0
    n_done: int = 0
    n_present: int = 0
    n_archived: int = 0
    n_given_up: int = 0
    n_failed: int = 0
    n_bytes: int = 0
    codes: Counter[str] = field(default_factory=Counter)
