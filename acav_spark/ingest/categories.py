"""Names of video categories; YouTube's metadata often has the ids alone.

Ids mean the same in nearly all regions, but names are in each region's language, so
that lists of several regions give an id several names.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

from acav_spark.errors import ConfigError
from acav_spark.ingest.ids import youtube_id
from acav_spark.ingest.words import fold

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

# As the YouTube Data API's videoCategories.list gives them.
YOUTUBE_CATEGORIES: Final[dict[str, str]] = {
    "1": "Film & Animation",
    "2": "Autos & Vehicles",
    "10": "Music",
    "15": "Pets & Animals",
    "17": "Sports",
    "18": "Short Movies",
    "19": "Travel & Events",
    "20": "Gaming",
    "21": "Videoblogging",
    "22": "People & Blogs",
    "23": "Comedy",
    "24": "Entertainment",
    "25": "News & Politics",
    "26": "Howto & Style",
    "27": "Education",
    "28": "Science & Technology",
    "29": "Nonprofits & Activism",
    "30": "Movies",
    "31": "Anime/Animation",
    "32": "Action/Adventure",
    "33": "Classics",
    "34": "Comedy",
    "35": "Documentary",
    "36": "Drama",
    "37": "Family",
    "38": "Foreign",
    "39": "Horror",
    "40": "Sci-Fi/Fantasy",
    "41": "Thriller",
    "42": "Shorts",
    "43": "Shows",
    "44": "Trailers",
}


_ENDING = "_category_id.json"
_MAX_BYTES = 16 << 20


def _plain(name: str) -> str:
    return fold(name).strip()


class CategoryNames:
    """What the ids of YouTube's categories are called, in one or several regions.

    Parameters
    ----------
    names : iterable of (str, str)
        Ids and names; an id may have several names, and a name several ids.
    """

    def __init__(self, names: Iterable[tuple[str, str]]) -> None:
        self._names: dict[str, set[str]] = {}
        self._ids: dict[str, set[str]] = {}
        for key, name in names:
            self._names.setdefault(_plain(key), set()).add(_plain(name))
            self._ids.setdefault(_plain(name), set()).add(_plain(key))

    def of(self, category: str, uri: str) -> frozenset[str]:
        """Return every name and id that a video's category goes by, case-folded.

        Parameters
        ----------
        category : str
            Name or id as the metadata has it.
        uri : str
            Where the video is: ids are YouTube's only for videos of YouTube.
        """
        given = _plain(category)
        if youtube_id(uri) is None:
            return frozenset({given})
        return self.of_youtube(category)

    def of_youtube(self, category: str) -> frozenset[str]:
        """Return every name and id of a category of a video of YouTube's."""
        given = _plain(category)
        # An id is no name of another: YouTube has none that is a number.
        ids = {given} if given in self._names else self._ids.get(given, set())
        names = (name for key in ids for name in self._names[key])
        return frozenset({given, *self._ids.get(given, ()), *ids, *names})


class RegionalCategories:
    """What categories are called by the region of a video.

    Parameters
    ----------
    by_region : mapping of str to (mapping of str to str), optional
        Names by id of each region; YouTube's English ones hold everywhere.
    region : str, default ""
        Region of videos that do not say theirs. Where neither is known, or has a list,
        the names of all regions count.
    """

    def __init__(
        self,
        by_region: Mapping[str, Mapping[str, str]] | None = None,
        region: str = "",
    ) -> None:
        lists = by_region or {}
        english = YOUTUBE_CATEGORIES.items()
        every = (pair for names in lists.values() for pair in names.items())
        self._all = CategoryNames((*english, *every))
        self._by_region = {
            name.upper(): CategoryNames((*english, *names.items()))
            for name, names in lists.items()
        }
        self._region = region.upper()

    def excluded(
        self,
        category: str,
        uri: str,
        excluded: Collection[str],
        region: str | None = None,
    ) -> str | None:
        """Return the first of the excluded names and ids that a category goes by."""
        known = self._by_region.get(
            (region or "").upper(), self._by_region.get(self._region, self._all)
        )
        names = known.of(category, uri)
        return next((name for name in excluded if _plain(name) in names), None)


YOUTUBE: Final = RegionalCategories()
"""The English names alone."""


def category_names(category: str, uri: str) -> frozenset[str]:
    """Return every name and id that a video's category goes by, case-folded.

    Parameters
    ----------
    category : str
        Name or id as the metadata has it.
    uri : str
        Where the video is: ids are YouTube's only for videos of YouTube.
    """
    return CategoryNames(YOUTUBE_CATEGORIES.items()).of(category, uri)


def read_category_names(
    places: Iterable[str], region: str = ""
) -> dict[str, dict[str, str]]:
    """Return the ids and names of categories by region, from lists of the Data API.

    Parameters
    ----------
    places : iterable of str
        Files named ``REGION_category_id.json``, as ``videoCategories.list`` answers,
        or folders of such.
    region : str, default ""
        A region that has to be among them.

    Raises
    ------
    ConfigError
        If there is no such file or folder, none of the region, or one that is not of
        that form.
    """
    files = [path for place in places for path in _files(Path(place).expanduser())]
    found = {
        path.name[: -len(_ENDING)].upper() if path.name.endswith(_ENDING) else "": path
        for path in files
    }
    if region and region.upper() not in found:
        msg = (
            "ingest.category_region: expected one of the regions of "
            f"ingest.category_names ({', '.join(sorted(found)) or 'none'}), got "
            f"{region!r}."
        )
        raise ConfigError(msg)
    return {name: _read(path) for name, path in sorted(found.items())}


def _files(place: Path) -> list[Path]:
    files = sorted(place.glob(f"*{_ENDING}")) if place.is_dir() else [place]
    if not files or not all(path.is_file() for path in files):
        msg = (
            f"ingest.category_names: expected a file REGION{_ENDING}, or a folder of "
            f"such, got {str(place)!r}. Check the path."
        )
        raise ConfigError(msg)
    return files


def _read(path: Path) -> dict[str, str]:
    """Return the ids and names of one list."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            msg = f"more than {_MAX_BYTES >> 20} MiB"
            raise ValueError(msg)
        items = json.loads(path.read_text("utf-8"))["items"]
        names = {str(item["id"]): str(item["snippet"]["title"]) for item in items}
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        msg = (
            "ingest.category_names: expected a list of categories as the YouTube Data "
            f"API answers (items, each with id and snippet.title), got {str(path)!r}: "
            f"{type(error).__name__}: {error}."
        )
        raise ConfigError(msg) from error
    return names
