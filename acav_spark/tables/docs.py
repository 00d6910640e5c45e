"""Writes docs/tables.md and docs/configuration.md from the declarations."""

from __future__ import annotations

import sys
from pathlib import Path

from acav_spark.config import options_markdown
from acav_spark.tables.catalog import TABLES
from acav_spark.tables.views import VIEWS


def tables_markdown() -> str:
    """Return the page that describes every table and view."""
    lines = [
        "# Tables",
        "",
        "Written from `acav_spark/tables/catalog.py` by `make docs`.",
        "",
        "Every table is a Delta table below `storage.root`. The key is unique: the",
        "only writer, `acav_spark/tables/warehouse.py`, writes by it.",
        "",
    ]
    for table in TABLES:
        lines += [f"## {table.name}", "", table.comment, ""]
        lines += [f"Key: {', '.join(f'`{name}`' for name in table.key)}."]
        if table.partition_by:
            lines += [f"Partitioned by: {', '.join(table.partition_by)}."]
        lines += ["", "| column | type | may be empty | meaning |", "|---|---|---|---|"]
        lines += [
            f"| `{c.name}` | {c.type} | {'yes' if c.nullable else 'no'} | {c.comment} |"
            for c in table.columns
        ]
        if table.constraints:
            lines += ["", "Constraints:", ""]
            lines += [f"- `{k}`: `{v}`" for k, v in table.constraints.items()]
        lines += [""]
    lines += ["## Views", "", "| view | meaning |", "|---|---|"]
    lines += [f"| `{name}` | {meaning} |" for name, meaning in VIEWS.items()]
    lines += [
        "",
        "`curated_clips` has one column for each view of the clusterings, named after",
        "extractor and layer, such as `handcrafted_visual_layer_5`.",
        "",
    ]
    return "\n".join(lines)


def write_docs(folder: Path) -> list[Path]:
    """Write the generated pages and return their paths."""
    pages = {
        "tables.md": tables_markdown(),
        "configuration.md": options_markdown(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in pages.items():
        path = folder / name
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written


if __name__ == "__main__":
    write_docs(Path(sys.argv[1]))
