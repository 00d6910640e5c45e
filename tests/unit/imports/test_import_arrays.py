"""Rows of .npy files are read at their place, with the ids that belong to them."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acav_spark.errors import ConfigError, MediaError
from acav_spark.imports.arrays import (
    ArrayFile,
    ids_of_array,
    ids_of_lines,
    index_lines,
    read_header,
)
from acav_spark.imports.shards import Sample, samples_of, vector_of
from acav_spark.imports.sources import find_blocks, find_source

if TYPE_CHECKING:
    from numpy.typing import NDArray


def saved(path: Path, values: NDArray[np.generic]) -> str:
    np.save(path, values)
    return str(path)


@pytest.mark.parametrize("dtype", ["<f2", ">f4", "<f8", "<i4"])
def test_rows_are_those_of_the_array(tmp_path: Path, dtype: str) -> None:
    values = np.arange(60).reshape(10, 2, 3).astype(dtype)
    found = read_header(saved(tmp_path / "a.npy", values))
    assert found.shape == (10, 2, 3)
    assert np.array_equal(found.rows(4, 3), values[4:7])


def test_a_file_of_objects_is_never_loaded(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (tmp_path / "sprung",)  # type: ignore[return-value]

    np.save(tmp_path / "a.npy", np.array([Trap()], dtype=object), allow_pickle=True)
    with pytest.raises(ConfigError, match="Python objects are never loaded"):
        read_header(str(tmp_path / "a.npy"))
    with pytest.raises(MediaError, match="never loaded"):
        vector_of((tmp_path / "a.npy").read_bytes())
    assert not (tmp_path / "sprung").exists()


def test_what_is_no_array_of_rows_is_refused(tmp_path: Path) -> None:
    values = np.arange(6.0).reshape(3, 2)
    by_columns = saved(tmp_path / "f.npy", np.asfortranarray(values))
    with pytest.raises(ConfigError, match=r"by columns.*ascontiguousarray"):
        read_header(by_columns)
    whole = Path(saved(tmp_path / "a.npy", values))
    (tmp_path / "cut.npy").write_bytes(whole.read_bytes()[:-1])
    with pytest.raises(ConfigError, match="The file is cut"):
        read_header(str(tmp_path / "cut.npy"))
    (tmp_path / "text.npy").write_text("1 2 3")
    with pytest.raises(ConfigError, match=r"expected a \.npy file"):
        read_header(str(tmp_path / "text.npy"))
    with pytest.raises(ConfigError, match="found none at"):
        read_header(str(tmp_path / "nowhere.npy"))


@given(
    st.lists(st.text("ab \r", max_size=3), max_size=12),
    st.integers(1, 5),
    st.booleans(),
)
def test_blocks_of_lines_hold_every_line_once(
    tmp_path_factory: pytest.TempPathFactory,
    lines: list[str],
    block_lines: int,
    ends_open: bool,  # noqa: FBT001 - given by hypothesis
) -> None:
    text = "\n".join(lines) + ("" if ends_open or not lines else "\n")
    path = tmp_path_factory.mktemp("ids") / "ids.txt"
    path.write_bytes(text.encode())
    expected = [line.strip() for line in text.split("\n")]
    if expected[-1] == "" and (not text or text.endswith("\n")):
        expected.pop()
    found = index_lines(str(path), block_lines)
    n_blocks = -(-len(expected) // block_lines)
    blocks = [ids_of_lines(*found.block(number)) for number in range(n_blocks)]
    assert found.n_lines == len(expected)
    assert [line for block in blocks for line in block] == expected
    assert all(len(block) == block_lines for block in blocks[:-1])


def test_lines_are_found_across_the_pieces_of_a_large_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("acav_spark.imports.arrays._CHUNK_BYTES", 7)
    lines = [f"id-{number}" for number in range(100)]
    (tmp_path / "ids.txt").write_text("\n".join(lines))
    found = index_lines(str(tmp_path / "ids.txt"), 9)
    blocks = [ids_of_lines(*found.block(number)) for number in range(12)]
    assert [line for block in blocks for line in block] == lines


@pytest.mark.parametrize("ending", ["txt", "npy"])
def test_every_block_has_the_ids_of_its_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    monkeypatch.setattr("acav_spark.imports.sources._BLOCK_BYTES", 3 * 8)
    values = np.arange(20, dtype=np.float32).reshape(10, 2)  # 8 bytes a row
    names = np.array([f"clip {row}" for row in range(10)])
    uri = saved(tmp_path / "a.npy", values)
    ids = saved(tmp_path / "ids.npy", names)
    if ending == "txt":
        ids = str(tmp_path / "ids.txt")
        Path(ids).write_text("\n".join(names) + "\n")
    source = find_source([uri], "auto", [])
    blocks, layers, dimensions = find_blocks(source, [ids])
    assert (layers, dimensions) == (("layer_1",), (2,))
    assert [(block.first, block.n_rows) for block in blocks] == [
        (0, 3),
        (3, 3),
        (6, 3),
        (9, 1),
    ]
    for block in blocks:
        rows = block.arrays[0].rows(block.first, block.n_rows)
        if isinstance(block.ids, ArrayFile):
            found = ids_of_array(block.ids, block.first, block.n_rows)
        else:
            found = ids_of_lines(*block.ids)
        assert found == [f"clip {int(row[0]) // 2}" for row in rows]


def test_paths_are_taken_from_the_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(tmp_path / "a.npy", np.zeros((2, 1)))
    saved(tmp_path / "ids.npy", np.arange(2))
    monkeypatch.chdir(tmp_path)
    source = find_source(["a.npy"], "auto", [])
    assert (source.uris, source.name) == ((str(tmp_path / "a.npy"),), "a.npy")
    (block,), _, _ = find_blocks(source, ["ids.npy"])
    assert isinstance(block.ids, ArrayFile)
    assert block.ids.uri == str(tmp_path / "ids.npy")


def test_layers_are_files_of_a_folder_or_an_axis(tmp_path: Path) -> None:
    folder = tmp_path / "clap"
    folder.mkdir()
    saved(folder / "early.npy", np.zeros((4, 3)))
    saved(folder / "late.npy", np.zeros((4, 5)))
    ids = saved(folder / "ids.npy", np.arange(4))
    named = find_source([str(folder)], "auto", ["early", "late.npy"])
    _, layers, dimensions = find_blocks(named, [ids])
    assert (layers, dimensions) == (("early", "late.npy"), (3, 5))
    with pytest.raises(ConfigError, match=r"2 \.npy files: .*'early\.npy'.*--layer"):
        find_blocks(find_source([str(folder)], "auto", []), [ids])
    cube = saved(tmp_path / "cube.npy", np.zeros((4, 2, 7)))
    _, layers, dimensions = find_blocks(find_source([cube], "auto", []), [ids])
    assert (layers, dimensions) == (("layer_1", "layer_2"), (7, 7))


def test_sources_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    uri = saved(tmp_path / "a.npy", np.zeros((4, 3)))
    other = saved(tmp_path / "b.npy", np.zeros((4, 2)))
    flat = saved(tmp_path / "flat.npy", np.zeros(4))
    ids = saved(tmp_path / "ids.npy", np.arange(4))
    few = saved(tmp_path / "few.npy", np.arange(3))
    cases = [
        ([uri], [], r"a file of ids for each of 1 sources.*--ids"),
        ([uri], [few], r"an id for each of 4 rows .*, got 3"),
        ([uri, other], [ids, ids], r"sources of one shape, got dimensions"),
        ([flat], [ids], r"numbers of shape \(rows, dimension\)"),
        ([uri], [other], r"expected ids, text or whole numbers"),
    ]
    for uris, ids_uris, words in cases:
        with pytest.raises(ConfigError, match=words):
            find_blocks(find_source(uris, "npy", []), ids_uris)


def test_the_format_is_told_by_names_and_by_what_a_folder_holds(tmp_path: Path) -> None:
    for name in ("p/x.parquet", "d/_delta_log/0.json", "t/s-1.tar", "t/s-0.tar"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    kinds = {"p": "parquet", "d": "delta", "t": "webdataset", "p/x.parquet": "parquet"}
    for name, kind in kinds.items():
        assert find_source([str(tmp_path / name)], "auto", []).format == kind
    assert find_source(["table:a.b"], "auto", []).format == "delta"
    shards = (str(tmp_path / "t/s-0.tar"), str(tmp_path / "t/s-1.tar"))
    by_folder = find_source([str(tmp_path / "t")], "auto", [])
    assert (by_folder.uris, by_folder.layers) == (shards, ("npy",))
    by_pattern = find_source([str(tmp_path / "t" / "s-*.tar")], "auto", [])
    assert by_pattern.uris == shards
    with pytest.raises(ConfigError, match="sources of one format"):
        find_source([str(tmp_path / "p"), str(tmp_path / "d")], "auto", [])
    with pytest.raises(ConfigError, match=r"a file system that pyarrow knows .*ftp:"):
        find_source(["ftp://host/x.tar"], "auto", [])
    with pytest.raises(ConfigError, match="--format"):
        find_source([str(tmp_path / "p" / "unheard.of")], "auto", [])


def npy(values: object) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.asarray(values))
    return stream.getvalue()


def tar_of(members: list[tuple[str, bytes]], mode: str = "w") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:  # type: ignore[call-overload]  # a mode by name
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return stream.getvalue()


MEMBERS = [
    ("set/a.npy", npy([1.0, 2.0])),
    ("set/a.jpg", b"jpeg"),
    ("set/b.early.npy", npy([3.0])),
    ("set/b.npy", npy([4.0])),
    ("README", b"no sample"),
    ("set/.hidden.npy", npy([9.0])),
    ("set/c.jpg", b"jpeg"),
]


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_members_of_a_key_are_one_sample(mode: str) -> None:
    found = list(samples_of(io.BytesIO(tar_of(MEMBERS, mode)), {"npy", "early.npy"}))
    samples = [one for one in found if isinstance(one, Sample)]
    assert len(samples) == len(found)
    assert [(s.key, sorted(s.members)) for s in samples] == [
        ("set/a", ["npy"]),
        ("set/b", ["early.npy", "npy"]),
        ("set/c", []),
    ]
    assert vector_of(samples[0].members["npy"]).tolist() == [1.0, 2.0]


def test_a_shard_that_ends_too_early_tells_so_after_what_it_has() -> None:
    data = tar_of(MEMBERS)
    cut = data[: 512 * 5 + 100]  # inside the third member
    found = list(samples_of(io.BytesIO(cut), {"npy"}))
    assert [one.key for one in found if isinstance(one, Sample)] == ["set/a"]
    assert isinstance(found[-1], MediaError)
    assert found[-1].code == "broken_shard"
    (nothing,) = samples_of(io.BytesIO(b"no tar at all"), {"npy"})
    assert isinstance(nothing, MediaError)


def test_links_are_passed_over_and_large_members_are_not_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("acav_spark.imports.shards._MAX_BYTES", 200)
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        link = tarfile.TarInfo("a.npy")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        large = tarfile.TarInfo("b.npy")
        large.size = 201
        archive.addfile(large, io.BytesIO(b"\x00" * 201))
    stream.seek(0)
    (sample,) = samples_of(stream, {"npy"})
    assert isinstance(sample, Sample)
    assert (sample.key, sample.members) == ("b", {})
    assert sample.problem is not None
    assert "at most 200 bytes, got 201" in sample.problem.message


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\x93NUMPY", "not a .npy"),
        (npy(np.zeros((2, 2))), "one row of numbers, got shape"),
        (npy(["a"]), "not a .npy of numbers"),
        (npy([1.0, 2.0])[:-1], "ends before the numbers"),
        (npy([1.0]).replace(b"(1,)", b"(9,)"), "ends before the numbers"),
    ],
)
def test_a_member_that_is_no_vector_is_told(data: bytes, words: str) -> None:
    with pytest.raises(MediaError, match="vector_length") as caught:
        vector_of(data)
    assert words in caught.value.message


def test_the_only_row_of_a_member_is_its_vector() -> None:
    assert vector_of(npy([[1.0, 2.0]])).tolist() == [1.0, 2.0]
    assert vector_of(npy(np.array([7], ">i2"))).tolist() == [7]
