"""Languages of texts by a model of fastText's, without making strings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from acav_spark.compiling import compiled, inlined

if TYPE_CHECKING:
    from numpy.typing import NDArray

NO_LABEL: Final = -1

_LOW = 0xFFFFFFFF
_FNV_BASIS = 2166136261
_FNV_PRIME = 16777619
_LEAST = np.float32(np.log(1e-5))


@inlined
def _is_parting(byte: int) -> bool:
    """Return whether a byte parts words for fastText: its spaces, and zero."""
    return byte == 32 or 9 <= byte <= 13 or byte == 0


@inlined
def _hashed(state: int, byte: int) -> int:
    """Return FNV-1a of 32 bits after one more byte, which fastText takes as signed."""
    signed = np.uint64(byte) | (np.uint64(0xFFFFFF00) if byte >= 0x80 else np.uint64(0))
    return ((state ^ signed) * np.uint64(_FNV_PRIME)) & np.uint64(_LOW)


@compiled
def fill_vocabulary(
    words: NDArray[np.uint8], starts: NDArray[np.int64], slots: NDArray[np.int32]
) -> None:
    """Write words to free slots of a hash table of a power of two of slots, -1 free."""
    last = slots.size - 1
    for word in range(starts.size - 1):
        state = np.uint64(_FNV_BASIS)
        for i in range(starts[word], starts[word + 1]):
            state = _hashed(state, words[i])
        slot = np.int64(state) & last
        while slots[slot] >= 0:
            slot = (slot + 1) & last
        slots[slot] = word


@inlined
def _word_at(
    data: NDArray[np.uint8],
    begin: int,
    end: int,
    words: NDArray[np.uint8],
    word_starts: NDArray[np.int64],
    word_slots: NDArray[np.int32],
) -> int:
    """Return the number of the word in a range of bytes, or -1."""
    state = np.uint64(_FNV_BASIS)
    for i in range(begin, end):
        state = _hashed(state, data[i])
    last = word_slots.size - 1
    slot = np.int64(state) & last
    while word_slots[slot] >= 0:
        word = np.int64(word_slots[slot])
        start = word_starts[word]
        if word_starts[word + 1] - start == end - begin:
            n_same = 0
            while (
                n_same < end - begin and words[start + n_same] == data[begin + n_same]
            ):
                n_same += 1
            if n_same == end - begin:
                return word
        slot = (slot + 1) & last
    return -1


@compiled
def name_texts(
    data: NDArray[np.uint8],
    starts: NDArray[np.int64],
    is_asked: NDArray[np.bool_],
    words: NDArray[np.uint8],
    word_starts: NDArray[np.int64],
    word_slots: NDArray[np.int32],
    bucket_rows: NDArray[np.int32],
    min_n: int,
    max_n: int,
    end_row: int,
    vectors: NDArray[np.float32],
    nodes: NDArray[np.float32],
    children: NDArray[np.int32],
    labels: NDArray[np.int32],
    probabilities: NDArray[np.float32],
) -> None:
    """Write the most probable label of each text, and its probability.

    Parameters
    ----------
    data : ndarray of uint8
        Texts of one line each in UTF-8, one after another, without line ends.
    starts : ndarray of int64, shape (n_texts + 1,)
        Where each begins in ``data``.
    is_asked : ndarray of bool, shape (n_texts,)
        Texts to look at; the others get no label.
    words, word_starts, word_slots : ndarray of uint8, int64 and int32
        Words of the vocabulary, and their hash table; see ``fill_vocabulary``.
    bucket_rows : ndarray of int32, shape (n_buckets,)
        Row of ``vectors`` of each bucket of n-grams, or -1 for those that were pruned.
    min_n, max_n : int
        Characters of n-grams.
    end_row : int
        Row of the line's end, or -1.
    vectors : ndarray of float32, shape (n_rows, n_dimensions)
        Vectors of words, then of n-grams.
    nodes : ndarray of float32, shape (n_labels - 1, n_dimensions)
        Vectors of the inner nodes of the tree of labels.
    children : ndarray of int32, shape (2 * n_labels - 1, 2)
        Left and right child of each node; -1 of the leaves, which come first.
    labels : ndarray of int32, shape (n_texts,)
        Written: the label, or ``NO_LABEL``.
    probabilities : ndarray of float32, shape (n_texts,)
        Written: its probability, 0 without a label.

    Notes
    -----
    Joulin et al. (2016), "Bag of Tricks for Efficient Text Classification": the mean of
    the vectors of words and n-grams, and a hierarchical softmax. Sums of vectors are in
    fastText's order.
    """
    n_dimensions = vectors.shape[1]
    n_labels = nodes.shape[0] + 1
    n_buckets = np.uint64(bucket_rows.size)
    longest = 0
    for text in range(labels.size):
        longest = max(longest, starts[text + 1] - starts[text])
    word = np.empty(longest + 2, np.uint8)
    rows = np.empty((longest + 2) * (max_n + 2) + 1, np.int32)
    mean = np.empty(n_dimensions, np.float32)
    open_nodes = np.empty(2 * n_labels, np.int64)
    open_scores = np.empty(2 * n_labels, np.float32)
    for text in range(labels.size):
        labels[text] = NO_LABEL
        probabilities[text] = 0
        if not is_asked[text]:
            continue
        n_rows = 0
        place, end = starts[text], starts[text + 1]
        while place < end:
            if _is_parting(data[place]):
                place += 1
                continue
            begin = place
            word[0] = 60  # "<" begins a word, ">" ends it
            while place < end and not _is_parting(data[place]):
                word[place - begin + 1] = data[place]
                place += 1
            n_bytes = place - begin + 2
            word[n_bytes - 1] = 62
            known = _word_at(data, begin, place, words, word_starts, word_slots)
            if known >= 0:
                rows[n_rows] = known
                n_rows += 1
            for i in range(n_bytes):
                if word[i] & 0xC0 == 0x80:
                    continue
                state = np.uint64(_FNV_BASIS)
                j, n = i, 1
                while j < n_bytes and n <= max_n:
                    state = _hashed(state, word[j])
                    j += 1
                    while j < n_bytes and word[j] & 0xC0 == 0x80:
                        state = _hashed(state, word[j])
                        j += 1
                    if n >= min_n and not (n == 1 and (i == 0 or j == n_bytes)):
                        row = bucket_rows[np.int64(state % n_buckets)]
                        if row >= 0:
                            rows[n_rows] = row
                            n_rows += 1
                    n += 1
        if end_row >= 0:
            rows[n_rows] = end_row
            n_rows += 1
        if n_rows == 0:
            continue
        mean[:] = 0
        for i in range(n_rows):
            row = rows[i]
            for d in range(n_dimensions):
                mean[d] += vectors[row, d]
        share = np.float32(1.0 / n_rows)
        for d in range(n_dimensions):
            mean[d] *= share
        # The likelier child first: then most of the tree is not looked at.
        best = np.float32(-np.inf)
        open_nodes[0], open_scores[0] = 2 * n_labels - 2, np.float32(0)
        n_open = 1
        while n_open > 0:
            n_open -= 1
            node, score = open_nodes[n_open], open_scores[n_open]
            if score < _LEAST or score < best:
                continue
            if children[node, 0] < 0:
                best = score
                labels[text] = node
                continue
            product = np.float32(0)
            for d in range(n_dimensions):
                product += nodes[node - n_labels, d] * mean[d]
            right = np.float32(1.0 / (1.0 + np.exp(-np.float64(product))))
            # fastText's logarithm, of 1e-5 more than it is asked for.
            of_right = np.float32(score + np.log(np.float64(right) + 1e-5))
            of_left = np.float32(score + np.log(1.0 - np.float64(right) + 1e-5))
            side = 1 if of_right < of_left else 0
            for k in range(2):
                # What is pushed last is looked at first.
                which = side if k == 0 else 1 - side
                open_nodes[n_open] = children[node, which]
                open_scores[n_open] = of_right if which == 1 else of_left
                n_open += 1
        if labels[text] >= 0:
            probabilities[text] = np.exp(best)
