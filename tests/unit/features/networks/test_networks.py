"""What holds for every network, shown with seeded weights."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from acav_spark.errors import ConfigError, DeviceMemoryError, MediaError, StageError
from acav_spark.features.networks import base, i3d, images, slowfast, vggish
from acav_spark.features.registry import create_extractor
from acav_spark.features.vectors import encode_fp16
from acav_spark.media.types import DecodedClip, VideoSampling

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from acav_spark.features.networks.base import Network

Vectors = tuple[NDArray[np.float32], ...]

DIMENSIONS = {
    "slowfast_r50": (88, 352, 704, 1408, 2304),
    "i3d_rgb": (64, 192, 480, 832, 1024),
    "resnet50": (64, 256, 512, 1024, 2048),
    "mobilenet_v2": (16, 24, 32, 96, 1280),
    "mobilenet_v2_tf": (16, 24, 32, 96, 1280),
    "vggish": (64, 128, 256, 512, 128),
    "yamnet": (64, 128, 256, 512, 1024),
}
SOUND = ("vggish", "yamnet")
PICTURE = tuple(name for name in DIMENSIONS if name not in SOUND)
SMALL = 32


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let networks see small frames, and few: the same networks, many times as fast.

    I3D's last pooling needs its 224 pixels.
    """
    for module in (slowfast, images):
        monkeypatch.setattr(module, "_SIZE", SMALL)
    monkeypatch.setattr(images, "_SHORT_SIDE", SMALL)
    monkeypatch.setattr(i3d, "_MIN_FRAMES", 8)


def made(name: str, seed: int = 7, **options: object) -> Network:
    if name == "i3d_rgb":
        options.setdefault("n_frames", 8)
    if name in ("resnet50", "mobilenet_v2", "mobilenet_v2_tf"):
        options.setdefault("n_frames", 3)
    if name == "mobilenet_v2_tf":
        options.setdefault("size", 96)
    given: dict[str, object] = {"init": "random", "seed": seed, "device": "cpu"}
    return create_extractor(name, given | options)  # type: ignore[return-value]  # one of ours


def clip(name: str, seed: int, **changed: Any) -> DecodedClip:  # noqa: ANN401 - fields of a clip
    rng = np.random.default_rng(seed)
    values: dict[str, Any]
    if name in SOUND:
        values = {
            "waveform": rng.normal(scale=0.1, size=20_000).astype(np.float32),
            "sample_rate_hz": 16_000,
        }
    else:
        side = {"i3d_rgb": 256, "mobilenet_v2_tf": 110}.get(name, SMALL)
        n_frames = {"slowfast_r50": 32, "i3d_rgb": 8}.get(name, 3)
        shape = (n_frames, side, side + 20, 3)
        values = {"frames": rng.integers(0, 256, shape, dtype=np.uint8)}
    return DecodedClip(f"clip {seed}", **(values | changed))


def ulps(a: Vectors, b: Vectors) -> int:
    """Return by how many steps of fp16 two results differ at most."""
    # Of one sign, halves are as far apart as their bits are, read as whole numbers.
    bits = [np.frombuffer(encode_fp16(x), np.int16).astype(int) for x in (*a, *b)]
    pairs = zip(bits[: len(a)], bits[len(a) :], strict=True)
    return max(int(np.abs(x - y).max()) for x, y in pairs)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("name", DIMENSIONS)
def test_a_clip_s_vectors_do_not_depend_on_its_neighbours(name: str) -> None:
    network = made(name)
    clips = [clip(name, seed) for seed in range(2)]

    together = network.extract(clips)
    # Another batch, another place in it, passes of another size.
    network._n_views = 1
    apart = network.extract(clips[1:])[0]

    assert network.dimensions == DIMENSIONS[name]
    for vectors in together:
        assert tuple(len(v) for v in vectors) == network.dimensions
        assert {v.dtype for v in vectors} == {np.dtype(np.float32)}
        assert all(np.isfinite(v).all() and v.std() > 0 for v in vectors)
    for found, expected in zip(apart, together[1], strict=True):
        # A step of fp16; or, where much cancels out, what float32 sums are good for.
        sums = 2e-6 * float(np.abs(expected).max())
        np.testing.assert_allclose(found, expected, rtol=2**-10, atol=sums)
    assert ulps(together[0], apart) > 1


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("name", ["mobilenet_v2", "yamnet"])
def test_seeds_make_networks(name: str) -> None:
    one = clip(name, 1)
    state = torch.random.get_rng_state()
    first, again, other = (made(name, seed).extract([one])[0] for seed in (7, 7, 8))

    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert any((a != b).any() for a, b in zip(first, other, strict=True))
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("name", DIMENSIONS)
def test_a_clip_without_what_is_wanted_is_refused_by_its_code(name: str) -> None:
    network = made(name)
    empty: dict[str, object] = {"waveform": np.empty(0, np.float32)}
    if name in PICTURE:
        empty = {"frames": np.empty((0, 256, 256, 3), np.uint8)}
    code = "no_samples" if name in SOUND else "no_frames"
    for broken in (clip(name, 1, **empty), DecodedClip("clip 1")):
        with pytest.raises(MediaError, match="clip 1") as caught:
            network.extract([clip(name, 0), broken])
        assert caught.value.code == code
    assert network.extract([]) == []


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("name", DIMENSIONS)
def test_a_clip_that_was_decoded_in_another_way_is_refused(name: str) -> None:
    wrong: dict[str, object] = {"sample_rate_hz": 44_100}
    if name in PICTURE:
        wrong = {"frames": np.zeros((32, 40, 50, 3), np.uint8)}
    with pytest.raises(ValueError, match=r"expected (frames|a waveform)"):
        made(name).extract([clip(name, 1, **wrong)])


