"""Extractors of features: what they are, the ones that need no weights, their vectors.

``create_extractor`` makes one by its name; nothing is imported before that.
"""

from acav_spark.features.registry import create_extractor, known_extractors
from acav_spark.features.vectors import decode_fp16, encode_fp16

__all__ = ["create_extractor", "decode_fp16", "encode_fp16", "known_extractors"]
