"""Extraction on a cluster of processes with made-up GPUs; run as a program.

``python gpu_cluster.py ROOT OVERRIDE ...`` runs ``extract_features`` on the clips of
``ROOT/warehouse``, on two executors of two cores and one GPU each.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from curation import SPARK, settings_for

from acav_spark.context import StageContext
from acav_spark.pipeline import run_stages, stages_named
from acav_spark.session import get_session

GPU = 7
_FINDS_GPU = f"""#!/bin/sh
echo '{{"name": "gpu", "addresses": ["{GPU}"]}}'
"""


def main(root: Path, overrides: list[str]) -> None:
    """Run the stage under the session of a cluster."""
    script = root / "find_gpu.sh"
    script.write_text(_FINDS_GPU)
    script.chmod(0o755)
    resources = {
        f"spark.{who}.resource.gpu.{what}": value
        for who in ("worker", "executor")
        for what, value in (("amount", "1"), ("discoveryScript", str(script)))
    }
    spark = get_session(
        {
            **SPARK,
            **resources,
            "spark.master": "local-cluster[2,2,1024]",
            "spark.executor.cores": "2",
            "spark.executor.memory": "1g",
            "spark.executor.extraJavaOptions": "-XX:TieredStopAtLevel=1 "
            "-XX:+UseSerialGC",
            # The first job waits for both executors.
            "spark.scheduler.minRegisteredResourcesRatio": "1.0",
            "spark.scheduler.maxRegisteredResourcesWaitingTime": "120s",
            "spark.local.dir": str(root / "local"),
            "spark.sql.warehouse.dir": str(root / "spark-warehouse"),
            "spark.executorEnv.PYTHONPATH": os.environ["PYTHONPATH"],
        },
        app_name="acav_spark tests of made-up GPUs",
    )
    config = settings_for(root / "warehouse", *overrides)
    run_stages(StageContext(spark, config), stages_named(["extract_features"]))
    spark.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
