from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acav_spark.ingest.language import (
    N_CHARACTERS,
    LanguageIdentifier,
    cleaned,
    language_choice,
)

if TYPE_CHECKING:
    from pathlib import Path

SENTENCES = {
    "en": "The quick brown fox jumps over the lazy dog near the river bank.",
    "fr": "Bonjour à tous, bienvenue sur ma chaîne de cuisine.",
    "de": "Heute zeige ich euch, wie man ein Fahrrad repariert.",
    "es": "Hola amigos, hoy vamos a tocar la guitarra flamenca.",
    "ko": "안녕하세요 여러분 오늘은 피아노 연주를 들려드리겠습니다",
    "ja": "今日は新しいゲームを実況プレイしていきます",
    "ru": "Привет друзья, сегодня мы будем готовить борщ",
    "hi": "नमस्ते दोस्तों आज हम क्रिकेट मैच देखेंगे",
}


@pytest.fixture(scope="module")
def identifier(data_dir: Path) -> LanguageIdentifier:
    path = data_dir / "lid" / "lid.176.ftz"
    if not path.is_file():
        pytest.skip(f"no model of languages: {path}")
    return LanguageIdentifier(str(path))


def test_the_eight_sentences_are_in_their_languages(
    identifier: LanguageIdentifier,
) -> None:
    labels, probabilities = identifier.identify(list(SENTENCES.values()))
    assert labels == list(SENTENCES)
    assert probabilities.dtype == np.float32
    assert probabilities.min() > 0.5
    assert probabilities.max() <= 1


def test_answers_are_those_of_the_librarys_own_predict(
    identifier: LanguageIdentifier, data_dir: Path
) -> None:
    import fasttext

    texts = [text.lower() for text in SENTENCES.values()]
    texts += [f"{one} {other}" for one in texts for other in texts]
    expected_labels, expected = fasttext.load_model(
        str(data_dir / "lid" / "lid.176.ftz")
    ).predict(texts)

    labels, probabilities = identifier.identify(texts, min_probability=0)

    assert labels == [label[0].removeprefix("__label__") for label in expected_labels]
    # The library may add and multiply in one step, without rounding in between.
    np.testing.assert_allclose(
        probabilities, np.minimum(np.concatenate(expected), 1), atol=1e-6
    )
    assert probabilities.max() <= 1


def test_below_the_least_probability_the_language_is_unknown_but_not_how_sure_it_was(
    identifier: LanguageIdentifier,
) -> None:
    (label,), (probability,) = identifier.identify([SENTENCES["es"]])
    assert label == "es"
    assert 0.5 < probability < 0.95
    labels, again = identifier.identify([SENTENCES["es"]], min_probability=0.95)
    assert labels == ["und"]
    assert again[0] == probability


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "\n\n",
        "IMG_20190203_112233",
        "12:30 45:00 !!! ... 12:30",
        "https://example.org/the-quick-brown-fox-jumps-over-the-lazy-dog",
        "video 0001",
    ],
)
def test_without_letters_enough_nothing_is_guessed(
    identifier: LanguageIdentifier, text: str | None
) -> None:
    labels, probabilities = identifier.identify([text], min_probability=0)
    assert labels == ["und"]
    assert probabilities[0] == 0


def test_a_file_s_name_with_underscores_is_read_word_by_word(
    identifier: LanguageIdentifier,
) -> None:
    name = SENTENCES["es"].replace(" ", "_")
    assert identifier.identify([name])[0] == ["es"]


def test_texts_are_one_line_without_addresses_in_lower_case() -> None:
    texts = [
        "Über Uns\r\nHIER: https://example.org/EN?a=1#b チャンネル",
        "見てhttps://example.orgください www.example.org, ok",
        None,
    ]
    assert [text.split() for text in cleaned(texts).to_pylist()] == [
        ["über", "uns", "hier:", "チャンネル"],
        ["見て", "ください", "ok"],
        [],
    ]
    assert all(text.count("\n") == 1 for text in cleaned(texts).to_pylist())
    assert cleaned(pa.array(texts)).equals(cleaned(texts))


