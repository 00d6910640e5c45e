"""Languages of whole columns of text by a compressed model: cleaned, cut, named.

The same as ``cleaned`` and fastText's ``predict`` one after another, in compiled loops.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from acav_spark.ingest.arrow_text import text_bytes
from acav_spark.ingest.kernels.cleaning import clean_texts
from acav_spark.ingest.kernels.naming import fill_vocabulary, name_texts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from acav_spark.ingest.fasttext_file import CompressedModel

# The planes that hold letters with two cases.
_N_CODES = 0x20000
_MAX_WIDTH = 4


class CleanedTexts(NamedTuple):
    """Texts of one line each, without line ends, and their lengths in characters."""

    data: NDArray[np.uint8]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int32]

    def text(self, place: int) -> str:
        """Return one of them."""
        found = self.data[self.starts[place] : self.starts[place + 1]]
        return found.tobytes().decode()


def cleaned_texts(texts: pa.Array, n_characters: int) -> CleanedTexts:
    """Return texts as ``language.cleaned`` has them, less the line end.

    Parameters
    ----------
    texts : pyarrow.Array, shape (n_texts,)
        Of strings; missing texts become empty ones.
    n_characters : int
        Length of a text that is left; twice that is cleaned.
    """
    data, starts = text_bytes(texts)
    lengths = np.empty(len(texts), np.int32)
    found_starts = np.empty(len(texts) + 1, np.int64)
    # In lower case some letters of two bytes have three.
    n_bytes = np.minimum(2 * np.diff(starts), _MAX_WIDTH * n_characters).sum()
    found = np.empty(n_bytes, np.uint8)
    clean_texts(data, starts, n_characters, _lower(), found, found_starts, lengths)
    return CleanedTexts(found, found_starts, lengths)


class CompressedNamer:
    """Finds the most probable label of texts.

    Parameters
    ----------
    model : CompressedModel
        What names them; some 12 MB are held for the one of 176 languages.
    """

    def __init__(self, model: CompressedModel) -> None:
        self._model = model
        self._words = np.frombuffer(b"".join(model.words), np.uint8)
        lengths = [0, *map(len, model.words)]
        self._word_starts = np.cumsum(lengths, dtype=np.int64)
        n_slots = 1 << max(3 * len(model.words), 4).bit_length()
        self._word_slots = np.full(n_slots, -1, np.int32)
        fill_vocabulary(self._words, self._word_starts, self._word_slots)

    def name(
        self, texts: CleanedTexts, is_asked: NDArray[np.bool_]
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return the place of each text's label in ``model.labels``, and how probable.

        Parameters
        ----------
        texts : CleanedTexts, shape (n_texts,)
            Lines.
        is_asked : ndarray of bool, shape (n_texts,)
            Which of them to look at.

        Returns
        -------
        labels : ndarray of int32, shape (n_texts,)
            -1 of those that are not looked at, or have nothing to go by.
        probabilities : ndarray of float32, shape (n_texts,)
            As fastText has them, to 1e-6; 0 without a label.
        """
        model = self._model
        labels = np.empty(len(is_asked), np.int32)
        probabilities = np.empty(len(is_asked), np.float32)
        name_texts(
            texts.data,
            texts.starts,
            is_asked,
            self._words,
            self._word_starts,
            self._word_slots,
            model.bucket_rows,
            model.min_n,
            model.max_n,
            model.end_row,
            model.vectors,
            model.nodes,
            model.children,
            labels,
            probabilities,
        )
        return labels, probabilities


@functools.cache
def _lower() -> NDArray[np.int32]:
    """Return the lower case of each code point."""
    codes = [code for code in range(_N_CODES) if not 0xD800 <= code < 0xE000]
    lower = np.arange(_N_CODES, dtype=np.int32)
    texts = pc.utf8_lower(pa.array(map(chr, codes), pa.string())).to_pylist()
    lower[codes] = list(map(ord, texts))
    return lower
