"""Run the stage ``fit_centroids`` under spark-submit, with its usual arguments."""

from __future__ import annotations

import sys

from acav_spark.cli import main

if __name__ == "__main__":
    main(["fit_centroids", *sys.argv[1:]])
