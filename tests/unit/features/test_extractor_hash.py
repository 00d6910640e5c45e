"""What an extractor's rows are known by: what changes vectors, not where it runs."""

from __future__ import annotations

import json

import pytest

from acav_spark.config import load_config
from acav_spark.features.job import extractor_hash


def hash_of(name: str, **options: object) -> str:
    chosen = f"features.extractors={json.dumps([{'name': name, 'options': options}])}"
    config = load_config(None, [chosen, "input.uri=x", "storage.root=y"]).config
    return extractor_hash(config, name)


@pytest.mark.parametrize(
    "moved",
    [{"device": "cuda:3"}, {"compile": True}, {"weights": "/elsewhere/a.pth"}],
    ids=["device", "compiled", "another place"],
)
def test_rows_stay_right_where_the_network_moves(moved: dict[str, object]) -> None:
    given = {"weights": "/here/a.pth", "sha256": "0" * 64}
    assert hash_of("slowfast_r50", **given) == hash_of("slowfast_r50", **given | moved)


@pytest.mark.parametrize(
    "changed",
    [{"sha256": "1" * 64}, {"precision": "bf16"}],
    ids=["other weights", "other numbers"],
)
def test_rows_are_others_where_vectors_may_be(changed: dict[str, object]) -> None:
    given = {"weights": "/here/a.pth", "sha256": "0" * 64}
    assert hash_of("slowfast_r50", **given) != hash_of(
        "slowfast_r50", **given | changed
    )


def test_pca_is_known_by_its_hash_and_not_by_its_place() -> None:
    given = {"pca": "/here/pca.npz", "pca_sha256": "0" * 64}
    assert hash_of("vggish", **given) == hash_of("vggish", **given | {"pca": "/b.npz"})
    assert hash_of("vggish", **given) != hash_of(
        "vggish", **given | {"pca_sha256": "1" * 64}
    )
