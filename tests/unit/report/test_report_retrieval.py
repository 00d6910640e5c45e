"""The retrieval experiments on the page, in files and on the terminal."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import matplotlib.image
import numpy as np
import pytest
from rich.console import Console

from acav_spark.evaluate.layout import beside_text, interval_text, layouts
from acav_spark.evaluate.results import (
    CurvePoint,
    RetrievalResult,
    Summary,
    summaries,
)
from acav_spark.evaluate.tables_text import markdown, terminal_tables
from acav_spark.report.model import ReportData
from acav_spark.report.render import render_report
from acav_spark.report.retrieval import figure_files, page_figure

HOSTILE = '<script>alert("1")</script>&'


def _result(
    label: str,
    position: int,
    run: int,
    precision: float,
    *,
    part: str = "table1",
    data_set: str = "clips",
    network: str = "net",
    paper: float | None = None,
    curve: tuple[float, ...] = (),
) -> RetrievalResult:
    return RetrievalResult(
        part=part,
        position=position,
        label=label,
        data_set=data_set,
        negatives="whole",
        network=network,
        method="pmi",
        settings="{}",
        run=run,
        n_pairs=1000,
        n_positive=500,
        n_selected=500,
        precision=precision,
        groups="classes",
        n_groups_positive=5,
        n_groups_covered=4,
        entropy_nats=float(np.log(3)),
        paper_precision=paper,
        seconds=0.1,
        stage_hash=f"{label}{run}",
        curve=tuple(CurvePoint(i + 1, share) for i, share in enumerate(curve)),
    )


@pytest.fixture
def lines() -> list[Summary]:
    return summaries(
        [
            _result("zebra", 0, 1, 0.90, paper=0.887),
            _result("zebra", 0, 0, 0.88, paper=0.887),
            _result("ant", 1, 0, 0.5),
            _result("zebra", 0, 0, 0.7, data_set="made", network=HOSTILE),
            _result("b = 40, s = 2", 0, 0, 0.5, part="figure9", curve=(1.0, 0.5)),
            _result("b = 40, s = 2", 0, 1, 0.7, part="figure9", curve=(0.8, 0.7)),
            _result("b = 80, s = 5", 1, 0, 0.6, part="figure9", curve=(0.6, 0.6)),
        ]
    )


def test_lines_are_summed_over_runs_by_hand(lines: list[Summary]) -> None:
    zebra = next(s for s in lines if s.line[:2] == ("table1", "clips"))
    # Half the difference of two runs times 63.66.
    assert interval_text(zebra) == "89.0 ± 63.7"
    assert beside_text(zebra) == "paper 88.7; 80 % of classes, effective 3.0"
    assert zebra.precision.n == 2
    curve = next(s for s in lines if s.line.label == "b = 40, s = 2").curve
    assert [(n, round(i.mean, 6)) for n, i in curve] == [(1, 90.0), (2, 60.0)]


def test_a_place_that_a_run_lacks_is_left_out_of_the_mean_curve() -> None:
    (line,) = summaries(
        [
            _result("a", 0, 0, 0.5, part="figure3", curve=(1.0, 0.5)),
            _result("a", 0, 1, 0.5, part="figure3", curve=(1.0,)),
        ]
    )
    assert [n for n, _ in line.curve] == [1]


def test_tables_have_a_column_a_set_and_the_papers_order(lines: list[Summary]) -> None:
    table, figure = layouts(lines)
    assert [head.data_set for head in table.columns] == ["clips", "made"]
    assert [label for label, _ in table.rows] == ["zebra", "ant"]
    assert table.rows[1][1][1] is None
    assert [s.line.label for s in table.column(1)] == ["zebra"]
    assert figure.has_curves
    assert not table.has_curves


def test_markdown_names_the_network_in_every_row(lines: list[Summary]) -> None:
    text = markdown(lines)
    row = "| clips | net | zebra | 1,000 | 89.0 ± 63.7 | 88.7 | 80 % of classes | 3.0 |"
    assert f"{row} 2 |" in text
    assert "| clips | net | ant | 1,000 | 50.0 | \N{EN DASH} |" in text


def test_the_terminal_has_a_table_for_each_set(lines: list[Summary]) -> None:
    console = Console(width=120, file=io.StringIO(), record=True)
    tables = terminal_tables(lines)
    assert len(tables) == 3
    for table in tables:
        console.print(table)
    assert "89.0 ± 63.7" in console.export_text()


def test_the_page_shows_tables_and_figures_and_escapes_names(
    lines: list[Summary],
) -> None:
    html = render_report(
        ReportData(
            title="t",
            subtitle="",
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
            code_version="0",
            retrieval=layouts(lines),
        )
    )
    assert '<section id="retrieval">' in html
    assert "89.0 ± 63.7" in html
    assert "paper 88.7; 80 % of classes, effective 3.0" in html
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert html.count('aria-label="Table 1') == 2
    assert html.count('aria-label="Figure 9') == 1


def test_a_page_without_experiments_has_no_such_section() -> None:
    when = datetime(2026, 1, 1, tzinfo=UTC)
    html = render_report(
        ReportData(title="t", subtitle="", created_at=when, code_version="0")
    )
    assert "#retrieval" not in html.split("</style>")[1]


def test_batches_of_several_sizes_are_drawn_side_by_side(lines: list[Summary]) -> None:
    _, figure = layouts(lines)
    svg = page_figure(figure, 0)
    assert ">b = 40<" in svg
    assert ">b = 80<" in svg
    assert ">s = 5<" in svg


def test_files_are_pngs_in_the_pages_colours(lines: list[Summary]) -> None:
    files = dict(figure_files(lines))
    assert list(files) == ["table1_clips.png", "table1_made.png", "figure9_clips.png"]
    for data in files.values():
        picture = matplotlib.image.imread(io.BytesIO(data), format="png")
        # 500 pixels of the page at 150 instead of 72 an inch.
        assert picture.shape[1] == 1041
        rgb = np.rint(255 * picture[..., :3]).astype(int).reshape(-1, 3)
        colours = set(map(tuple, rgb.tolist()))
        assert (0x0B, 0x63, 0xCE) in colours
        # Markers of the page's colours are nearly black, and gone.
        assert not {(i, i, i) for i in range(1, 16)} & colours
