"""Hash tables of an automaton over words: its words, and its steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from acav_spark.compiling import compiled, inlined

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PRIME = np.uint64(0x9E3779B97F4A7C15)


@inlined
def longer(state: int, code: int) -> int:
    """Return the state of a word that is one character longer; ``code_hash`` ends it.

    A rotation: a multiplication for each character would take the longest of all.
    """
    state = np.uint64(state)
    return (state << np.uint64(5) | state >> np.uint64(59)) ^ np.uint64(code)


@inlined
def code_hash(state: int, code: int) -> int:
    """Return a state mixed with a number, so that its low bits depend on all others."""
    mixed = (np.uint64(state) ^ np.uint64(code)) * _PRIME
    return mixed ^ (mixed >> np.uint64(29))


@inlined
def step_hash(state: int, word: int) -> int:
    """Return the hash of a state and a word."""
    return code_hash(code_hash(np.uint64(7), state), word)


@compiled
def fill_words(
    codes: NDArray[np.int32], starts: NDArray[np.int64], slots: NDArray[np.int32]
) -> None:
    """Write words to free slots of a hash table of a power of two of slots, -1 free."""
    last = slots.size - 1
    for word in range(starts.size - 1):
        state = np.uint64(0)
        for i in range(starts[word], starts[word + 1]):
            state = longer(state, codes[i])
        slot = np.int64(code_hash(state, 0) & np.uint64(last))
        while slots[slot] >= 0:
            slot = (slot + 1) & last
        slots[slot] = word


@compiled
def fill_steps(steps: NDArray[np.int32], slots: NDArray[np.int32]) -> None:
    """Write rows of (state, word, next state) to slots, whose -1 are free."""
    last = slots.size - 1
    for row in range(steps.shape[0]):
        state = step_hash(steps[row, 0], steps[row, 1])
        slot = np.int64(state & np.uint64(last))
        while slots[slot] >= 0:
            slot = (slot + 1) & last
        slots[slot] = row


@inlined
def word_of(
    mixed: int,
    read: NDArray[np.int32],
    n_read: int,
    codes: NDArray[np.int32],
    word_starts: NDArray[np.int64],
    word_slots: NDArray[np.int32],
) -> int:
    """Return the number of the word that was read, or -1 if it is in no phrase."""
    last = word_slots.size - 1
    slot = np.int64(code_hash(mixed, 0) & np.uint64(last))
    while word_slots[slot] >= 0:
        word = word_slots[slot]
        start = word_starts[word]
        n_same = 0
        if word_starts[word + 1] - start == n_read:
            while n_same < n_read and codes[start + n_same] == read[n_same]:
                n_same += 1
            if n_same == n_read:
                return word
        slot = (slot + 1) & last
    return -1


@inlined
def state_after(
    state: int,
    word: int,
    steps: NDArray[np.int32],
    step_slots: NDArray[np.int32],
    states: NDArray[np.int32],
) -> int:
    """Return the state of the automaton after one more word."""
    if word < 0:
        return 0
    last = step_slots.size - 1
    while True:
        slot = np.int64(step_hash(state, word) & np.uint64(last))
        while step_slots[slot] >= 0:
            step = step_slots[slot]
            if steps[step, 0] == state and steps[step, 1] == word:
                return np.int64(steps[step, 2])
            slot = (slot + 1) & last
        if state == 0:
            return 0
        state = np.int64(states[state, 0])
