"""What curating takes before it is done: time, bytes, dollars (``acav plan``).

Rates and a configuration go in, a plan comes out; nothing here needs Spark but the
calibration (``calibrate_job``).
"""

from __future__ import annotations

from acav_spark.planning.plan import Plan, StageCost, TableSize, make_plan
from acav_spark.planning.prices import (
    Hardware,
    Prices,
    local_hardware,
    read_hardware,
    read_prices,
)
from acav_spark.planning.rates import Rates, read_rates, write_rates
from acav_spark.planning.workload import (
    Assumption,
    ExtractorSpec,
    Settings,
    VideoShape,
    Workload,
)

__all__ = [
    "Assumption",
    "ExtractorSpec",
    "Hardware",
    "Plan",
    "Prices",
    "Rates",
    "Settings",
    "StageCost",
    "TableSize",
    "VideoShape",
    "Workload",
    "local_hardware",
    "make_plan",
    "read_hardware",
    "read_prices",
    "read_rates",
    "write_rates",
]
