from __future__ import annotations

import subprocess
import sys

import pytest

from acav_spark.errors import ConfigError
from acav_spark.features.extractor import Extractor
from acav_spark.features.registry import create_extractor, known_extractors


class Lacking:
    """Has a name and nothing else of an extractor."""

    name = "lacking"


class Complete:
    """An extractor of somebody's own, with an option."""

    name = "complete"
    modality = "visual"
    version = "1"
    video_sampling = None
    audio_sampling = None
    wants_gpu = False

    def __init__(self, *, size: int = 3) -> None:
        self.dimensions = (size,)

    def extract(self, clips: object) -> list[object]:
        return [clips]


class Wrong(Complete):
    """Dimensions are a list and the name a number."""

    def __init__(self) -> None:
        self.dimensions = [3]  # type: ignore[assignment]
        self.name = 5  # type: ignore[assignment]


@pytest.mark.parametrize("name", known_extractors())
def test_registered_extractors_fit_the_protocol(name: str) -> None:
    # The hash of one network's published weights is for the user to give.
    extractor = create_extractor(
        name, {"init": "random"} if name == "slowfast_r50" else {}
    )

    assert isinstance(extractor, Extractor)
    assert extractor.name == name


def test_a_class_of_ones_own_is_loaded_with_its_options() -> None:
    extractor = create_extractor(f"{__name__}:Complete", {"size": 5})

    assert extractor.dimensions == (5,)


def test_an_unknown_name_is_answered_with_the_near_one_and_all() -> None:
    with pytest.raises(ConfigError) as caught:
        create_extractor("handcrafted_vizual")

    assert "Did you mean 'handcrafted_visual'?" in str(caught.value)
    assert "handcrafted_audio" in str(caught.value)


def test_a_class_that_does_not_fit_is_refused_with_what_is_missing() -> None:
    with pytest.raises(ConfigError) as caught:
        create_extractor(f"{__name__}:Lacking")

    for missing in ("modality", "dimensions", "wants_gpu", "method 'extract'"):
        assert missing in str(caught.value)
    assert "attribute 'name'" not in str(caught.value)


def test_wrong_types_are_named() -> None:
    with pytest.raises(ConfigError, match="'name' of type int") as caught:
        create_extractor(f"{__name__}:Wrong")

    assert "'dimensions' of type list, not tuple" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no.such.module:Class", "no.such.module"),
        ("acav_spark.errors:NoSuchClass", "nothing of that name"),
        ("acav_spark.features.registry:create_extractor", "function"),
        ("os.path", "package.module:Class"),
        ("", "package.module:Class"),
    ],
)
def test_what_cannot_be_loaded_is_refused(name: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        create_extractor(name)


def test_options_that_a_class_does_not_take_are_refused() -> None:
    with pytest.raises(ConfigError, match="colour"):
        create_extractor("handcrafted_visual", {"colour": "blue"})


def test_naming_extractors_imports_none_of_them() -> None:
    code = (
        "import sys; from acav_spark.features import known_extractors; "
        "known_extractors(); "
        "sys.exit(any(x in sys.modules for x in ('cv2', 'scipy', 'librosa', 'numba')))"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
