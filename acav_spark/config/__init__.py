"""Every option, typed and validated; YAML files in ``conf/`` hold values only."""

from __future__ import annotations

from acav_spark.config.loader import LoadedConfig, load_config
from acav_spark.config.models import Config
from acav_spark.config.options import Option, describe_options, options_markdown
from acav_spark.config.render import config_hash, diff, redacted, section_hash, to_yaml

__all__ = [
    "Config",
    "LoadedConfig",
    "Option",
    "config_hash",
    "describe_options",
    "diff",
    "load_config",
    "options_markdown",
    "redacted",
    "section_hash",
    "to_yaml",
]
