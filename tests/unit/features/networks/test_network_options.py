from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from acav_spark.errors import ConfigError
from acav_spark.features.networks.i3d import I3DRGB
from acav_spark.features.networks.images import MobileNetV2, ResNet50
from acav_spark.features.networks.options import (
    NetworkOptions,
    Published,
    chosen_weights,
)
from acav_spark.features.networks.slowfast import SlowFastR50
from acav_spark.features.networks.vggish import VGGish
from acav_spark.features.networks.yamnet import YAMNet

HASH = "0123456789abcdef" * 4
PUBLISHED = Published("https://host/weights", HASH, "free")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"device": "gpu"}, "device: expected auto, cpu, cuda or cuda:N, got 'gpu'"),
        ({"device": "cuda:-1"}, "cuda:-1"),
        ({"sha256": HASH[:-1]}, "64 hexadecimal digits"),
        ({"sha256": HASH.upper()}, "lower case"),
        ({"weights": 3}, "weights: expected text, got 3"),
        ({"init": "zeros"}, "one of pretrained, random"),
        ({"precision": "int8"}, "one of auto, fp32, bf16, fp16"),
        ({"precision": []}, "one of auto, fp32, bf16, fp16"),
        ({"seed": -1}, "whole number"),
        ({"seed": True}, "whole number"),
        ({"compile": "yes"}, "true or false"),
        ({"init": "random", "weights": "/w"}, "Leave them out"),
    ],
)
def test_values_that_no_network_takes_are_refused(
    options: dict[str, object], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        NetworkOptions(**options)  # type: ignore[arg-type]  # wrong on purpose


def test_published_weights_need_no_option() -> None:
    weights = chosen_weights("net", NetworkOptions(), PUBLISHED)

    assert (weights.place, weights.sha256) == (PUBLISHED.url, HASH)
    assert weights.version == "sha256:0123456789abcdef"


def test_weights_of_ones_own_need_their_hash() -> None:
    with pytest.raises(ConfigError, match=r"net: sha256: expected .* of /own\.npz"):
        chosen_weights("net", NetworkOptions(weights="/own.npz"), PUBLISHED)

    own = NetworkOptions(weights="/own.npz", sha256="f" * 64)
    assert chosen_weights("net", own, PUBLISHED).version == f"sha256:{'f' * 16}"


def test_without_weights_the_error_says_where_they_are() -> None:
    nowhere = Published("", "", "Ask the authors.")
    with pytest.raises(ConfigError, match="Ask the authors"):
        chosen_weights("net", NetworkOptions(), nowhere)
    with pytest.raises(ConfigError, match=r"SLOWFAST_8x8_R50\.pyth.*init: random"):
        SlowFastR50()


def test_versions_tell_apart_what_changes_vectors_and_nothing_else() -> None:
    known: dict[str, Any] = {"weights": "/w", "sha256": HASH}
    versions = [
        VGGish().version,
        VGGish(**known).version,
        VGGish(init="random").version,
        VGGish(init="random", seed=1).version,
        VGGish(precision="fp32").version,
        VGGish(**known, pca="/pca", pca_sha256=HASH).version,
        VGGish(**known, pca="/pca", pca_sha256=HASH, quantise=True).version,
        YAMNet(init="random").version,
        I3DRGB(init="random").version,
        I3DRGB(init="random", n_frames=32).version,
        I3DRGB(init="random", frames_per_s=25.0).version,
        ResNet50().version,
        ResNet50(n_frames=1).version,
        MobileNetV2().version,
    ]
    assert len(set(versions)) == len(versions)
    assert VGGish(init="random", seed=1).version == "vggish/1 random:1"

    elsewhere = VGGish(
        weights="https://other/w", sha256=HASH, device="cpu", compile=True
    )
    assert elsewhere.version == VGGish(**known).version


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"pca": "/pca"}, "pca and pca_sha256 together"),
        ({"quantise": True}, "quantise with them"),
        ({"pca": "/p", "pca_sha256": HASH, "init": "random"}, "no pca with random"),
    ],
)
def test_options_of_vggish_that_do_not_fit_are_refused(
    options: dict[str, object], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        VGGish(**options)  # type: ignore[arg-type]  # wrong on purpose


def test_numbers_of_frames_are_checked() -> None:
    with pytest.raises(ConfigError, match="n_frames: expected a whole number, 16"):
        I3DRGB(init="random", n_frames=15)
    with pytest.raises(ConfigError, match=r"frames_per_s: .* got 0"):
        I3DRGB(init="random", frames_per_s=0)
    with pytest.raises(ConfigError, match="n_frames: expected a whole number, 1 or"):
        ResNet50(n_frames=True)


def test_the_driver_asks_for_versions_without_torch() -> None:
    code = (
        "import sys\n"
        "from acav_spark.features.registry import create_extractor, known_extractors\n"
        "for name in known_extractors():\n"
        "    known = name.startswith('handcrafted')\n"
        "    create_extractor(name, {} if known else {'init': 'random'}).version\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
