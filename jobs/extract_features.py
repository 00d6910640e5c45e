"""Run the stage ``extract_features`` under spark-submit, with its usual arguments."""

from __future__ import annotations

import sys

from acav_spark.cli import main

if __name__ == "__main__":
    main(["extract_features", *sys.argv[1:]])
