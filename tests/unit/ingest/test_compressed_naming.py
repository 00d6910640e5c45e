"""The compiled loops clean and name as Arrow's functions and fastText itself do."""

from __future__ import annotations

import csv
import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from acav_spark.ingest.compressed_naming import CompressedNamer, cleaned_texts
from acav_spark.ingest.fasttext_file import (
    UnsupportedModelError,
    read_compressed_model,
)
from acav_spark.ingest.language import LanguageIdentifier, cleaned

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PIECES = st.one_of(
    st.sampled_from(
        [
            "http://",
            "https://",
            "httpss://a",
            "www.",
            "WWW.a.b",
            "hhttp://x y",
            "wwww.",
            "a_b",
            "\r\n",
            "__\n",
            "\x00",
            "\t ",
            "\u0130\u023a\u212aßÀ",
            "中文 ",
            "ゲーム",
            "\U00010400\U0001e900\U0001f600\U00020bb7",
            "~\x7f!",
            "x" * 30,
        ]
    ),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
)
WORDS = [f"{a}{b}{c}" for a in "bcdé" for b in "aeiou" for c in "nrst中"]
LINES = ["ban cer zzz", "", " ", "dé中 béné", "\t\x00ban\x0bban\x0c", "b", "x" * 500]
LINES += [" ".join(WORDS[n::3]) for n in range(3)]
TEXTS = st.lists(PIECES, max_size=14).map("".join)


def by_arrow(texts: pa.Array, n_characters: int) -> list[str]:
    lines = cleaned(texts, n_characters=n_characters).to_pylist()
    return [line.removesuffix("\n") for line in lines]


@settings(deadline=None, derandomize=True, max_examples=300)
@given(st.lists(st.one_of(st.none(), TEXTS), max_size=5), st.integers(1, 40))
@example(["http://\n", "http:// a", "https://", "www.", "a http://x\u00e9y"], 9)
@example(["http://abcdefgh", "xhttp://a", "xxxxhttp://a", "xxxwww.a"], 5)
def test_texts_are_cleaned_as_arrow_cleans_them(
    texts: list[str | None], n_characters: int
) -> None:
    array = pa.array(texts, pa.string())
    lines = cleaned_texts(array, n_characters)
    expected = by_arrow(array, n_characters)
    assert [lines.text(i) for i in range(len(texts))] == expected
    assert lines.lengths.tolist() == [len(line) for line in expected]
    part = cleaned_texts(array.slice(1), n_characters)
    assert [part.text(i) for i in range(len(part.lengths))] == expected[1:]


def test_every_character_has_the_lower_case_that_arrow_gives_it() -> None:
    codes = itertools.chain(range(0xD800), range(0xE000, 0x110000))
    texts = pa.array(map(chr, codes), pa.string())
    lines = cleaned_texts(texts, 3)
    joined = "".join(by_arrow(texts, 3))
    assert lines.data[: lines.starts[-1]].tobytes().decode() == joined


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Return a function that trains a model of three labels and returns its file."""
    fasttext = pytest.importorskip("fasttext")
    folder = tmp_path_factory.mktemp("models")
    rng = np.random.default_rng(0)
    lines = [
        f"__label__{label} " + " ".join(rng.choice(WORDS[n::3], 6))
        for label, n, share in (("xx", 0, 300), ("yy", 1, 200), ("zz", 2, 100))
        for _ in range(share)
    ]
    (folder / "train.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def train(name: str, *, qnorm: bool, **options: object) -> Path:
        settings = {
            "minn": 2,
            "maxn": 4,
            "bucket": 5000,
            "dim": 8,
            "epoch": 20,
            "lr": 0.5,
        }
        model = fasttext.train_supervised(
            str(folder / "train.txt"), thread=1, verbose=0, **settings, **options
        )
        path: Path = folder / name
        if name.endswith(".ftz"):
            source = str(folder / "train.txt")
            model.quantize(input=source, cutoff=600, qnorm=qnorm, thread=1)
        model.save_model(str(path))
        return path

    return train


def named(path: Path, lines: list[str]) -> tuple[list[str], list[float]]:
    """Return labels and probabilities by the compiled loop."""
    model = read_compressed_model(path)
    texts = cleaned_texts(pa.array(lines), 1000)
    wanted = np.ones(len(lines), np.bool_)
    places, probabilities = CompressedNamer(model).name(texts, wanted)
    return [model.labels[place] for place in places], probabilities.tolist()


def by_library(path: Path, lines: list[str]) -> tuple[list[str], list[float]]:
    import fasttext

    model = fasttext.load_model(str(path)).f
    found = [model.predict(f"{line}\n", 1, 0.0, "strict")[0] for line in lines]
    return [label for _, label in found], [probability for probability, _ in found]


@pytest.mark.parametrize("qnorm", [False, True])
def test_a_compressed_model_answers_as_the_library_does(
    trained: Callable[..., Path], *, qnorm: bool
) -> None:
    path = trained(f"{qnorm}.ftz", qnorm=qnorm, loss="hs")
    labels, probabilities = named(path, LINES)
    expected_labels, expected = by_library(path, LINES)
    assert labels == expected_labels
    assert labels[-3:] == ["__label__xx", "__label__yy", "__label__zz"]
    # The library may add and multiply in one step, without rounding in between.
    np.testing.assert_allclose(probabilities, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("dense.bin", {"loss": "hs"}),
        ("softmax.ftz", {"loss": "softmax"}),
        ("pairs.ftz", {"loss": "hs", "wordNgrams": 2}),
    ],
)
def test_other_models_are_left_to_the_library(
    trained: Callable[..., Path], name: str, options: dict[str, object]
) -> None:
    path = trained(name, qnorm=False, **options)
    with pytest.raises(UnsupportedModelError, match="got one of another"):
        read_compressed_model(path)
    text = "ban bar bat den dor dun " * 4
    (label,), _ = LanguageIdentifier(str(path)).identify([text], min_probability=0)
    (expected,), _ = by_library(path, [cleaned([text])[0].as_py()[:-1]])
    assert f"__label__{label}" == expected


def test_a_broken_file_is_no_model(
    trained: Callable[..., Path], tmp_path: Path
) -> None:
    whole = trained("whole.ftz", qnorm=True, loss="hs").read_bytes()
    path = tmp_path / "part.ftz"
    for n_bytes in (0, 10, 60, 100, 300, 9000, len(whole) - 1):
        path.write_bytes(whole[:n_bytes])
        with pytest.raises(UnsupportedModelError):
            read_compressed_model(path)


def test_real_texts_get_the_languages_that_the_library_gives(data_dir: Path) -> None:
    path = data_dir / "lid" / "lid.176.ftz"
    lists = sorted((data_dir / "metadata" / "yt_trending_2018").glob("*.csv"))
    if not path.is_file() or not lists:
        pytest.skip(f"no model of languages or no lists of videos in {data_dir}")
    texts = []
    for name in lists:
        with name.open(encoding="utf-8", newline="") as file:
            texts += [f"{r['title']} {r['description']}" for r in csv.DictReader(file)]
    lines = by_arrow(pa.array(texts[::4]), 300)
    labels, probabilities = named(path, lines)
    expected_labels, expected = by_library(path, lines)
    assert labels == expected_labels
    assert len(set(labels)) > 10
    np.testing.assert_allclose(probabilities, expected, atol=1e-6)
