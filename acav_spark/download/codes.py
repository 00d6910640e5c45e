"""What can be wrong with a download, beside what can be wrong with media."""

from __future__ import annotations

from typing import Final

UNSUPPORTED_SITE: Final = "unsupported_site"
NOT_AVAILABLE: Final = "not_available"
EXTRACTION_FAILED: Final = "extraction_failed"
NO_FORMAT: Final = "no_format"
LIVE_STREAM: Final = "live_stream"
SEVERAL_VIDEOS: Final = "several_videos"
TOO_LONG_PAGE: Final = "too_long_page"

CODES: Final[dict[str, str]] = {
    UNSUPPORTED_SITE: "No video was found at the address: yt-dlp does not know the "
    "site, and the page names none.",
    NOT_AVAILABLE: "The site says that it does not show the video: removed, private, "
    "for members, or not in this country.",
    EXTRACTION_FAILED: "yt-dlp did not find its way through the site's answer.",
    NO_FORMAT: "None of the video's formats is what was asked for.",
    LIVE_STREAM: "A stream that is not over yet.",
    SEVERAL_VIDEOS: "A playlist, or a page with several videos.",
    TOO_LONG_PAGE: "An answer that yt-dlp asked for was longer than allowed.",
}
