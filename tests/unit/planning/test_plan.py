"""A plan follows from rates, machines and prices, by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planned import PRICES, SETTINGS, SHAPE, hardware, rates, workload

from acav_spark.planning import (
    ExtractorSpec,
    Plan,
    StageCost,
    local_hardware,
    make_plan,
)
from acav_spark.planning.prices import Node, Pool


def stage(plan: Plan, name: str) -> StageCost:
    return next(one for one in plan.stages if one.name == name)


def made(n_videos: float = 50.0) -> Plan:
    return make_plan(workload(n_videos), SETTINGS, rates(), hardware(), PRICES)


def test_the_funnel_multiplies() -> None:
    plan = made()
    assert (plan.n_videos, plan.n_accepted, plan.n_clips) == (50, 40, 80)
    assert plan.n_selected == 40
    assert plan.n_clusters == 10


def test_core_hours_of_every_stage_are_those_of_its_items() -> None:
    plan = made()
    seconds = {one.name: one.core_hours * 3600 for one in plan.stages}
    # 40 videos of 10^6 pixels in all and 100 s: 1 s + 1 s each; and 9 s are fixed.
    assert seconds["ingest_videos"] == pytest.approx(50 * 0.5)
    assert seconds["segment_clips"] == pytest.approx(40 * 2.0 + 9.0)
    assert seconds["find_duplicates"] == 0
    # A tenth of a video's pixels and 0.1 s; the eye 0.3 s, the ear 0.2 s for 10 s.
    assert seconds["extract_features"] == pytest.approx(80 * (0.1 + 0.1 + 0.3 + 0.2))
    # 350 dimensions: 10 products and the row, 4 epochs; 700 bytes are read once.
    row = 350 * (10 * 1e-6 + 1e-5)
    assert seconds["fit_centroids"] == pytest.approx(80 * (4 * row + 700e-6))
    assert seconds["assign_clusters"] == pytest.approx(80 * (row + 700e-6 + 0.002))
    assert seconds["select_clips"] == pytest.approx(40 * 0.01 + 80 * 0.002)
    assert seconds["publish_clips"] == pytest.approx(40 * 2 * 0.003)
    assert plan.core_hours * 3600 == pytest.approx(sum(seconds.values()) + 5.0)


def test_wall_clock_is_what_is_fixed_and_work_over_cores() -> None:
    plan = made()
    # Two cores of 0.8 each; the network needs 320 MB at 100 MB/s.
    segmented = stage(plan, "segment_clips")
    assert segmented.wall_hours * 3600 == pytest.approx(7.0 + 80.0 / 1.6)
    assert segmented.held_by == "cores"
    # One process.
    chosen = stage(plan, "select_clips")
    assert chosen.wall_hours * 3600 == pytest.approx(0.56)
    assert plan.other_hours * 3600 == pytest.approx(4.0)


def test_the_network_holds_a_stage_that_reads_more_than_it_computes() -> None:
    large = workload(mean=replace(SHAPE, n_bytes=2e9))
    plan = make_plan(large, SETTINGS, rates(), hardware(), PRICES)
    segmented = stage(plan, "segment_clips")
    assert segmented.held_by == "network"
    assert segmented.wall_hours * 3600 == pytest.approx(7.0 + 40 * 20.0)


def test_every_chunk_waits_for_its_commit_and_its_longest_item() -> None:
    stages = {"segment_clips": {"fixed_s": 7.0, "fixed_core_s": 9.0, "chunk_s": 5.0}}
    known = rates(stages=stages)
    videos = workload(1000.0, longest_s=600.0)
    plan = make_plan(videos, SETTINGS, known, hardware(100), PRICES)
    segmented = stage(plan, "segment_clips")
    # 800 videos in 8 chunks; the longest takes 2 s * 6, 200 cores need 10 s in all.
    assert segmented.n_chunks == 8
    assert segmented.wall_hours * 3600 == pytest.approx(7.0 + 7 * 5.0 + 8 * 12.0)
    assert segmented.held_by == "longest item"
    (remark,) = [text for text in plan.remarks if "chunk_size" in text]
    # A clip's 0.7 s of waiting are a tenth of 7 s: 2,000 clips of 0.7 s on 200 cores,
    # more than the 1,600 that there are; in one digit, upwards.
    assert "execution.chunk_size=2000 " in remark


def test_merging_into_what_is_there_costs_half_of_it_a_chunk() -> None:
    with_merges = rates(merged_row_core_s=0.001)
    videos = workload(1000.0)
    plain = make_plan(videos, SETTINGS, rates(), hardware(), PRICES)
    merged = make_plan(videos, SETTINGS, with_merges, hardware(), PRICES)
    more = stage(merged, "segment_clips").core_hours
    more -= stage(plain, "segment_clips").core_hours
    assert more * 3600 == pytest.approx(7 * 400 * 0.001)


def test_machines_are_paid_from_start_to_end_and_storage_by_the_month() -> None:
    plan = made()
    hours = sum(one.wall_hours for one in plan.stages)
    assert plan.usd["machines"] == pytest.approx(hours * 1.0)
    tables = sum(table.n_bytes for table in plan.tables)
    stored = (40 * 8e6 + tables) / 1e12
    assert plan.usd["storage"] == pytest.approx(stored * 2 * 20.0)
    # Head, index and one piece of 8 MB, of 50 files probed and 40 measured, and of
    # the tenths of which 80 clips are.
    reads = 3 * (50 + 40 + 80)
    writes = 12 * 8
    assert plan.usd["requests"] == pytest.approx(reads * 0.4e-6 + writes * 5e-6)
    assert plan.usd["traffic"] == 0
    assert plan.total_usd == pytest.approx(sum(plan.usd.values()))


def test_traffic_out_of_the_region_is_paid_by_the_byte() -> None:
    plan = make_plan(workload(), SETTINGS, rates(), hardware(share_out=0.5), PRICES)
    read = 50 * 8e6 + 40 * 8e6 + 80 * 0.8e6
    assert plan.usd["traffic"] == pytest.approx(read / 1e12 * 0.5 * 90.0)


def test_tables_have_the_vectors_bytes() -> None:
    plan = made()
    sizes = {table.name: table for table in plan.tables}
    assert sizes["features"].n_rows == 160
    # fp16: 600 and 100 bytes of vectors, and twice an id.
    assert sizes["features"].n_bytes == pytest.approx(80 * (700 + 2 * 24))
    assert sizes["centroids"].n_rows == 30
    assert sizes["centroids"].n_bytes == pytest.approx(10 * 350 * 4)
    assert sizes["videos"].n_rows == 50


def test_networks_run_where_there_is_an_accelerator() -> None:
    node = Node(cores=4, gpus=1, gpu_tflops=100.0, network_mb_s=100.0, usd_per_hour=3.0)
    cpu = hardware().pools["cpu"]
    both = hardware(pools={"cpu": cpu, "gpu": Pool("gpu", "g", node, 2, 6.0)})
    network = ExtractorSpec("net", "visual", (8,), wants_gpu=True, gmac_per_clip=50.0)
    settings = replace(SETTINGS, extractors=(network,))

    on_gpu = stage(
        make_plan(workload(), settings, rates(), both, PRICES, gpu_share=0.25),
        "extract_features",
    )
    on_core = stage(
        make_plan(workload(), settings, rates(), hardware(), PRICES),
        "extract_features",
    )

    # 10^11 operations at a quarter of 10^14 a second, on 80 clips.
    assert on_gpu.gpu_hours * 3600 == pytest.approx(80 * 0.004)
    assert on_gpu.core_hours * 3600 == pytest.approx(80 * 0.2)
    assert on_gpu.pool == "gpu"
    assert on_gpu.usd == pytest.approx(on_gpu.wall_hours * 6.0)
    assert on_core.gpu_hours == 0
    assert on_core.pool == "cpu"
    # 30 * 10^9 operations a second on a core.
    assert on_core.core_hours * 3600 == pytest.approx(80 * (0.2 + 100 / 30))


def test_an_extractor_of_which_nothing_is_known_is_told() -> None:
    strange = ExtractorSpec("strange", "text", (8,), wants_gpu=False)
    settings = replace(SETTINGS, extractors=(strange,))
    plan = make_plan(workload(), settings, rates(), hardware(), PRICES)
    assert any("strange: neither measured nor known" in text for text in plan.remarks)


def test_memory_that_the_selection_lacks_is_told() -> None:
    node = Node(cores=2, memory_gb=2.0, network_mb_s=100.0, usd_per_hour=1.0)
    small = hardware(pools={"cpu": Pool("cpu", "tiny", node, 1, 1.0)})
    # 3 views of 2 bytes, 400 million clips: 2.4 GB, and 0.7 beside.
    plan = make_plan(workload(2.5e8), SETTINGS, rates(), small, PRICES)
    assert any("3.1 GB of memory" in text for text in plan.remarks)


def test_other_work_stretches_the_wall_clock_of_the_machine_itself_only() -> None:
    busy = rates(contention=2.0)
    here = make_plan(workload(), SETTINGS, busy, local_hardware(2, 2.0), PRICES)
    rented = make_plan(workload(), SETTINGS, busy, hardware(), PRICES)
    assert stage(here, "segment_clips").wall_hours * 3600 == pytest.approx(
        7.0 + 2 * 80.0 / 1.6
    )
    # What was fixed there was twice what it is alone.
    assert stage(rented, "segment_clips").wall_hours * 3600 == pytest.approx(
        7.0 / 2 + 80.0 / 1.6
    )
    assert here.usd["machines"] == here.usd["requests"] == 0
    assert any("beside other work" in text for text in rented.remarks)


def test_known_videos_are_dealt_to_cores_and_the_longest_one_counts() -> None:
    short = replace(SHAPE, duration_s=10.0)
    shapes = (replace(SHAPE, duration_s=1000.0), *[short] * 9)
    known = workload(10.0, accepted_share=1.0, shapes=shapes)
    plan = make_plan(known, SETTINGS, rates(), hardware(4), PRICES)
    # 20 s for the long one, 0.2 s for each other: eight cores cannot share the former.
    seconds = stage(plan, "segment_clips").wall_hours * 3600 - 7.0
    assert 20.0 <= seconds <= 21.8 / 0.8


@given(
    st.floats(1, 1e9),
    st.floats(1, 1e3),
    st.sampled_from(["media", "metadata"]),
    st.integers(1, 1000),
)
def test_more_videos_never_take_less(
    n_videos: float, factor: float, kind: str, n_nodes: int
) -> None:
    known = rates(merged_row_core_s=1e-6)
    few, many = (
        make_plan(workload(n, kind=kind), SETTINGS, known, hardware(n_nodes), PRICES)
        for n in (n_videos, n_videos * factor)
    )
    nearly = 1 + 1e-9
    for a, b in zip(few.stages, many.stages, strict=True):
        assert a.core_hours <= b.core_hours * nearly
        assert a.wall_hours <= b.wall_hours * nearly
        assert a.usd <= b.usd * nearly
    for one, other in zip(few.tables, many.tables, strict=True):
        assert one.n_bytes <= other.n_bytes * nearly
    assert few.total_usd <= many.total_usd * nearly


@given(st.integers(1, 500))
def test_more_machines_never_take_longer(n_nodes: int) -> None:
    one, other = (
        make_plan(workload(1e6), SETTINGS, rates(), hardware(n), PRICES)
        for n in (n_nodes, n_nodes + 1)
    )
    assert other.wall_hours <= one.wall_hours
    assert other.core_hours == one.core_hours


def test_operations_of_a_network_are_those_of_the_clips_length() -> None:
    network = ExtractorSpec("net", "visual", (8,), wants_gpu=True, gmac_per_clip=30.0)
    settings = replace(SETTINGS, extractors=(network,), clip_duration_s=5.0)
    plan = make_plan(workload(), settings, rates(), hardware(), PRICES)
    # A twentieth of a video's pixels and 0.1 s to decode; half of 60 * 10^9 operations
    # at 30 * 10^9 a second.
    extracted = stage(plan, "extract_features").core_hours * 3600
    assert extracted == pytest.approx(80 * (0.05 + 0.1 + 1.0))


def test_clips_of_unlike_videos_count_by_the_mean_clip() -> None:
    videos = workload(clip_pixel_frames=500_000.0)
    plan = make_plan(videos, SETTINGS, rates(), hardware(), PRICES)
    extracted = stage(plan, "extract_features").core_hours * 3600
    assert extracted == pytest.approx(80 * (0.5 + 0.1 + 0.3 + 0.2))


def test_many_vectors_are_read_in_every_epoch() -> None:
    settings = replace(SETTINGS, max_rows=10**6)
    known = rates(stages={"fit_centroids": {"fixed_s": 1, "fixed_core_s": 1}})
    plan = make_plan(workload(50_000.0), settings, known, hardware(), PRICES)
    fitted = stage(plan, "fit_centroids")
    # 80,000 vectors of 200 numbers are 64 MB: an epoch of an extractor is a job.
    assert fitted.n_chunks == 4 * 2
    row = 350 * (10 * 1e-6 + 1e-5)
    assert fitted.core_hours * 3600 == pytest.approx(
        80_000 * (4 * row + 4 * 700e-6) + 1
    )


def test_a_chunk_of_metadata_is_a_thousand_times_as_many_rows() -> None:
    stages = {"ingest_videos": {"fixed_s": 1, "fixed_core_s": 1, "chunk_s": 1000.0}}
    videos = workload(1e6, kind="metadata", clips_per_video=0.0)
    settings = replace(SETTINGS, chunk_size=900)
    known = rates(stages=stages, segment_pixel_frame_core_s=0, segment_second_core_s=0)
    plan = make_plan(videos, settings, known, hardware(), PRICES)
    assert stage(plan, "ingest_videos").n_chunks == 2
    # 1,000 s of waiting are a tenth of what twenty million rows take on two cores:
    # all of the million rows, 977 times 1,024.
    (remark,) = [text for text in plan.remarks if "chunk_size" in text]
    assert "execution.chunk_size=1000 " in remark
