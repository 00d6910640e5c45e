"""The language of a video's text, and which languages are kept.

Paper, section 3.1: languages of titles and descriptions are detected with fastText, and
those are kept that make up a cumulative ratio of 0.9.
"""

from __future__ import annotations

import functools
import logging
import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from acav_spark.errors import DependencyError
from acav_spark.ingest.fasttext_file import (
    UnsupportedModelError,
    read_compressed_model,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from acav_spark.ingest.compressed_naming import CompressedNamer

UNKNOWN: Final = "und"
"""Code of a language that is not known (ISO 639-3, undetermined)."""

N_CHARACTERS: Final = 300
"""Characters, after cleaning, that are looked at.

On the trending lists of 11 countries 98.4 % of the texts get the language that the
whole text gets, 99.2 % of those above a probability of 0.5, in half of its time
(docs/ingest.md).
"""

N_RAW_CHARACTERS: Final = 2 * N_CHARACTERS
"""Characters of a text that are cleaned: addresses go, what is behind them moves up."""

MIN_LETTER_BYTES: Final = 20
"""Letters, as bytes of UTF-8, below which a text is too short to tell.

20 Latin, 10 Cyrillic or 7 Chinese letters. Of titles that are cut to 12 to 20 bytes,
11 % get another language than the whole text though fastText is sure; of those from 20
to 30 bytes 5 %.
"""

_LABEL = "__label__"
# Addresses look English. They end where their characters do, also before Japanese text
# that follows without a space. A line end would end the text; "_" joins a file's words.
_NOT_TEXT = r"(?:https?://|www\.)[!-~]+|[\r\n_]+"
# Longer texts have letters enough, or none that fastText would be sure of.
_SHORT = 60
_NOT_LETTERS = re.compile(r"[\W\d_]+")
_logger = logging.getLogger(__name__)


class LanguageIdentifier:
    """Names the language of texts by a model of fastText.

    Parameters
    ----------
    path : str
        File of the model, such as lid.176.ftz.

    Raises
    ------
    DependencyError
        If fastText is not installed.
    ValueError
        If the file is no model of fastText's.
    """

    def __init__(self, path: str) -> None:
        try:
            import fasttext
        except ImportError as error:
            raise DependencyError(NOT_INSTALLED) from error
        model = fasttext.load_model(path)
        # Less the conversion of each single answer to an array.
        self._predict = model.f.predict
        # In the model's order.
        self._labels = [name.removeprefix(_LABEL) for name in model.get_labels()]
        self.languages = frozenset(self._labels)
        self._path = path

    def identify(
        self, texts: Sequence[str | None] | pa.Array, *, min_probability: float = 0.5
    ) -> tuple[list[str], NDArray[np.float32]]:
        """Return the language of each text, and how probable it is.

        Parameters
        ----------
        texts : sequence of str or None, or string array, shape (n_texts,)
            Such as title and description with a space between; cleaned here.
        min_probability : float, in [0, 1], default 0.5
            Below it the language is ``und``.

        Returns
        -------
        labels : list of str, length n_texts
            Codes as the model has them (ISO 639-1, else 639-3), or ``und``, also for
            texts that are too short to tell.
        probabilities : ndarray of float32, shape (n_texts,)
            Of the most probable language, in [0, 1]; 0 where nothing was looked at.
        """
        array = texts if isinstance(texts, pa.Array) else pa.array(texts, pa.string())
        labels, probabilities = self.identify_column(
            array, min_probability=min_probability
        )
        return labels.to_pylist(), probabilities

    def identify_column(
        self, texts: pa.Array, *, min_probability: float = 0.5
    ) -> tuple[pa.Array, NDArray[np.float32]]:
        """Return the same as ``identify``, languages as an array of strings."""
        namer = self._namer
        if namer is None:
            places, probabilities = self._named(texts)
        else:
            places, probabilities = _named_at_once(namer, texts)
        # Compared as it is given: rounded to float32 it may be more.
        is_sure = probabilities.astype(np.float64) >= min_probability
        # Places are -1 where there is no answer: the last one is that nothing is known.
        places = np.where(is_sure & (places >= 0), places, len(self._labels))
        names = pa.array([*self._labels, UNKNOWN]).take(pa.array(places))
        # fastText's sums pass 1 by some 1e-5.
        return names, np.minimum(probabilities, 1)

    @functools.cached_property
    def _namer(self) -> CompressedNamer | None:
        """What names whole columns, or None for a model that only fastText reads."""
        # Loads compiled code, which the driver's check of the settings has no need of.
        from acav_spark.ingest.compressed_naming import CompressedNamer

        try:
            model = read_compressed_model(Path(self._path))
        except UnsupportedModelError as error:
            _logger.info("languages are named text by text: %s", error)
            return None
        if [name.removeprefix(_LABEL) for name in model.labels] != self._labels:
            return None
        return CompressedNamer(model)

    def _named(self, texts: pa.Array) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return places of labels and probabilities by the library, text by text."""
        places = {name: place for place, name in enumerate(self._labels)}
        found = [(0.0, "")] * len(texts)
        for row, text in enumerate(cleaned(texts).to_pylist()):
            if len(text) >= _SHORT or _letter_bytes(text) >= MIN_LETTER_BYTES:
                # The text's line end is a word to the model, which was trained with it.
                answers = self._predict(text, 1, 0.0, "strict")
                found[row] = answers[0] if answers else found[row]
        return (
            np.array(
                [places.get(n.removeprefix(_LABEL), -1) for _, n in found], np.int32
            ),
            np.array([probability for probability, _ in found], np.float32),
        )


def _named_at_once(
    namer: CompressedNamer, texts: pa.Array
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    from acav_spark.ingest.compressed_naming import cleaned_texts

    lines = cleaned_texts(texts, N_CHARACTERS)
    # With the line end, as above.
    is_asked = lines.lengths + 1 >= _SHORT
    for place in map(int, np.flatnonzero(~is_asked)):
        is_asked[place] = _letter_bytes(lines.text(place)) >= MIN_LETTER_BYTES
    return namer.name(lines, is_asked)


NOT_INSTALLED: Final = (
    "ingest.language: expected fastText to be installed, and it is not. "
    "Install it with pip install 'acav_spark[language]'."
)


def cleaned(
    texts: Sequence[str | None] | pa.Array, *, n_characters: int = N_CHARACTERS
) -> pa.Array:
    """Return texts as the model wants them: one line each, lower case, cut.

    Parameters
    ----------
    texts : sequence of str or None, or string array, shape (n_texts,)
        Missing texts become empty ones.
    n_characters : int, default ``N_CHARACTERS``
        Length of a text that is left; twice that is cleaned.

    Returns
    -------
    string array, shape (n_texts,)
        Texts without addresses, and a line end.

    Notes
    -----
    In lower case more texts get the language of their country, and short ones that of
    the whole text: 96 % instead of 93 % of 100 characters. Hashtags stay: they are
    words, and without them nothing changes.
    """
    array = texts if isinstance(texts, pa.Array) else pa.array(texts, pa.string())
    array = pc.utf8_slice_codeunits(pc.fill_null(array, ""), 0, 2 * n_characters)
    array = pc.replace_substring_regex(array, _NOT_TEXT, " ")
    array = pc.utf8_lower(pc.utf8_slice_codeunits(array, 0, n_characters))
    return pc.binary_join_element_wise(array, "\n", "")


def _letter_bytes(text: str) -> int:
    return len(_NOT_LETTERS.sub("", text).encode("utf-8"))


@dataclass(frozen=True)
class LanguageChoice:
    """Which languages are kept, and of how many videos.

    Parameters
    ----------
    kept : tuple of str
        Codes, the most frequent first.
    counts : mapping of str to int
        Videos by language, the most frequent first; without ``und``.
    n_unknown : int
        Videos whose language is not known.
    """

    kept: tuple[str, ...]
    counts: Mapping[str, int]
    n_unknown: int = 0

    @property
    def n_known(self) -> int:
        """Videos whose language is known."""
        return sum(self.counts.values())

    def ratio(self, *languages: str) -> float:
        """Return the share that languages have of the videos with a known one."""
        n = sum(self.counts.get(language, 0) for language in languages)
        return n / self.n_known if self.n_known else 0.0

    def shares(self, n: int) -> str:
        """Return the first ``n`` kept languages and their shares, for people."""
        parts = [f"{name} {self.ratio(name):.1%}" for name in self._named()][:n]
        n_more = len(self._named()) - len(parts)
        return ", ".join([*parts, *([f"{n_more} more"] if n_more else [])])

    def _named(self) -> list[str]:
        return [name for name in self.kept if name != UNKNOWN]

    def metrics(self) -> dict[str, float]:
        """Return counts and ratios for the ledger."""
        return {
            "n_languages": len(self._named()),
            "language_ratio": self.ratio(*self._named()),
            "n_language_und": self.n_unknown,
            **{f"n_language_{name}": n for name, n in self.counts.items()},
        }

    def __str__(self) -> str:
        unknown = "kept" if UNKNOWN in self.kept else "rejected"
        return (
            f"languages kept: {self.shares(12) or 'none'}; together "
            f"{self.ratio(*self._named()):.1%} of {self.n_known:,} videos whose "
            f"language is known; {self.n_unknown:,} of unknown language {unknown}"
        )


def language_choice(
    counts: Mapping[str, int],
    *,
    cumulative_ratio: float | None = None,
    keep: Sequence[str] = (),
) -> LanguageChoice:
    """Return which languages are kept.

    Parameters
    ----------
    counts : mapping of str to int
        Videos by language, ``und`` among them.
    cumulative_ratio : float, in (0, 1], optional
        Languages are kept by falling count, those of equal count by code, until they
        make up this share of the videos whose language is known; the one that reaches
        it is the last. ``und`` counts in neither, and is not kept.
    keep : sequence of str
        Languages that are kept where there is no ratio; ``und`` only if named.

    Raises
    ------
    ValueError
        If there is neither a ratio nor a list, or both.
    """
    if (cumulative_ratio is None) == (not keep):
        msg = (
            "language_choice: expected cumulative_ratio or keep, got "
            f"{cumulative_ratio} and {list(keep)[:5]}."
        )
        raise ValueError(msg)
    known = {name: n for name, n in counts.items() if name != UNKNOWN and n > 0}
    ordered = dict(sorted(known.items(), key=lambda item: (-item[1], item[0])))
    if cumulative_ratio is None:
        # Those that no video has come last.
        kept = tuple(sorted(set(keep), key=lambda name: (-known.get(name, 0), name)))
    else:
        kept = tuple(_until(ordered, cumulative_ratio))
    return LanguageChoice(kept, ordered, counts.get(UNKNOWN, 0))


def _until(ordered: Mapping[str, int], ratio: float) -> Iterator[str]:
    # As it is written: in binary, three tenths of ten are more than three.
    wanted = Fraction(repr(ratio)) * sum(ordered.values())
    n_kept = 0
    for name, n in ordered.items():
        if n_kept >= wanted:
            return
        n_kept += n
        yield name