@pytest.mark.parametrize("name", SOUND)
def test_sound_that_is_short_or_not_finite_is_silence_there(name: str) -> None:
    network = made(name)
    sound = np.full(100, 0.5, np.float32)
    filled = np.concatenate([sound, np.zeros(15_500, np.float32)])
    odd = filled.copy()
    odd[[200, 300, 400]] = np.nan, np.inf, -np.inf

    short, whole, broken = (
        network.extract([clip(name, 0, waveform=waveform)])[0]
        for waveform in (sound, filled, odd)
    )

    assert ulps(short, whole) == ulps(whole, broken) == 0


@pytest.mark.parametrize(("name", "offset"), [("vggish", 0.01), ("yamnet", 0.001)])
def test_silence_is_the_logarithm_of_what_was_added(name: str, offset: float) -> None:
    module, _ = made(name)._loaded()
    log_mel = module.get_submodule("log_mel")(torch.zeros(1, 15_600))
    np.testing.assert_allclose(log_mel.numpy(), np.log(offset), rtol=1e-6)


@pytest.mark.parametrize("name", SOUND)
def test_a_clip_of_sound_is_the_mean_of_its_examples(name: str) -> None:
    network = made(name)
    hop = 15_360 if name == "vggish" else 7_680
    waveform = np.random.default_rng(3).normal(scale=0.1, size=15_600 + 2 * hop)
    waveform = waveform.astype(np.float32)

    whole = network.extract([clip(name, 0, waveform=waveform)])[0]
    parts = network.extract(
        [clip(name, 0, waveform=waveform[i * hop : i * hop + 15_600]) for i in range(3)]
    )

    means = tuple(np.mean(layer, axis=0) for layer in zip(*parts, strict=True))
    for a, b in zip(whole, means, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("small")
def test_frames_of_a_picture_network_are_averaged() -> None:
    network = made("mobilenet_v2")
    three = clip("mobilenet_v2", 1)
    assert three.frames is not None
    each = network.extract(
        [DecodedClip("a", frames=three.frames[i : i + 1]) for i in range(3)]
    )
    means = tuple(np.mean(layer, axis=0) for layer in zip(*each, strict=True))
    for a, b in zip(network.extract([three])[0], means, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("small")
def test_stacks_of_i3d_are_averaged_and_short_ones_filled() -> None:
    frames = clip("i3d_rgb", 1).frames
    assert frames is not None
    network = made("i3d_rgb", n_frames=64, frames_per_s=25.0)
    assert network.video_sampling == VideoSampling(short_side=256, frames_per_s=25.0)
    many = np.repeat(frames, 17, axis=0)  # 136: two stacks, and eight left out
    views = network._views(DecodedClip("a", frames=many))
    assert [v.shape for v in views] == [(64, 224, 224, 3)] * 2
    cropped = many[:, 16:240, 26:250]
    np.testing.assert_array_equal(np.concatenate(views), cropped[:128])

    (short,) = network._views(DecodedClip("a", frames=frames))
    np.testing.assert_array_equal(short[:8], frames[:, 16:240, 26:250])
    assert (short[8:] == short[7]).all()


def test_the_middle_is_cut_out() -> None:
    frames = np.arange(2 * 6 * 9 * 3, dtype=np.uint8).reshape(2, 6, 9, 3)
    cut = base.centre_crop(frames, 4)
    np.testing.assert_array_equal(cut, frames[:, 1:5, 2:6])
    assert np.shares_memory(cut, frames)


class OutOfMemory(torch.nn.Module):
    """Has room for so many views at once."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room
        self.sizes: list[int] = []

    def forward(self, batch: torch.Tensor) -> list[torch.Tensor]:
        self.sizes.append(len(batch))
        if len(batch) > self.room:
            msg = "CUDA out of memory"
            raise torch.OutOfMemoryError(msg)
        return [batch.flatten(1)[:, :d].float() for d in DIMENSIONS["yamnet"]]


def test_less_is_tried_where_memory_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    network = made("yamnet")
    clips = [clip("yamnet", seed) for seed in range(4)]  # two examples each
    network._loaded()
    plenty, little = OutOfMemory(100), OutOfMemory(3)
    network._module = plenty
    expected = network.extract(clips)
    n_emptied = []
    monkeypatch.setattr(network, "_give_memory_back", lambda: n_emptied.append(1))
    network._module = little

    found = network.extract(clips)

    assert [ulps(a, b) for a, b in zip(expected, found, strict=True)] == [0] * 4
    assert plenty.sizes == [8]
    assert little.sizes == [8, 4, 2, 2, 2, 2]
    assert len(n_emptied) == 2
    network.extract(clips[:1])
    assert little.sizes[6:] == [2]  # and stays with it

    network._module = OutOfMemory(0)
    with pytest.raises(DeviceMemoryError, match=r"one view of shape \(15600,\)"):
        network.extract(clips[:1])
    network._module = little
    assert ulps(network.extract(clips[:1])[0], expected[0]) == 0


class Broken(torch.nn.Module):
    """Fails as a GPU does that is of no use any more."""

    def forward(self, batch: torch.Tensor) -> list[torch.Tensor]:
        msg = f"CUDA error: device-side assert triggered ({len(batch)} views)"
        raise torch.AcceleratorError(msg)


def test_a_gpu_that_is_broken_is_no_fault_of_the_clips() -> None:
    network = made("yamnet")
    network._loaded()
    network._module = Broken()
    with pytest.raises(
        StageError, match=r"yamnet: expected the GPU to go on, got CUDA"
    ):
        network.extract([clip("yamnet", 1)])


def test_a_cpu_has_no_queue() -> None:
    network = made("yamnet")
    assert network.begin([clip("yamnet", 1)]) is None
    assert network.begin([]) is None


@pytest.mark.parametrize("name", DIMENSIONS)
def test_the_preferred_batch_fills_whole_passes(name: str) -> None:
    network = create_extractor(name, {"init": "random"})
    n_samples, n_frames = 160_000, 64
    if network.video_sampling is not None:
        n_frames = network.video_sampling.n_frames or 0
    one = DecodedClip(
        "a",
        frames=np.zeros((n_frames, 256, 256, 3), np.uint8),
        waveform=np.zeros(n_samples, np.float32),
        sample_rate_hz=16_000,
    )
    n_views = len(network._views(one)) * network.preferred_batch  # type: ignore[attr-defined]  # one of ours
    assert n_views % network.views_per_pass == 0  # type: ignore[attr-defined]  # one of ours


def stacked(_: object, views: Sequence[NDArray[Any]], n_views: int) -> torch.Tensor:
    """Do what a device of its own does."""
    filled = [*views, *[views[-1]] * (n_views - len(views))]
    return torch.from_numpy(np.stack(filled))


def test_passes_have_one_shape_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    network = made("yamnet")
    clips = [clip("yamnet", seed) for seed in range(2)]
    _, place = network._loaded()
    network._n_views = network.views_per_pass
    plenty = OutOfMemory(1000)
    network._module = plenty
    expected = network.extract(clips)
    monkeypatch.setattr(type(place), "is_gpu", property(lambda _: True))
    monkeypatch.setattr(type(place), "gathered", stacked)
    monkeypatch.setattr(type(place), "brought", lambda _, tensor: tensor.numpy)

    found = network.extract(clips)

    assert plenty.sizes == [4, 128]
    assert [ulps(a, b) for a, b in zip(expected, found, strict=True)] == [0, 0]


def test_half_precision_is_near_and_not_the_same() -> None:
    one = clip("yamnet", 1)
    full = made("yamnet").extract([one])[0]
    half = made("yamnet", precision="bf16").extract([one])[0]

    for a, b in zip(full, half, strict=True):
        cosine = float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
        assert cosine > 0.999
    assert ulps(full, half) > 1


def test_a_file_of_another_network_is_refused(tmp_path: Path) -> None:
    from acav_spark.features.networks.weights import sha256_of

    path = tmp_path / "weights"
    torch.save({"conv1.weight": torch.zeros(64, 3, 3, 3)}, path)
    for name in ("resnet50", "vggish", "i3d_rgb", "slowfast_r50", "mobilenet_v2"):
        options = {"weights": str(path), "sha256": sha256_of(path), "device": "cpu"}
        with pytest.raises(ConfigError, match=f"those of {name}, got"):
            create_extractor(name, options).extract([clip_of_size(name)])
    with pytest.raises(ConfigError, match="YAMNet as a LiteRT file"):
        create_extractor("yamnet", options).extract([clip("yamnet", 1)])
    with pytest.raises(ConfigError, match="mobilenet_v2_tf as a LiteRT file"):
        create_extractor("mobilenet_v2_tf", options).extract(
            [clip_of_size("mobilenet_v2_tf")]
        )


@pytest.mark.parametrize(
    ("size", "short_side"), [(224, 256), (160, 183), (128, 146), (96, 110)]
)
def test_mobilenet_sees_the_middle_of_a_frame_of_its_size(
    size: int, short_side: int
) -> None:
    network = made("mobilenet_v2_tf", size=size, n_frames=1)
    assert network.video_sampling == VideoSampling(short_side=short_side, n_frames=1)
    assert f" {size} pixels " in network.version
    frames = np.zeros((1, short_side, short_side + 9, 3), np.uint8)
    (view,) = network._views(DecodedClip("a", frames=frames))
    assert view.shape == (size, size, 3)


@pytest.mark.parametrize("size", [100, 64, 0, "224", True])
def test_mobilenet_refuses_a_size_that_it_does_not_take(size: object) -> None:
    with pytest.raises(ConfigError, match=r"size: expected (a multiple of 32|a whole)"):
        made("mobilenet_v2_tf", size=size)


def clip_of_size(name: str) -> DecodedClip:
    if name in SOUND:
        return clip(name, 1)
    return DecodedClip("a", frames=np.zeros((32, 256, 256, 3), np.uint8))


def test_vggish_is_the_published_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Same names, same shapes and, with the same weights, the same numbers."""
    published = import_module("torchvggish.torchvggish")
    torch.manual_seed(3)
    theirs = published.VGG(published.make_layers(), postprocess=False).eval()
    # Random weights of the usual size give embeddings of some thousandths.
    state = {
        name: tensor * (2.5 if name.endswith("weight") else 1)
        for name, tensor in theirs.state_dict().items()
    }
    theirs.load_state_dict(state)
    post = published.Postprocessor.__new__(published.Postprocessor)
    # Of a size at which few numbers are cut off.
    post._pca_matrix = torch.randn(128, 128) * 0.1
    post._pca_means = torch.randn(128, 1)
    waveform = torch.randn(2, 15_600) * 0.1
    ours = vggish.vggish_module(has_pca=True, quantise=True).eval()
    ours.load_state_dict(
        {
            **state,
            "pca_eigen_vectors": post._pca_matrix,
            "pca_means": post._pca_means.squeeze(),
        }
    )

    with torch.inference_mode():
        *blocks, quantised = ours(waveform)
        log_mel = ours.get_submodule("log_mel")(waveform)
        embedding = theirs(log_mel)
        last_block = theirs.features(log_mel)
        monkeypatch.setattr(ours, "has_pca", False)
        plain = ours(waveform)[4]

    assert embedding.std() > 0.01
    torch.testing.assert_close(plain, embedding, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(blocks[3], last_block.mean(dim=(2, 3)))
    assert [block.shape[1] for block in blocks] == [64, 128, 256, 512]
    expected = post.postprocess(embedding)
    assert len(torch.unique(expected)) > 50
    # Where rounding decides, the next number is as good.
    torch.testing.assert_close(quantised, expected, atol=1.0, rtol=0)
    assert float((quantised == expected).float().mean()) > 0.98


@pytest.mark.usefixtures("small")
def test_the_slow_pathway_sees_every_fourth_frame_or_so() -> None:
    module, _ = made("slowfast_r50")._loaded()
    assert module.get_buffer("slow").tolist() == [0, 4, 8, 13, 17, 22, 26, 31]


def test_slowfast_without_its_head_is_pytorchvideo_s() -> None:
    """The published file's names fit; its head is all that is left out."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        from pytorchvideo.models.hub.slowfast import slowfast_r50
    theirs = slowfast_r50(pretrained=False).state_dict()
    module = made("slowfast_r50")._build()

    ours = {k: v.shape for k, v in module.state_dict().items()}
    assert ours == {k: v.shape for k, v in theirs.items() if k in ours}
    assert {k for k in theirs if k not in ours} == {
        "blocks.6.proj.weight",
        "blocks.6.proj.bias",
    }
