"""Embeddings of three modalities, of items of which half truly correspond."""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from curation import SPARK

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

N_ITEMS, N_TOPICS = 400, 5
SETTINGS = [f"spark.{name}={value}" for name, value in SPARK.items()]


@dataclass(frozen=True)
class Planted:
    """What was made, and the right answer.

    Parameters
    ----------
    ids : list of str
        The items.
    is_true : ndarray of bool
        Whether all modalities of an item are of one topic.
    images, sounds, texts : ndarray of float32, shape (n_items, dimension)
        Embeddings: the topic's centre and noise.
    """

    ids: list[str]
    is_true: NDArray[np.bool_]
    images: NDArray[np.float32]
    sounds: NDArray[np.float32]
    texts: NDArray[np.float32]


def planted(n_items: int = N_ITEMS, seed: int = 3) -> Planted:
    """Return items; in every other one each modality has a topic of its own."""
    generator = np.random.default_rng(seed)
    topics = np.repeat(generator.integers(N_TOPICS, size=(n_items, 1)), 3, axis=1)
    is_foreign = np.arange(n_items) % 2 == 1
    shape = (int(is_foreign.sum()), 3)
    topics[is_foreign] = generator.integers(N_TOPICS, size=shape)
    is_true = (topics == topics[:, :1]).all(axis=1)

    def embeddings(column: int, dimension: int) -> NDArray[np.float32]:
        centres = generator.normal(size=(N_TOPICS, dimension))
        noise = 0.15 * generator.normal(size=(n_items, dimension))
        return (centres[topics[:, column]] + noise).astype(np.float32)

    ids = [f"item-{number:04d}" for number in range(n_items)]
    return Planted(
        ids, is_true, embeddings(0, 24), embeddings(1, 12), embeddings(2, 16)
    )


def write_images(folder: Path, made: Planted) -> str:
    """Write images as .npy and their ids; return what a configuration says."""
    np.save(folder / "images.npy", made.images)
    (folder / "ids.txt").write_text("\n".join(made.ids) + "\n")
    return (
        f"{{name: clip_image, imported: {{modality: visual, uri: '{folder}/images.npy',"
        f" ids_uri: '{folder}/ids.txt'}}}}"
    )


def write_texts(folder: Path, made: Planted) -> str:
    """Write texts as Parquet, with addresses."""
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(made.texts.ravel()), 16)
    uris = [f"https://example.org/{name}" for name in made.ids]
    table = pa.table({"id": made.ids, "embedding": vectors, "url": uris})
    pq.write_table(table, folder / "texts.parquet")
    return (
        f"{{name: clip_text, imported: {{modality: text, uri: '{folder}/texts.parquet',"
        f" uri_column: url}}}}"
    )


def write_sounds(folder: Path, made: Planted) -> str:
    """Write sounds as two shards of WebDataset, two layers each."""
    (folder / "sounds").mkdir()
    for shard in range(2):
        path = folder / "sounds" / f"{shard}.tar"
        with tarfile.open(path, "w") as archive:
            for row in range(shard, len(made.ids), 2):
                for ending, values in (
                    ("early.npy", made.sounds[row, :4]),
                    ("late.npy", made.sounds[row]),
                ):
                    stream = io.BytesIO()
                    np.save(stream, values)
                    info = tarfile.TarInfo(f"{made.ids[row]}.{ending}")
                    info.size = stream.tell()
                    stream.seek(0)
                    archive.addfile(info, stream)
    return (
        f"{{name: clap, imported: {{modality: audio, uri: '{folder}/sounds',"
        f" layers: [early.npy, late.npy]}}}}"
    )
