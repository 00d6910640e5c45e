"""Videos of lists, searches and warehouses, fetched into a folder.

yt-dlp says where a video's file is (an extra: ``pip install 'acav_spark[download]'``);
the file is fetched by the code that reads remote media elsewhere, with its rules.
"""

from __future__ import annotations

from acav_spark.download.downloading import download, wanted_items
from acav_spark.download.items import Item, item_from_row, item_from_text
from acav_spark.download.rules import DownloadRules, DownloadSummary

__all__ = [
    "DownloadRules",
    "DownloadSummary",
    "Item",
    "download",
    "item_from_row",
    "item_from_text",
    "wanted_items",
]
