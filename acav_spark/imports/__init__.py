"""Vectors that are there already: read, checked, and made rows of ``features``.

``vectors``, ``arrays`` and ``shards`` are plain functions of bytes and arrays; ``job``
is the stage.
"""

from acav_spark.imports.vectors import EncodedLayer, encode_array, encode_column

__all__ = ["EncodedLayer", "encode_array", "encode_column"]
