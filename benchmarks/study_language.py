"""Languages of the trending lists, and how much of a text it takes to tell them.

Titles and descriptions of trending videos of 11 countries (2018) are given a language.
Printed are the detected languages by country, what cutting a text costs, and what
cleaning is worth. No list says in which language its videos are: the language of the
country stands in for that, which is wrong for a part of every list.

    python benchmarks/study_language.py --data ../shared/data --json FILE
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from record import about

from acav_spark.ingest import language
from acav_spark.ingest.language import (
    N_CHARACTERS,
    LanguageIdentifier,
    cleaned,
    language_choice,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

EXPECTED = {
    "BR": "pt",
    "CA": "en",
    "DE": "de",
    "FR": "fr",
    "GB": "en",
    "IN": "",
    "JP": "ja",
    "KR": "ko",
    "MX": "es",
    "RU": "ru",
    "US": "en",
}
WHOLE = 1_000_000


class Answers(NamedTuple):
    """Languages of texts, their probabilities, and texts a second of one core."""

    labels: list[str]
    probabilities: NDArray[np.float32]
    per_second: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    model = options.data / "lid" / "lid.176.ftz"
    rows = trending(options.data)
    countries = [country for country, _ in rows]
    texts = [text for _, text in rows]
    identifier = LanguageIdentifier(str(model))
    record = {
        **about("acav_spark", "fasttext-community", "pyarrow"),
        "n_texts": len(texts),
        "mean_characters": sum(map(len, texts)) / len(texts),
        "countries": by_country(countries, identifier.identify(texts)[0]),
        "characters": by_length(identifier, countries, texts),
        "cleaning": by_cleaning(identifier, countries, texts),
    }
    if options.json:
        options.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def trending(data: Path) -> list[tuple[str, str]]:
    """Return country and text of every row of the trending lists."""
    rows = []
    for path in sorted((data / "metadata" / "yt_trending_2018").glob("*.csv")):
        with path.open(encoding="utf-8", errors="replace", newline="") as file:
            rows += [
                (path.name[:2], f"{row['title']} {row['description'] or ''}")
                for row in csv.DictReader(file)
            ]
    return rows


def by_country(
    countries: Sequence[str], labels: Sequence[str]
) -> dict[str, dict[str, int]]:
    """Print and return how many videos of each country are in each language."""
    counts = Counter(labels)
    choice = language_choice(counts, cumulative_ratio=0.9)
    print(choice)
    shown = [*choice.kept, "und"]
    print(f"| list | videos | {' | '.join(shown)} | others |")
    print("|" + "---|" * (len(shown) + 3))
    found: dict[str, dict[str, int]] = {}
    for country in [*EXPECTED, "all"]:
        own = Counter(
            label
            for label, of in zip(labels, countries, strict=True)
            if country in (of, "all")
        )
        found[country] = dict(own.most_common())
        n = sum(own.values())
        others = n - sum(own[name] for name in shown)
        shares = [f"{own[name] / n:.1%}" if own[name] else "" for name in shown]
        print(f"| {country} | {n} | {' | '.join(shares)} | {others / n:.1%} |")
    return found


def answers(identifier: LanguageIdentifier, texts: pa.Array) -> Answers:
    """Name the language of texts that are cleaned already, however short they are."""
    predict = identifier._predict
    begun = time.process_time()
    found = [predict(text, 1, 0.0, "strict") for text in texts.to_pylist()]
    seconds = time.process_time() - begun
    labels = [pair[0][1].removeprefix("__label__") if pair else "und" for pair in found]
    probabilities = pa.array([pair[0][0] if pair else 0.0 for pair in found])
    return Answers(labels, probabilities.to_numpy(), len(texts) / seconds)


def by_length(
    identifier: LanguageIdentifier, countries: Sequence[str], texts: Sequence[str]
) -> list[dict[str, float]]:
    """Print and return what is lost by looking at the beginning of a text alone."""
    whole = answers(identifier, cleaned(texts, n_characters=WHOLE))
    print(
        "\n| characters | in the mean | as the whole text | of those above .5 | "
        "above .5 | language of the country | texts/s |\n|---|---|---|---|---|---|---|"
    )
    rows = []
    for n in (50, 100, 150, 200, 300, 400, 600, 1000, WHOLE):
        cut = cleaned(texts, n_characters=n)
        got = answers(identifier, cut)
        is_same = [a == b for a, b in zip(got.labels, whole.labels, strict=True)]
        is_sure = got.probabilities >= 0.5
        row = {
            "n_characters": n,
            "mean_characters": pc.mean(pc.utf8_length(cut)).as_py(),
            "agreement": sum(is_same) / len(texts),
            "agreement_where_sure": float(sum(is_same * is_sure) / is_sure.sum()),
            "sure": float(is_sure.mean()),
            "of_country": of_country(countries, got.labels),
            "texts_per_cpu_s": got.per_second,
        }
        rows.append(row)
        n_shown, mean, *shares, rate = row.values()
        cells = ["all" if n == WHOLE else f"{n_shown:.0f}", f"{mean:.0f}"]
        cells += [f"{share:.1%}" for share in shares]
        print(f"| {' | '.join(cells)} | {rate:,.0f} |")
    return rows


def by_cleaning(
    identifier: LanguageIdentifier, countries: Sequence[str], texts: Sequence[str]
) -> list[dict[str, float | str]]:
    """Print and return what each part of the cleaning is worth."""
    array = pc.replace_substring(pa.array(texts), "\n", " ")
    without = pc.replace_substring_regex(array, language._NOT_TEXT, " ")
    tags = r"[#@][^\s]+"
    ways = {
        "as it is": array,
        "without addresses": without,
        "the same, in lower case": pc.utf8_lower(without),
        "the same, without hashtags": pc.utf8_lower(
            pc.replace_substring_regex(without, tags, " ")
        ),
    }
    print(f"\n| first {N_CHARACTERS} characters | language of the country | above .5 |")
    print("|---|---|---|")
    rows: list[dict[str, float | str]] = []
    for way, made in ways.items():
        cut = pc.utf8_slice_codeunits(made, 0, N_CHARACTERS)
        ended = pc.binary_join_element_wise(cut, "\n", "")
        got = answers(identifier, ended)
        share = of_country(countries, got.labels)
        sure = float((got.probabilities >= 0.5).mean())
        rows.append({"way": way, "of_country": share, "sure": sure})
        print(f"| {way} | {share:.1%} | {sure:.1%} |")
    return rows


def of_country(countries: Sequence[str], labels: Sequence[str]) -> float:
    """Return the share of a country's language in its list, mean of the countries."""
    shares = []
    for country, expected in EXPECTED.items():
        if expected:
            own = [
                label == expected
                for label, of in zip(labels, countries, strict=True)
                if of == country
            ]
            shares.append(sum(own) / len(own))
    return sum(shares) / len(shares)


if __name__ == "__main__":
    main()
