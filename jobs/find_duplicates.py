"""Run the stage ``find_duplicates`` under spark-submit, with its usual arguments."""

from __future__ import annotations

import sys

from acav_spark.cli import main

if __name__ == "__main__":
    main(["find_duplicates", *sys.argv[1:]])
