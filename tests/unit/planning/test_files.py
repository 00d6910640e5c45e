"""Prices, hardware and rates: what is read, and what is refused with which words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from planned import PRICES, rates

from acav_spark.errors import ConfigError
from acav_spark.planning import read_hardware, read_prices, read_rates, write_rates
from acav_spark.planning.prices import OWN_PRICES
from acav_spark.planning.rates import SelectionRate, nearest_selection_rate

if TYPE_CHECKING:
    from pathlib import Path


def written(folder: Path, text: str) -> Path:
    path = folder / "given.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_packages_own_files_fit_together() -> None:
    prices = read_prices()
    machines = read_hardware(None, prices)
    pool = machines.pool("cpu")
    node = prices.nodes["c7i.8xlarge"]
    assert pool.cores == 64 * 16
    assert node.usd_per_hour_spot is not None
    of_one = node.usd_per_hour_spot + 0.25 * node.usd_per_hour
    assert pool.usd_per_hour == pytest.approx(64 * of_one)
    assert machines.pool("gpu").gpus == 64
    assert read_rates().segment_pixel_frame_core_s > 0


def test_an_unknown_key_of_the_prices_is_refused_with_the_known_ones(
    tmp_path: Path,
) -> None:
    text = OWN_PRICES.read_text(encoding="utf-8")
    path = written(
        tmp_path,
        text.replace("usd_per_tb_month", "usd_per_tb_moon").replace(
            "gpu_tflops: 121", "gpu_teraflops: 121"
        ),
    )
    with pytest.raises(ConfigError) as error:
        read_prices(path)
    lines = str(error.value).splitlines()
    assert lines[0] == f"{path} has 3 problems."
    assert (
        "  usd_per_tb_moon: unknown key; did you mean 'usd_per_tb_month'? Known keys: "
        "date, nodes, platform_share, source, usd_per_million_reads, "
        "usd_per_million_writes, usd_per_tb_month, usd_per_tb_out."
    ) in lines
    assert "  usd_per_tb_month: expected a value, got none. Add the key." in lines
    (of_node,) = (line for line in lines if "gpu_teraflops" in line)
    assert "nodes.g6.8xlarge.gpu_teraflops: unknown key" in of_node
    assert "did you mean 'gpu_tflops'?" in of_node


def test_a_price_below_nothing_is_refused(tmp_path: Path) -> None:
    text = OWN_PRICES.read_text(encoding="utf-8")
    path = written(tmp_path, text.replace("usd_per_hour: 1.428", "usd_per_hour: -1"))
    with pytest.raises(ConfigError, match=r"c7i.8xlarge.usd_per_hour: .*got -1\. Corr"):
        read_prices(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[1, 2]", "the file: .*got \\[1, 2\\]"),
        ("a: b: c", "line 1"),
        ("pools: {cpu: {node: small, nodes: 0}}", "pools.cpu.nodes: .*got 0"),
        ("pools: {cpu: {node: large, nodes: 1}}", "expected one of the prices' small"),
        ("pools: {gpu: {node: small, nodes: 1}}", "expected cpu, .*got gpu"),
        ("pools: {cpu: {node: small, nodes: 1}, tpu: {node: small, nodes: 1}}", "tpu"),
        ("pools: {cpu: {node: small, nodes: 1, sport: true}}", "did you mean 'spot'"),
    ],
)
def test_hardware_that_cannot_be_used_is_refused(
    tmp_path: Path, text: str, words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        read_hardware(written(tmp_path, text), PRICES)


def test_spot_needs_a_price(tmp_path: Path) -> None:
    node = PRICES.nodes["small"].model_copy(update={"usd_per_hour_spot": None})
    prices = PRICES.model_copy(update={"nodes": {"small": node}})
    path = written(tmp_path, "pools: {cpu: {node: small, nodes: 1, spot: true}}")
    with pytest.raises(ConfigError, match="usd_per_hour_spot, got 'small' without"):
        read_hardware(path, prices)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected a file that can be read"):
        read_rates(tmp_path / "none.json")


def test_pools_are_priced_with_the_platforms_share(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "pools: {cpu: {node: small, nodes: 3, spot: true}, "
        "driver: {node: small, nodes: 1}}",
    )
    machines = read_hardware(path, PRICES)
    # A quarter as spot, and half of the price on demand for the platform.
    assert machines.pool("cpu").usd_per_hour == pytest.approx(3 * (0.25 + 0.5))
    assert machines.pool("driver").usd_per_hour == pytest.approx(1.5)
    assert machines.pool("gpu") is machines.pool("cpu")
    assert machines.pool("cpu").bytes_per_s == pytest.approx(3e8)


def test_rates_are_read_back_to_four_digits(tmp_path: Path) -> None:
    path = tmp_path / "rates.json"
    given = rates(segment_second_core_s=1.23456789e-9, row_core_s=1e-9)
    write_rates(given, path)
    found = read_rates(path)
    assert found.segment_second_core_s == 1.235e-9
    # JSON writes 1e-09, which YAML 1.1 would read as text.
    assert found.row_core_s == 1e-9
    assert found == given.model_copy(update={"segment_second_core_s": 1.235e-9})


def test_the_nearest_selection_is_that_of_the_nearest_ratio() -> None:
    known = [
        SelectionRate(n_clusters=k, n_pairs=pairs, core_s_per_pick=0.0)
        for k, pairs in [(20, 45), (500, 45), (500, 25)]
    ]
    assert nearest_selection_rate(known, 99, 45) is known[0]  # 5 and 5.05 times
    assert nearest_selection_rate(known, 101, 45) is known[1]
    assert nearest_selection_rate(known, 500, 33) is known[2]
