"""Which extractors of a configuration are imported, and what is known of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from acav_spark.config import section_hash
from acav_spark.errors import ConfigError, StageError
from acav_spark.features.registry import known_extractors
from acav_spark.imports.sources import find_blocks, find_source

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from acav_spark.config.extracting import ExtractorConfig
    from acav_spark.config.models import Config
    from acav_spark.context import StageContext
    from acav_spark.media.types import AudioSampling, DecodedClip, VideoSampling

STAGE = "import_features"
_TABLE = "imports"


@dataclass(frozen=True)
class ImportedExtractor:
    """An extractor that somebody else has run: the facts of its rows.

    Parameters
    ----------
    name, modality, version : str
        As every extractor's.
    dimensions : tuple of int
        Length of each layer's vector, layer 1 first.
    layers : tuple of str
        Names of the layers in the source.
    """

    name: str
    modality: str
    version: str
    dimensions: tuple[int, ...]
    layers: tuple[str, ...] = ()
    video_sampling: VideoSampling | None = None
    audio_sampling: AudioSampling | None = None
    wants_gpu: bool = False

    @property
    def stage_hash(self) -> str:
        """Hash of what shapes its rows."""
        return section_hash(STAGE, self.modality, list(self.dimensions), self.version)

    def extract(
        self, clips: Sequence[DecodedClip]
    ) -> list[tuple[NDArray[np.float32], ...]]:
        """Refuse: there is nothing to run.

        Raises
        ------
        StageError
            Always.
        """
        msg = f"{self.name}: expected to be imported, not run on {len(clips)} clips."
        raise StageError(msg)


def is_imported(chosen: ExtractorConfig) -> bool:
    """Return whether an extractor's vectors are imported.

    They are where the configuration says so, and where the name is none that anything
    could be computed by.
    """
    if chosen.imported.modality:
        return True
    return ":" not in chosen.name and chosen.name not in known_extractors()


def computed_extractors(config: Config) -> list[ExtractorConfig]:
    """Return the extractors that are run here."""
    return [e for e in config.features.extractors if not is_imported(e)]


def needs_videos(config: Config) -> bool:
    """Return whether there is something to be ingested."""
    return bool(config.input.uris or computed_extractors(config))


def check_imports(config: Config) -> None:
    """Check names and sources, as far as that needs no Spark.

    Raises
    ------
    ConfigError
        If a name is that of an extractor of the package; or a source is not there, or
        is not what it should be.
    """
    for extractor in config.features.extractors:
        options = extractor.imported
        if not options.uris:
            continue
        if extractor.name in known_extractors():
            msg = (
                f"import: expected a name that no extractor of the package has, got "
                f"{extractor.name!r}. Choose another, since its rows would be mixed "
                "with computed ones."
            )
            raise ConfigError(msg)
        source = find_source(options.uris, options.format, options.layers)
        if source.format == "npy":
            find_blocks(source, options.ids_uris)


def imported_extractors(
    context: StageContext, config: Config | None = None
) -> dict[str, ImportedExtractor]:
    """Return what is known of the imported extractors of a configuration, by name.

    Raises
    ------
    StageError
        If nothing was imported under a name.
    """
    chosen = (config or context.config).features.extractors
    names = [extractor.name for extractor in chosen if is_imported(extractor)]
    if not names:
        return {}
    known = all_imports(context)
    missing = [name for name in names if name not in known]
    if missing:
        msg = (
            f"features.extractors: expected extractors among {known_extractors()}, or "
            f"what was imported ({sorted(known) or 'nothing so far'}), got {missing}. "
            "Import vectors with 'acav import-features' first."
        )
        raise StageError(msg)
    return {name: known[name] for name in names}


def all_imports(context: StageContext) -> dict[str, ImportedExtractor]:
    """Return everything that was ever imported into a warehouse, by name."""
    if not context.warehouse.exists(_TABLE):
        return {}
    return {
        row["extractor"]: ImportedExtractor(
            row["extractor"],
            row["modality"],
            row["version"],
            tuple(row["dimensions"]),
            tuple(row["layers"]),
        )
        for row in context.warehouse.read(_TABLE).collect()
    }
