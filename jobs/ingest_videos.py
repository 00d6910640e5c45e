"""Run the stage ``ingest_videos`` under spark-submit, with its usual arguments."""

from __future__ import annotations

import sys

from acav_spark.cli import main

if __name__ == "__main__":
    main(["ingest_videos", *sys.argv[1:]])
