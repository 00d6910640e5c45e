"""What the documents tell people to type is typed here."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from curation import SETTINGS, SPARK

from acav_spark.session import local_jars
from acav_spark.tables.warehouse import Warehouse

if TYPE_CHECKING:
    from command_line import Acav
    from pyspark.sql import SparkSession

ROOT = Path(__file__).resolve().parents[2]
# Its blocks are one example, run from top to bottom.
STORY = ROOT / "docs" / "embeddings.md"
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *[page for page in sorted(ROOT.glob("docs/*.md")) if page != STORY],
    *sorted(ROOT.glob("acav_spark/conf/*.yaml")),
]


def _fenced(page: Path, language: str) -> list[str]:
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(), re.M | re.S)
    return [text for name, text in blocks if name == language]


def _commands(program: str) -> list[str]:
    """Return commands of a program, from blocks and from `inline code`, each once."""
    found: dict[str, None] = {}
    for page in PAGES:
        blocks = [block.replace("\\\n", " ") for block in _fenced(page, "")]
        lines = [line for block in blocks for line in block.splitlines()]
        for text in [*lines, *re.findall(r"`([^`\n]+)`", page.read_text())]:
            command = text.strip().removeprefix(".venv/bin/")
            if re.match(rf"{program} [a-z-]", command):
                found[command] = None
    # A command that another one only adds to is run by that one.
    return [c for c in found if not any(d.startswith(f"{c} ") for d in found)]


# Run by tests of their own; rates have to be measured first, and networks to look.
_ELSEWHERE = re.compile(
    r"acav (run|demo|download|make-queries|plan .*--rates|evaluate .*--data)"
)


def _options(settings: list[str]) -> list[str]:
    return [part for setting in settings for part in ("--set", setting)]


def test_the_command_for_ones_own_videos_curates_them(
    acav: Acav, videos: Path, tmp_path: Path
) -> None:
    (command,) = (
        c for c in _commands("acav") if c.startswith("acav run --config local")
    )
    named = {
        "input.uri=/their/videos": f'input.uri="{videos}"',
        "storage.root=/their/warehouse": f'storage.root="{tmp_path}"',
    }
    words = [named.get(word, word) for word in shlex.split(command)[1:]]

    # The videos of the tests are shorter than the clips of this configuration.
    status, _, err = acav(*words, "--set", "segmentation.clip_duration_s=2")

    assert status == 0, err
    assert re.search(r"Found +9 +videos", err), err
    assert re.search(r"Selected +12 +clips +52\.2 %", err), err  # half of 23


# These write into the warehouse, and are given one of their own.
_WRITES = re.compile(r"acav (select_clips|find_duplicates|cut_clips|evaluate)")
# What some of them print.
_PRINTED = {
    "status": ("Accepted", "packed", "publish_clips", "succeeded"),
    "explain": ("file:///", "handcrafted_audio layer 5", "rank", "segment_clips"),
    "report": ("page.html",),
    "doctor": ("Java", "ffmpeg", "Spark", "Delta", "storage", "GPU"),
}


@pytest.mark.parametrize(
    "command",
    [c for c in _commands("acav") if not _ELSEWHERE.match(c)],
)
def test_every_other_command_of_the_documents_works(
    acav: Acav, command: str, curated_root: Path, videos: Path, tmp_path: Path
) -> None:
    root = curated_root
    if _WRITES.match(command):
        root = tmp_path / "warehouse"
        shutil.copytree(curated_root, root)
    options = _options([*SETTINGS, f'input.uri="{videos}"', f'storage.root="{root}"'])
    query = "select clip_id from curated_clips order by rank limit 1"
    words = shlex.split(command.replace("select ...", query))[1:]
    expected = _PRINTED.get(words[0], ())
    if "CLIP_ID" in words:
        _, out, _ = acav("sql", query, "-f", "csv", *options)
        clip_id = out.splitlines()[1]
        words[words.index("CLIP_ID")] = clip_id
        expected = (clip_id, *expected)
    page = tmp_path / "page.html"
    if words[0] == "report":  # the demo writes one into its warehouse
        words += ["-o", str(page)]

    status, out, err = acav(*words, *options)

    assert status == 0, err
    assert out or err
    for text in expected:
        assert text in out + err, text
    if words[0] == "report":
        assert out.strip() == str(page)
        assert "data:image/jpeg" in page.read_text()
        assert "selection main" in page.read_text()


@pytest.mark.parametrize("name", _PRINTED)
def test_the_documents_have_commands_whose_output_is_known(name: str) -> None:
    assert any(command.startswith(f"acav {name}") for command in _commands("acav"))


def test_the_example_of_embeddings_selects_what_belongs_together(
    acav: Acav,
    spark: SparkSession,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    outputs: dict[str, str] = {}
    text = STORY.read_text()
    for kind, block in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S):
        if kind == "python":
            exec(block, names)  # noqa: S102 - our own documents
        elif kind == "yaml":
            name = block.split("\n", 1)[0].removeprefix("# ")
            (tmp_path / name).write_text(block)
        elif not kind:
            # What the page says about what was printed is so.
            for line in block.splitlines():
                status, out, err = acav(*shlex.split(line)[1:])
                assert status == 0, (line, err)
                outputs[line] = out + err

    is_true = np.asarray(names["topic_of_caption"] == names["topic"])
    share = is_true[names["rows"]].mean()
    assert share > 0.95
    # What the page says is printed is so.
    assert f"`{share:.0%} of 180; of all {is_true.mean():.0%}`" in text
    assert re.search(r"Cut or imported +600", outputs["acav run --config pairs.yaml"])
    assert "https" not in outputs["acav run --config pairs.yaml"]
    third = outputs["acav run --config three.yaml"]
    assert "nothing to do stage=import_features" in third
    assert re.search(r"Selected +180 +clips +30\.0 %  selection three", third), third
    page = (tmp_path / "pairs" / "report.html").read_text()
    assert "clip_text layer 1" in page

    warehouse = Warehouse(spark, str(tmp_path / "pairs"))
    books = warehouse.read("codebooks").where("clustering = 'three'")
    modalities = [b["modality"] for b in books.orderBy("view_position").collect()]
    assert modalities == ["visual", "text", "audio"]
    counted = warehouse.read("contingency").where("selection = 'three'").collect()
    assert {(r["view_a"], r["view_b"]) for r in counted} == {(0, 1), (0, 2), (1, 2)}
    picked = warehouse.read("selections").where("selection = 'three'").collect()
    row_of = dict(zip(names["ids"], range(600), strict=True))
    rows = [row_of[pick["clip_id"]] for pick in picked]
    assert is_true[rows].mean() > 0.95
    published = tmp_path / "pairs" / "published" / "main" / "jsonl"
    first = json.loads((published / "clips-00000.jsonl").read_text().split("\n")[0])
    assert (first["rank"], first["start_s"], first["uri"]) == (1, None, None)


def test_the_demo_makes_curates_and_judges_a_corpus(acav: Acav, tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    status, out, err = acav("demo", "--folder", str(folder), "--n-videos", "10")
    assert status == 0, err
    assert out.strip() == f"Report: {folder / 'warehouse' / 'report.html'}"
    page = (folder / "warehouse" / "report.html").read_text()
    assert "truly correspond" in page
    assert "publish_clips" in err


def test_every_query_of_the_documents_gives_rows(
    acav: Acav, curated_root: Path
) -> None:
    queries = [
        query
        for page in PAGES
        for block in _fenced(page, "sql")
        for query in block.split(";")
        if query.strip()
    ]
    assert queries
    for query in queries:
        place = f'storage.root="{curated_root}"'
        status, out, err = acav("sql", query, "-f", "csv", "--set", place)
        assert status == 0, err
        assert len(out.splitlines()) > 1, query


def test_every_python_block_of_the_documents_runs() -> None:
    blocks = [block for page in PAGES for block in _fenced(page, "python")]
    assert blocks
    for block in blocks:
        assignments = np.random.default_rng(1).integers(100, size=(3000, 10))
        exec(block, {"assignments": assignments})  # noqa: S102 - our own documents


def test_the_spark_submit_command_of_the_documents_works(
    curated_root: Path, videos: Path, tmp_path: Path
) -> None:
    (command,) = _commands("spark-submit")
    root = tmp_path / "ingested only"
    for name in ("videos", "failures", "runs"):
        shutil.copytree(curated_root / name, root / name)
    jars = ",".join(str(jar) for jar in local_jars())
    words = shlex.split(command)
    # The same packages, from where they are fetched already.
    place = words.index("--packages")
    words[place : place + 2] = ["--jars", jars]
    words[words.index("storage.root=s3a://bucket/warehouse")] = f'storage.root="{root}"'
    confs = [f"{name}={value}" for name, value in SPARK.items()]
    words[1:1] = [part for conf in confs for part in ("--conf", conf)]
    program = Path(sys.executable).with_name(words[0])
    settings = _options([*SETTINGS, f'input.uri="{videos}"'])

    result = subprocess.run(
        [program, *words[1:], *settings],
        cwd=ROOT,
        env={
            **os.environ,
            "SPARK_LOCAL_IP": "127.0.0.1",
            "PYSPARK_PYTHON": sys.executable,
            "PYSPARK_DRIVER_PYTHON": sys.executable,
        },
        capture_output=True,
        text=True,
        check=False,
    )

    # spark-submit passes on what the program says as its own output.
    assert result.returncode == 0, result.stdout[-3000:]
    assert "finished stage=segment_clips n_in=8 n_out=16" in result.stdout


@pytest.mark.parametrize("command", _commands("make"))
def test_every_make_target_of_the_documents_can_be_made(command: str) -> None:
    subprocess.run([*shlex.split(command), "--dry-run"], cwd=ROOT, check=True)
