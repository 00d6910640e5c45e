"""Run the stage ``assign_clusters`` under spark-submit, with its usual arguments."""

from __future__ import annotations

import sys

from acav_spark.cli import main

if __name__ == "__main__":
    main(["assign_clusters", *sys.argv[1:]])
