"""SQL views for people: one column a view of the clustering, sizes, progress."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

VIEWS: dict[str, str] = {
    "curated_clips": (
        "Selected clips with video, times, rank, gain or score, and cluster ids."
    ),
    "cluster_members": "One row for each clip and view: the cluster it lies in.",
    "cluster_sizes": "Clips of each cluster, in the population and in each selection.",
    "contingency_cells": (
        "One row for each pair of clusters of two views that meet: the clips in both."
    ),
    "selection_progress": "Gain and objective, or score, along each selection.",
}
"""Name and meaning of every view."""

_CLUSTER_MEMBERS = """
    SELECT a.clustering, a.extractor, CAST(m.position + 1 AS INT) AS layer,
           m.cluster, a.clip_id
    FROM assignments a
    LATERAL VIEW posexplode(a.clusters) m AS position, cluster
"""
_CLUSTER_SIZES = """
    SELECT m.clustering, m.extractor, m.layer, m.cluster, s.selection,
           COUNT(*) AS n_clips, COUNT(t.clip_id) AS n_selected
    FROM cluster_members m
    LEFT JOIN (SELECT DISTINCT selection, clustering FROM selections) s
      ON s.clustering = m.clustering
    LEFT JOIN selections t
      ON t.selection = s.selection AND t.clip_id = m.clip_id
    GROUP BY m.clustering, m.extractor, m.layer, m.cluster, s.selection
"""
_CONTINGENCY_CELLS = """
    SELECT t.selection, t.view_a, t.view_b, t.cluster_a,
           c.cell.clusters_b AS cluster_b, c.cell.n_clips AS n_clips,
           t.stage_hash, t.run_id
    FROM contingency t
    LATERAL VIEW explode(arrays_zip(t.clusters_b, t.n_clips)) c AS cell
"""
_SELECTION_PROGRESS = """
    SELECT selection, rank, clip_id, batch, gain, objective, score FROM selections
"""


def create_views(spark: SparkSession, codebooks: DataFrame) -> list[str]:
    """Create the views over tables that are registered by their names.

    Parameters
    ----------
    spark : SparkSession
        Session in which the tables are temporary views.
    codebooks : DataFrame
        Table ``codebooks``: which clusterings have which views, at most some dozens.

    Returns
    -------
    list of str
        Names of the views.
    """
    positions: dict[str, list[tuple[str, int]]] = {}
    for row in (
        codebooks.select("clustering", "extractor", "layer", "view_position")
        .orderBy("clustering", "view_position")
        .collect()
    ):
        column = f"{row['extractor']}_layer_{row['layer']}".replace(":", "_")
        positions.setdefault(column.replace(".", "_"), []).append(
            (row["clustering"], row["view_position"])
        )
    spark.sql(_CLUSTER_MEMBERS).createOrReplaceTempView("cluster_members")
    spark.sql(_CLUSTER_SIZES).createOrReplaceTempView("cluster_sizes")
    spark.sql(_CONTINGENCY_CELLS).createOrReplaceTempView("contingency_cells")
    spark.sql(_SELECTION_PROGRESS).createOrReplaceTempView("selection_progress")
    spark.sql(_curated_clips(positions)).createOrReplaceTempView("curated_clips")
    return list(VIEWS)


def _curated_clips(positions: dict[str, list[tuple[str, int]]]) -> str:
    """Return the query; a view's column is found by its clustering's positions."""
    columns = ""
    for column, places in positions.items():
        cases = " ".join(
            f"WHEN p.clustering = '{clustering}' THEN get(p.clusters, {position})"
            for clustering, position in places
        )
        columns += f", CASE {cases} END AS `{column}`"
    return f"""
    SELECT s.selection, s.rank, s.clip_id, c.video_id,
           COALESCE(v.uri, c.uri) AS uri, c.start_s, c.end_s, f.uri AS clip_uri,
           s.gain, s.objective, s.score,
           v.title, v.channel_id, v.category, v.language, v.licence,
           c.crosses_cut, c.silence_fraction, c.stillness_fraction
           {columns}
    FROM selections s
    JOIN clips c ON c.clip_id = s.clip_id
    LEFT JOIN videos v ON v.video_id = c.video_id
    LEFT JOIN clip_files f ON f.clip_id = s.clip_id
    LEFT JOIN packed p ON p.clip_id = s.clip_id AND p.clustering = s.clustering
    """  # noqa: S608 - names come from validated tables, never from a user's text
