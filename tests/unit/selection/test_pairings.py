"""Which views are paired, by the definitions of the paper (section 4.2)."""

from __future__ import annotations

from acav_spark.selection.pairings import pairs_for


def test_pairs_of_three_modalities_are_those_of_the_papers_definitions() -> None:
    views = [
        ("clip_image", 1, "visual"),
        ("clip_image", 2, "visual"),
        ("clap", 1, "audio"),
        ("clap", 2, "audio"),
        ("clip_text", 1, "text"),
    ]
    assert pairs_for("diagonal", views) == [(0, 2), (0, 4), (1, 3), (2, 4)]
    assert pairs_for("bipartite", views) == [
        *((0, 2), (0, 3), (0, 4)),
        *((1, 2), (1, 3), (1, 4)),
        *((2, 4), (3, 4)),
    ]
    assert len(pairs_for("combination", views)) == 10
