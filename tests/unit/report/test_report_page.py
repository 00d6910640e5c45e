"""The page: complete, self-contained, escaped, and good to look at in a browser."""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from acav_spark.errors import DependencyError
from acav_spark.report import (
    ClipCard,
    ClusterSizes,
    Correspondence,
    EpochCurve,
    FilmStrip,
    FunnelStep,
    ReasonCount,
    ReportData,
    ScoreProgress,
    SeedResult,
    SelectionProgress,
    StageRun,
    StripClip,
    TableInfo,
    poster_jpeg,
    render_report,
)

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = (
    "<script>alert(1)</script><img src=http://evil.example/x onerror=alert(2)>\n"
    "\"'`${7001*7001}{{7001*7001}} </style> url(http://evil.example/y) "
    "\x00\x1b[31m\udce9"
    "\u202egpj.exe \N{ARABIC LETTER ALEF} " + "A" * 10_000
)
VOID = {"meta", "link", "img", "br", "input", "hr"}
NOISE = np.random.default_rng(7)


class Page(HTMLParser):
    """What a browser would make of the page: tags, attributes, text by section."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text: dict[str, str] = {"": ""}
        self.open: list[tuple[str, str]] = []
        self.ids: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.tags.append((tag, values))
        if "id" in values:
            self.ids.append(values["id"])
        if tag not in VOID:
            self.open.append((tag, values.get("id", "")))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"nothing open at </{tag}>"
        assert self.open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        inside = {tag for tag, _ in self.open}
        place = "style" if "style" in inside else "svg" if "svg" in inside else ""
        if not place:
            place = next(
                (name for tag, name in reversed(self.open) if tag == "section"), ""
            )
        self.text[place] = self.text.get(place, "") + data + " "


def card(i: int, *, rank: int | None = None) -> ClipCard:
    frame = NOISE.integers(0, 256, (180, 320, 3), dtype=np.uint8)
    return ClipCard(
        clip_id=f"video{i}_5000_15000",
        uri=f"file:///videos/video{i}.mp4",
        title=f"Title {i}",
        start_s=5.0,
        end_s=15.0,
        rank=rank,
        gain=None if rank is None else 0.0123,
        clusters={"visual/1": 3, "visual/2": 14, "audio/1": 15, "audio/2": 9},
        poster_jpeg=poster_jpeg(cv2.blur(frame, (31, 31)).astype(np.uint8)),
        waveform=np.abs(np.sin(np.arange(120) / 9)).astype(np.float32),
        is_corresponding=i % 2 == 0,
    )


def full_data() -> ReportData:
    sizes = np.array([40, 10, 30, 20], dtype=np.int64)
    return ReportData(
        title="Curation of a test",
        subtitle="Four hundred videos",
        created_at=datetime(2026, 11, 22, 6, 40, tzinfo=UTC),
        code_version="0.1.0",
        run_ids=["run-a", "run-b"],
        funnel=[
            FunnelStep("found", 40_217, "files", "videos", is_headline=True),
            FunnelStep("accepted", 39_113, "", "videos"),
            FunnelStep("cut", 81_331, "", "clips"),
            FunnelStep("selected", 20_333, "a quarter", "clips", is_headline=True),
        ],
        rejections=[ReasonCount("ingest_videos", "too_short", 1_097, "a.mp4")],
        failures=[ReasonCount("ingest_videos", "no_audio", 7, "b.mp4")],
        first=[card(i, rank=i + 1) for i in range(12)],
        last=[card(i, rank=i + 20_322) for i in range(12)],
        not_selected=[card(i) for i in range(12)],
        cluster_sizes=[
            ClusterSizes("visual/1", "visual", sizes, sizes // 3),
            ClusterSizes("visual/2", "visual", sizes, sizes // 2),
            ClusterSizes("audio/1", "audio", sizes, sizes // 2),
        ],
        progress=SelectionProgress(
            np.arange(1, 4), np.array([0.5, 0.2, -0.1]), np.array([0.5, 0.7, 0.6])
        ),
        epochs=[EpochCurve("visual/1", [9.0, 4.5, 3.0], [3, 4, 4], 4)],
        correspondence=Correspondence(
            20_333,
            0.497,
            0.861,
            0.503,
            0.714,
            "visual/2 x audio/1",
            [
                SeedResult(s, 0.851 + s / 500, 0.5, 0.7, "visual/1 x audio/1")
                for s in range(5)
            ],
        ),
        strips=[
            FilmStrip(
                "v1",
                "file:///v/one.mp4",
                HOSTILE,
                40.0,
                "inside_shots",
                [0.0, 12.5, 30.0],
                [(0.0, 10.0), (15.0, 25.0), (30.0, 40.0)],
                [StripClip("v1_a", 15.0, 25.0, 3), StripClip("v1_b", 30.0, 40.0)],
                [
                    *[poster_jpeg(NOISE.integers(0, 255, (9, 16, 3), np.uint8))] * 11,
                    None,
                ],
                "time_limit: not every frame could be decoded again",
            )
        ],
        stage_runs=[
            StageRun(
                "ingest_videos",
                "succeeded",
                datetime(2026, 11, 22, 6, 10, tzinfo=UTC),
                12.5,
                40_217,
                39_113,
                7,
                1_097,
                "run-a",
                "0.1.0",
                "9f86d081",
            )
        ],
        config_yaml="selection:\n  size: 25%\n",
        tables=[TableInfo("videos", 40_210, 3, "one row a video")],
    )


@pytest.fixture(scope="module")
def full() -> ReportData:
    return full_data()


@pytest.fixture(scope="module")
def html(full: ReportData) -> str:
    return render_report(full)


def bare() -> ReportData:
    return ReportData(
        title="t", subtitle="", created_at=datetime(2026, 1, 1), code_version="0"
    )


def assert_loads_nothing(html: str) -> None:
    page = Page(html)
    for tag, attributes in page.tags:
        assert tag not in {"script", "iframe", "object", "embed", "base", "form"}
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href", "xlink:href", "action", "data", "srcset"):
            value = attributes.get(name, "#")
            assert value.startswith(("#", "data:")), (tag, name, value[:80])
        loads = re.findall(r"url\(([^)]*)\)", attributes.get("style", ""))
        loads += re.findall(r"url\(([^)]*)\)", attributes.get("clip-path", ""))
        assert all(load.startswith("#") for load in loads), loads
    assert "url(" not in page.text["style"]
    assert "@import" not in page.text["style"]


def test_the_page_loads_nothing_from_outside(html: str) -> None:
    assert_loads_nothing(html)


def test_the_page_forbids_itself_scripts_and_loads(html: str) -> None:
    policy = next(
        attributes["content"]
        for tag, attributes in Page(html).tags
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )

    assert "default-src 'none'" in policy
    assert "img-src data:;" in policy
    assert "script-src" not in policy


def test_tags_are_balanced_and_ids_are_unique(html: str) -> None:
    page = Page(html)

    assert page.open == []
    assert len(set(page.ids)) == len(page.ids)


def test_every_link_of_the_contents_leads_to_a_section(html: str) -> None:
    page = Page(html)
    links = [a["href"] for tag, a in page.tags if tag == "a"]

    assert len(links) >= 11
    assert {link.removeprefix("#") for link in links} <= set(page.ids)


def test_hostile_text_stays_text_everywhere(full: ReportData) -> None:
    bad_card = ClipCard(
        HOSTILE, HOSTILE, HOSTILE, clusters={HOSTILE: 1}, note=HOSTILE, rank=1
    )
    ones = np.ones(3, dtype=np.int64)
    hostile = dataclasses.replace(
        full,
        title=HOSTILE,
        subtitle=HOSTILE,
        code_version=HOSTILE,
        run_ids=[HOSTILE],
        funnel=[FunnelStep(HOSTILE, 5, HOSTILE, HOSTILE, is_headline=True)],
        rejections=[ReasonCount(HOSTILE, HOSTILE, 2, HOSTILE)],
        failures=[ReasonCount(HOSTILE, HOSTILE, 2, HOSTILE)],
        first=[bad_card],
        last=[],
        not_selected=[],
        cluster_sizes=[ClusterSizes(HOSTILE, HOSTILE, ones, ones)],
        epochs=[EpochCurve(HOSTILE, [2.0, 1.0], [1, 1], 3)],
        correspondence=Correspondence(1, 0.5, 1, 0.5, 0.5, HOSTILE),
        stage_runs=[
            dataclasses.replace(
                full.stage_runs[0],
                stage=HOSTILE,
                status=HOSTILE,
                run_id=HOSTILE,
                code_version=HOSTILE,
                config_hash=HOSTILE,
            )
        ],
        config_yaml=HOSTILE,
        tables=[TableInfo(HOSTILE, 1, 1, HOSTILE)],
    )

    html = render_report(hostile)

    assert_loads_nothing(html)
    assert Page(html).open == []
    assert "&lt;script&gt;" in html
    assert "49014001" not in html, "a template in the data was run"
    assert not re.search("[\x00-\x08\x1b\u202e\ud800-\udfff]", html)
    html.encode("utf-8")
    # Titles of 10 kB are cut; only the configuration is shown whole.
    assert len(html) < 120_000


@pytest.mark.parametrize(
    ("part", "nothing", "words"),
    [
        ("funnel", (), "Nothing has been counted yet."),
        ("rejections", (), "Nothing was rejected."),
        ("failures", (), "Nothing failed."),
        ("first", (), "No clip is selected yet."),
        ("last", (), "No clip is selected yet."),
        ("not_selected", (), "No clip to show here."),
        ("cluster_sizes", (), "No clip is assigned to a cluster yet."),
        ("progress", None, "No clip is selected yet."),
        ("epochs", (), "No clustering is fitted yet."),
        ("correspondence", None, "No labels of true correspondence"),
        ("config_yaml", "", "No configuration is recorded."),
    ],
)
def test_a_missing_part_says_so_and_the_rest_is_there(
    full: ReportData, html: str, part: str, nothing: object, words: str
) -> None:
    few = dataclasses.replace(full, cluster_sizes=full.cluster_sizes[:1])
    without = render_report(dataclasses.replace(few, **{part: nothing}))  # type: ignore[arg-type]  # one name at a time

    assert words not in html
    assert words in without
    assert Page(without).open == []


def test_a_report_of_nothing_is_a_page() -> None:
    html = render_report(bare())

    assert html.count('class="nothing"') == 13
    assert "<svg" not in html
    assert "No run is recorded." in html


def test_lineage_shows_what_there_is(full: ReportData) -> None:
    html = render_report(dataclasses.replace(full, stage_runs=(), run_ids=()))

    assert "Tables (1)" in html
    assert "Runs of stages" not in html
    assert "Run ids" not in html


def test_a_selection_of_no_clip_has_no_progress(full: ReportData) -> None:
    none = np.zeros(0)
    empty = SelectionProgress(none.astype(np.int64), none, none)

    html = render_report(dataclasses.replace(full, progress=empty))

    assert "objective (nats)" not in html


def test_a_selection_by_scores_has_scores_in_place_of_an_objective(
    full: ReportData,
) -> None:
    scores = ScoreProgress(np.arange(1, 4), np.array([0.9, 0.7, 0.2]), "ranking_cos")

    html = render_report(dataclasses.replace(full, progress=scores))

    assert "score of a pick" in html
    assert "<em>ranking_cos</em>" in html
    assert "objective (nats)" not in html
    assert "mutual information of the clusterings" not in html
    assert Page(html).open == []


def test_each_number_of_the_funnel_stands_once_in_its_section(html: str) -> None:
    text = Page(html).text["funnel"]

    for number in ("40,217", "39,113", "81,331", "20,333", "1,097", "97.3 %"):
        assert text.count(number) == 1, number


def test_headline_numbers_stand_at_the_top(html: str) -> None:
    tiles = html[html.index('class="tiles"') : html.index('id="funnel"')]
    numbers = re.findall(r"<b>([^<]*)", tiles)

    assert numbers == ["40,217", "20,333", "0.600", "86.1 %", "7"]


def test_without_marked_steps_the_first_and_the_last_are_headlines() -> None:
    steps = [FunnelStep("found", 11), FunnelStep("cut", 22), FunnelStep("chosen", 9)]

    html = render_report(dataclasses.replace(bare(), funnel=steps))

    assert re.findall(r"<b>([^<]*)", html) == ["11", "9", "0"]


def test_all_five_seeds_and_the_worst_are_stated(html: str) -> None:
    text = Page(html).text["correspondence"]

    for percent in ("85.3 %", "85.5 %", "85.7 %", "85.9 %"):
        assert text.count(percent) == 1
    assert re.search(r"worst of 5 seeds, 85\.1 %", text)


def test_a_card_shows_what_is_known_of_its_clip(html: str) -> None:
    begin = html.index('<article class="card">')
    text = html[begin : html.index("</article>", begin)]

    assert '<img src="data:image/jpeg;base64,' in text
    assert '<path d="M0 -' in text
    assert "0:05.0\N{EN DASH}0:15.0" in text
    assert "12.3 mnat" in text
    assert "Title 0" in text
    assert "video0_5000_15000" in text
    assert "file:///videos/video0.mp4" in text
    assert "corresponds" in text
    assert [int(n) for n in re.findall(r"layer \d\">(\d+)<", text)] == [3, 14, 15, 9]


def test_sheets_hold_as_many_cards_as_given(html: str) -> None:
    assert html.count('<article class="card">') == 36


def test_unknown_things_are_left_out_of_a_card() -> None:
    html = render_report(dataclasses.replace(bare(), first=[ClipCard("id", "uri")]))
    begin = html.index('<article class="card">')
    text = html[begin : html.index("</article>", begin)]

    assert "no picture" in text
    assert "no sound" in text
    for words in ('class="times"', 'class="rank"', "correspond", "<dl", "nat"):
        assert words not in text


def test_a_poster_that_is_no_small_jpeg_is_left_out() -> None:
    not_jpeg = ClipCard("a", "a", poster_jpeg=b"<svg onload=alert(1)>")
    too_large = ClipCard("b", "b", poster_jpeg=b"\xff\xd8\xff" + bytes(300_000))

    html = render_report(dataclasses.replace(bare(), first=[not_jpeg, too_large]))

    assert html.count("no picture") == 2
    assert len(html) < 50_000


def test_a_page_with_36_cards_stays_small(html: str) -> None:
    # 36 posters of at most 15 kB in base64, figures, styles.
    assert len(html.encode()) < 1_500_000


def test_the_last_view_of_each_modality_is_large(html: str) -> None:
    sizes = html[html.index('id="sizes"') : html.index('id="fit"')]
    large = sizes[: sizes.index("Other layers")]

    assert re.findall(r"<b><bdi>([^<]*)", large) == ["visual/2", "audio/1"]
    assert sizes.count("<svg") == 3


def test_clusters_in_effect_are_the_exponential_of_the_entropy() -> None:
    # Half in one cluster, the rest in two: entropy 1.5 bit, 2 ** 1.5 = 2.83.
    sizes = ClusterSizes("v", "m", np.array([0, 4, 2, 2]), np.array([0, 1, 1, 0]))

    html = render_report(dataclasses.replace(bare(), cluster_sizes=[sizes]))

    assert "effective 2.8 → 2.0" in html


def test_the_same_data_give_the_same_page(full: ReportData, html: str) -> None:
    assert render_report(full) == html


def test_a_huge_configuration_is_cut() -> None:
    html = render_report(dataclasses.replace(bare(), config_yaml="# x\n" * 50_000))

    assert "Cut here" in html
    assert len(html) < 130_000


@pytest.mark.parametrize("package", ["jinja2", "matplotlib"])
def test_a_missing_package_is_named_with_how_to_install_it(
    package: str, full: ReportData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)

    with pytest.raises(DependencyError, match=package) as caught:
        render_report(full)

    assert "pip install 'acav_spark[report]'" in str(caught.value)


def test_importing_the_report_imports_no_optional_package() -> None:
    code = (
        "import sys, acav_spark.report; "
        "print(sorted({'jinja2', 'matplotlib', 'cv2'} & set(sys.modules)))"
    )

    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert shown.stdout.strip() == "[]"


@pytest.mark.parametrize("width", [1280, 420])
def test_a_browser_shows_the_page(html: str, tmp_path: Path, width: int) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        pytest.skip("chromium is not on PATH")
    (tmp_path / "report.html").write_text(html, encoding="utf-8")
    # Headless windows have a least width; a frame has none.
    (tmp_path / "frame.html").write_text(
        "<body style='margin:0'><iframe src='report.html' style='border:0' "
        f"width='{width}' height='3000'></iframe>"
    )
    shot = tmp_path / "shot.png"

    subprocess.run(
        [
            browser,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            f"--user-data-dir={tmp_path / 'profile'}",
            f"--window-size={width},3000",
            f"--screenshot={shot}",
            (tmp_path / "frame.html").as_uri(),
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )

    picture = cv2.imread(str(shot))
    assert picture is not None
    colours = np.unique(picture[::4, ::4].reshape(-1, 3), axis=0)
    assert len(colours) > 500, "posters, figures and text have many colours"
    for band in np.array_split(picture[:, :width], 5):
        assert band.std() > 5, "no part of the page is blank"


def test_a_film_strip_shows_frames_shots_candidates_and_clips(html: str) -> None:
    section = html[html.index('<section id="strips">') :]
    section = section[: section.index("</section>")]
    assert section.count('<img src="data:image/jpeg') == 11
    assert 'class="cuts" d="M312.5 0V8M750 0V8"' in section
    assert 'class="clip selected" d="M375 23h249v10h-249z"' in section
    assert 'class="clip" d="M750 23h249v10h-249z"' in section
    assert "3 shots" in section
    assert "3 candidates" in section
    assert "rank 3</title>" in section
    assert "not every frame" in section
