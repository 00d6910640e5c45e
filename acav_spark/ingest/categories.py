"""Names of video categories; YouTube's metadata often has the ids alone."""

from __future__ import annotations

from typing import Final

from acav_spark.ingest.ids import youtube_id
from acav_spark.ingest.words import fold

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


def category_names(category: str, uri: str) -> frozenset[str]:
    """Return every name and id that a video's category goes by, case-folded.

    Parameters
    ----------
    category : str
        Name or id as the metadata has it.
    uri : str
        Where the video is: ids are YouTube's only for videos of YouTube.
    """
    given = fold(category).strip()
    if youtube_id(uri) is None:
        return frozenset({given})
    ids = {key for key, name in YOUTUBE_CATEGORIES.items() if fold(name) == given}
    name = YOUTUBE_CATEGORIES.get(given)
    return frozenset({given, *ids, *([fold(name)] if name is not None else [])})
