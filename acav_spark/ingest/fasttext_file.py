"""Reads the files of compressed models of fastText's (.ftz) into arrays.

The form is that of fastText 0.9, version 12: header, arguments, vocabulary, pruned
buckets, product-quantised input matrix (Joulin et al. 2016, "FastText.zip: Compressing
text classification models"), output matrix.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_MAGIC: Final = 793712314
_VERSION: Final = 12
_HIERARCHICAL_SOFTMAX: Final = 1
_SUPERVISED: Final = 3
_N_CENTROIDS: Final = 256
_WORD: Final = 0
_END: Final = b"</s>"
# More than any label's count: a node that has no children yet.
_UNBUILT: Final = 10**15


class UnsupportedModelError(ValueError):
    """A model of another kind than those that are read here."""


@dataclass(frozen=True)
class CompressedModel:
    """A supervised model with a hierarchical softmax and no n-grams of words.

    Parameters
    ----------
    words : tuple of bytes
        Vocabulary; the vector of each is the row of its number.
    labels : tuple of str
        Labels, the most frequent first.
    min_n, max_n : int
        Characters of n-grams.
    bucket_rows : ndarray of int32, shape (n_buckets,)
        Row of each bucket's vector, or -1.
    vectors : ndarray of float32, shape (n_rows, n_dimensions)
        Of words and buckets.
    nodes : ndarray of float32, shape (n_labels - 1, n_dimensions)
        Of the inner nodes of the tree of labels.
    children : ndarray of int32, shape (2 * n_labels - 1, 2)
        Left and right child of each node, -1 of leaves.
    """

    words: tuple[bytes, ...]
    labels: tuple[str, ...]
    min_n: int
    max_n: int
    bucket_rows: NDArray[np.int32]
    vectors: NDArray[np.float32]
    nodes: NDArray[np.float32]
    children: NDArray[np.int32]

    @property
    def end_row(self) -> int:
        """Row of the line's end, or -1."""
        return self.words.index(_END) if _END in self.words else -1


def read_compressed_model(path: Path) -> CompressedModel:
    """Return the model in a file.

    Raises
    ------
    UnsupportedModelError
        If it is of another kind, or no such file.
    """
    file = io.BytesIO(path.read_bytes())
    try:
        return _read(file)
    except (struct.error, ValueError) as error:
        if isinstance(error, UnsupportedModelError):
            raise
        msg = f"{path.name}: expected a model of fastText's, got a broken one: {error}."
        raise UnsupportedModelError(msg) from error


def _read(file: io.BytesIO) -> CompressedModel:
    magic, version, *rest = _unpack(file, "<14id")
    (dimensions, _, _, _, _, n_gram_words, loss, kind, n_buckets, min_n, max_n) = rest[
        :11
    ]
    _require(magic == _MAGIC and version == _VERSION, "version", (magic, version))
    _require(loss == _HIERARCHICAL_SOFTMAX, "loss", loss)
    _require(kind == _SUPERVISED and n_gram_words == 1, "kind", (kind, n_gram_words))
    n_entries, n_words, n_labels, _, n_pruned = _unpack(file, "<iiiqq")
    _require(n_pruned > 0 and n_entries == n_words + n_labels, "vocabulary", n_pruned)
    entries = [_entry(file) for _ in range(n_entries)]
    is_word = [entry[2] == _WORD for entry in entries]
    _require(is_word == [i < n_words for i in range(n_entries)], "vocabulary", "order")
    pruned = np.frombuffer(file.read(8 * n_pruned), "<i4").reshape(n_pruned, 2)
    bucket_rows = np.full(n_buckets, -1, np.int32)
    bucket_rows[pruned[:, 0]] = n_words + pruned[:, 1]
    (is_quantised,) = _unpack(file, "<?")
    _require(bool(is_quantised), "input matrix", "not quantised")
    vectors = _quantised(file)
    _require(vectors.shape == (n_words + n_pruned, dimensions), "rows", vectors.shape)
    (is_quantised,) = _unpack(file, "<?")
    _require(not is_quantised, "output matrix", "quantised")
    n_rows, n_columns = _unpack(file, "<qq")
    _require((n_rows, n_columns) == (n_labels, dimensions), "output", (n_rows,))
    output = np.frombuffer(file.read(4 * n_rows * n_columns), "<f4")
    counts = [count for _, count, _ in entries[n_words:]]
    return CompressedModel(
        words=tuple(word for word, _, _ in entries[:n_words]),
        labels=tuple(word.decode() for word, _, _ in entries[n_words:]),
        min_n=min_n,
        max_n=max_n,
        bucket_rows=bucket_rows,
        vectors=vectors,
        # As many rows as labels; the tree has an inner node less.
        nodes=output.reshape(n_labels, dimensions)[: n_labels - 1].astype(np.float32),
        children=_tree(counts),
    )


def _unpack(file: io.BytesIO, form: str) -> tuple[int, ...]:
    return struct.unpack(form, file.read(struct.calcsize(form)))


def _entry(file: io.BytesIO) -> tuple[bytes, int, int]:
    """Return a word, its count, and its kind."""
    start = file.tell()
    end = file.getvalue().find(b"\0", start)
    _require(end >= 0, "vocabulary", "a word without an end")
    word = file.read(end - start)
    file.read(1)
    count, kind = _unpack(file, "<qb")
    return word, count, kind


def _quantised(file: io.BytesIO) -> NDArray[np.float32]:
    """Return the rows of a product-quantised matrix, norms multiplied in."""
    has_norms, n_rows, n_columns, n_codes = _unpack(file, "<?qqi")
    codes = np.frombuffer(file.read(n_codes), np.uint8).reshape(n_rows, -1)
    rows = _decoded(file, codes)
    _require(rows.shape == (n_rows, n_columns), "input matrix", rows.shape)
    if has_norms:
        norms = np.frombuffer(file.read(n_rows), np.uint8).reshape(n_rows, 1)
        rows *= _decoded(file, norms)
    return rows


def _decoded(file: io.BytesIO, codes: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the vectors that codes stand for; the quantiser is next in the file."""
    dimensions, n_parts, width, last_width = _unpack(file, "<iiii")
    _require(width == last_width and n_parts == codes.shape[1], "quantiser", width)
    centroids = np.frombuffer(file.read(4 * dimensions * _N_CENTROIDS), "<f4")
    parts = centroids.reshape(n_parts, _N_CENTROIDS, width)
    found = parts[np.arange(n_parts), codes].reshape(len(codes), dimensions)
    return np.ascontiguousarray(found, np.float32)


def _tree(counts: list[int]) -> NDArray[np.int32]:
    """Return the Huffman tree of labels by falling count, as fastText builds it."""
    n_labels = len(counts)
    sizes = [*counts, *[_UNBUILT] * (n_labels - 1)]
    children = np.full((2 * n_labels - 1, 2), -1, np.int32)
    leaf, node = n_labels - 1, n_labels
    for parent in range(n_labels, 2 * n_labels - 1):
        for side in range(2):
            if leaf >= 0 and sizes[leaf] < sizes[node]:
                children[parent, side], leaf = leaf, leaf - 1
            else:
                children[parent, side], node = node, node + 1
        sizes[parent] = sum(sizes[child] for child in children[parent])
    return children


def _require(is_met: bool, what: str, value: object) -> None:  # noqa: FBT001 - a condition
    if not is_met:
        msg = (
            "model: expected a supervised, quantised one of fastText 0.9 with a "
            f"hierarchical softmax, got one of another {what}: {value}."
        )
        raise UnsupportedModelError(msg)
