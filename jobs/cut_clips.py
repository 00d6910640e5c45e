"""Run the stage ``cut_clips`` under spark-submit, with its usual arguments."""

from __future__ import annotations

import sys

from acav_spark.cli import main

if __name__ == "__main__":
    main(["cut_clips", *sys.argv[1:]])