def test_texts_are_cut_after_addresses_went() -> None:
    address = "https://example.org/" + "a" * 200
    (text,) = cleaned([f"{address} {'wort ' * 200}"]).to_pylist()
    assert len(text) == N_CHARACTERS + 1
    assert set(text.split()[:-1]) == {"wort"}


def test_languages_are_kept_until_they_reach_the_ratio() -> None:
    counts = {"ru": 20, "en": 50, "ko": 5, "es": 20, "ja": 5, "und": 900}
    choice = language_choice(counts, cumulative_ratio=0.9)
    # .5, then .7 and .9: es before ru by its code. The one that reaches it is in.
    assert choice.kept == ("en", "es", "ru")
    assert choice.ratio(*choice.kept) == pytest.approx(0.9)
    assert language_choice(counts, cumulative_ratio=0.901).kept[-1] == "ja"
    assert language_choice(counts, cumulative_ratio=0.5).kept == ("en",)
    assert language_choice(counts, cumulative_ratio=1.0).kept == (
        *("en", "es", "ru", "ja", "ko"),
    )


def test_videos_of_unknown_language_count_apart_and_are_not_kept() -> None:
    choice = language_choice({"und": 99, "fr": 1}, cumulative_ratio=0.5)
    assert choice.kept == ("fr",)
    assert (choice.n_known, choice.n_unknown) == (1, 99)
    assert choice.metrics() == {
        "n_languages": 1,
        "language_ratio": 1.0,
        "n_language_und": 99,
        "n_language_fr": 1,
    }
    assert str(choice) == (
        "languages kept: fr 100.0%; together 100.0% of 1 videos whose language is "
        "known; 99 of unknown language rejected"
    )
    nothing = language_choice({"und": 3}, cumulative_ratio=0.9)
    assert nothing.kept == ()
    assert nothing.ratio() == 0


def test_a_list_keeps_what_it_names_whatever_there_is() -> None:
    choice = language_choice({"en": 1, "es": 2, "fr": 9}, keep=["ko", "en", "es"])
    assert choice.kept == ("es", "en", "ko")
    assert choice.ratio(*choice.kept) == pytest.approx(0.25)
    assert "und" in language_choice({"und": 3}, keep=["und"]).kept
    with pytest.raises(ValueError, match="expected cumulative_ratio or keep"):
        language_choice({}, keep=["en"], cumulative_ratio=0.9)
    with pytest.raises(ValueError, match="expected cumulative_ratio or keep"):
        language_choice({})


def test_ratios_are_decimal_numbers() -> None:
    # In binary, .28 of 25 is more than 7.
    counts = {"en": 7, **{f"x{i}": 6 for i in range(3)}}
    assert 0.28 * 25 > 7
    assert language_choice(counts, cumulative_ratio=0.28).kept == ("en",)


@settings(deadline=None, derandomize=True)
@given(
    st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 20)),
    st.integers(1, 100),
    st.randoms(use_true_random=False),
)
def test_the_choice_is_the_shortest_that_reaches_the_ratio_in_any_order(
    counts: dict[str, int], percent: int, random: object
) -> None:
    choice = language_choice(counts, cumulative_ratio=percent / 100)
    items = list(counts.items())
    random.shuffle(items)  # type: ignore[attr-defined]
    assert language_choice(dict(items), cumulative_ratio=percent / 100) == choice
    n, total = sum(counts[name] for name in choice.kept), sum(counts.values())
    assert 100 * n >= percent * total
    if choice.kept:
        assert 100 * (n - counts[choice.kept[-1]]) < percent * total
        left = [counts[name] for name in counts if name not in choice.kept]
        assert counts[choice.kept[-1]] >= max(left, default=0)
