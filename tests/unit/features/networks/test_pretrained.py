"""Networks with the weights that somebody trained, on real clips."""

from __future__ import annotations

import csv
import os
import warnings
from importlib import util
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from acav_spark.features.networks.convolutions import litert_tensors
from acav_spark.features.networks.i3d import I3DRGB
from acav_spark.features.networks.images import MobileNetV2, ResNet50
from acav_spark.features.networks.log_mel import examples
from acav_spark.features.networks.mobilenet_tf import MobileNetV2TensorFlow
from acav_spark.features.networks.tensors import fit_tensors, read_tensors
from acav_spark.features.networks.tflite import weighted_operations
from acav_spark.features.networks.vggish import VGGish
from acav_spark.features.networks.weights import cache_folder, sha256_of
from acav_spark.features.networks.yamnet import YAMNet, yamnet_module
from acav_spark.media.decode import decode_clip
from acav_spark.media.types import AudioSampling, DecodedClip

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from acav_spark.features.networks.base import Network
    from acav_spark.features.networks.options import Published

RATE_HZ = 16_000
EXAMPLE = 15_600


def file_of(data_dir: Path, name: str) -> Path:
    path = data_dir / name
    if not path.is_file():
        pytest.skip(f"no such test data: {path}")
    return path


@pytest.fixture(scope="module")
def yamnet_file(data_dir: Path) -> Path:
    return file_of(data_dir, "weights/yamnet_waveform_int8dyn.tflite")


@pytest.fixture(scope="module")
def yamnet(yamnet_file: Path) -> YAMNet:
    return YAMNet(weights=str(yamnet_file), sha256=sha256_of(yamnet_file), device="cpu")


@pytest.fixture(scope="module")
def i3d_file(data_dir: Path) -> Path:
    return file_of(data_dir, "weights/i3d_rgb_kinetics400_fp16.npz")


def fetched(published: Published) -> Path:
    """Return published weights that somebody fetched before: tests fetch nothing."""
    path = cache_folder() / published.sha256
    if not path.is_file():
        pytest.skip(f"{published.url} was not fetched to {path}")
    return path


def i3d(path: Path, **options: Any) -> I3DRGB:  # noqa: ANN401 - options of a network
    return I3DRGB(weights=str(path), sha256=sha256_of(path), device="cpu", **options)


def decoded(network: Network, path: Path, start_s: float, end_s: float) -> DecodedClip:
    video, audio = network.video_sampling, network.audio_sampling
    streams = decode_clip(
        path,
        start_s,
        end_s,
        video=[video] if video else [],
        audio=[audio] if audio else [],
        max_pixels=2**24,
    )
    return DecodedClip(
        path.stem,
        frames=streams.frames[0][0] if video else None,
        waveform=streams.waveforms[0] if audio else None,
        sample_rate_hz=RATE_HZ if audio else None,
    )


def heard(waveform: NDArray[np.float32]) -> DecodedClip:
    return DecodedClip("a", waveform=waveform, sample_rate_hz=RATE_HZ)


def logistic(x: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-x.astype(np.float64))))


def cosine(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


@pytest.mark.parametrize(
    ("clip", "wanted"),
    [
        ("video_01951", "Crying, sobbing"),
        ("video_02754", "Dog"),
        ("video_02480", "Drum kit"),
        ("video_02997", "Fireworks"),
        ("difffoley_car", "Car"),
        ("difffoley_drum", "Drum"),
        ("obama_speech", "Speech"),
        ("-BAKe6QGTUk_000030", "Mallet percussion"),
        ("0nib7bMm8BA_15000_25000", "Bird"),
    ],
)
def test_yamnet_hears_what_is_in_a_clip(
    yamnet: YAMNet, yamnet_file: Path, data_dir: Path, clip: str, wanted: str
) -> None:
    """The named class is among the first three of 521; the others are wider ones."""
    path = file_of(data_dir, f"videos/{clip}.mp4")
    with file_of(data_dir, "weights/yamnet_class_map.csv").open() as file:
        names = [row["display_name"] for row in csv.DictReader(file)]
    classes = weighted_operations(yamnet_file.read_bytes())[-1]

    embedding = yamnet.extract([decoded(yamnet, path, 0, 8)])[0][4]

    scores = embedding @ classes.kernel.T + classes.bias
    assert wanted in [names[i] for i in np.argsort(-scores)[:3]]


@pytest.fixture(scope="module")
def pieces(data_dir: Path) -> list[NDArray[np.float32]]:
    """Examples of five sounds."""
    result = []
    for name in ("01951", "02754", "02480", "02997", "00331"):
        path = file_of(data_dir, f"videos/video_{name}.mp4")
        sampling = [AudioSampling(sample_rate_hz=RATE_HZ)]
        streams = decode_clip(path, 1, 3, audio=sampling, max_pixels=2**24)
        result.append(streams.waveforms[0][:EXAMPLE])
    return result


def test_yamnet_is_what_the_interpreter_runs(
    yamnet: YAMNet, yamnet_file: Path, pieces: list[NDArray[np.float32]]
) -> None:
    """Convolutions agree to what the interpreter rounds on its way; so do scores.

    It quantises to eight bits what goes into each product, torch does not: also the
    windows that go into its Fourier transform, so that it hears no quiet bands. The
    convolutions are therefore compared on the log-mel that it found.
    """
    from ai_edge_litert.interpreter import Interpreter

    with warnings.catch_warnings():
        # Without it the embedding's place is used again; it warns of the memory.
        warnings.simplefilter("ignore", UserWarning)
        interpreter = Interpreter(
            str(yamnet_file), experimental_preserve_all_tensors=True
        )
    interpreter.allocate_tensors()
    (given,) = interpreter.get_input_details()
    scores, mel = interpreter.get_output_details()
    classes = weighted_operations(yamnet_file.read_bytes())[-1]
    convolutions = yamnet_module().eval()
    fit_tensors(convolutions, litert_tensors(yamnet_file, name="yamnet"), name="yamnet")
    convolutions.log_mel = torch.nn.Identity()
    for piece in pieces:
        interpreter.set_tensor(given["index"], piece.reshape(given["shape"]))
        interpreter.invoke()
        log_mel = interpreter.get_tensor(mel["index"])

        with torch.inference_mode():
            on_the_same = convolutions(torch.from_numpy(log_mel)[None, None])[4][0]
        embedding = yamnet.extract([heard(piece)])[0][4]

        expected = interpreter.get_tensor(121).ravel()
        assert cosine(on_the_same.numpy(), expected) > 0.999
        assert cosine(embedding, expected) > 0.98
        ours = logistic(embedding @ classes.kernel.T + classes.bias)
        theirs = interpreter.get_tensor(scores["index"]).ravel()
        assert int(ours.argmax()) == int(theirs.argmax())
        assert np.corrcoef(ours, theirs)[0, 1] > 0.999


@pytest.mark.parametrize("clip", ["video_02480", "difffoley_car"])
def test_mobilenet_of_tensorflow_is_what_the_interpreter_runs(
    data_dir: Path, clip: str
) -> None:
    """Probabilities agree to what the interpreter rounds, which computes in 8 bits."""
    from ai_edge_litert.interpreter import Interpreter

    weights = file_of(data_dir, "weights/coral_tf2_mobilenet_v2_1.0_224_ptq.tflite")
    network = MobileNetV2TensorFlow(
        weights=str(weights), sha256=sha256_of(weights), n_frames=1, device="cpu"
    )
    one = decoded(network, file_of(data_dir, f"videos/{clip}.mp4"), 0, 8)
    classifier = weighted_operations(weights.read_bytes())[-1]
    interpreter = Interpreter(str(weights))
    interpreter.allocate_tensors()
    (given,) = interpreter.get_input_details()
    (output,) = interpreter.get_output_details()
    scale, zero = output["quantization"]
    interpreter.set_tensor(given["index"], network._views(one)[0][None])
    interpreter.invoke()

    feature = network.extract([one])[0][4]

    logits = classifier.kernel[:, 0, 0] @ feature + classifier.bias
    ours = np.exp(logits - logits.max())
    ours /= ours.sum()
    theirs = (interpreter.get_tensor(output["index"])[0].astype(float) - zero) * scale
    assert np.corrcoef(ours, theirs)[0, 1] > 0.99
    assert np.abs(ours - theirs).max() < 0.1
    assert theirs.argmax() in np.argsort(-ours)[:2]


@pytest.mark.parametrize(
    ("clip", "wanted"),
    [
        ("zkXOcxGnUhs_000025_000035", "bungee jumping"),
        ("dAeUFSdYG1I_000010_000020", "bungee jumping"),
        ("ehLnj7pXnYE_000027_000037", "arm wrestling"),
    ],
)
def test_i3d_knows_what_is_done_in_clips_that_it_was_not_trained_on(
    i3d_file: Path, data_dir: Path, clip: str, wanted: str
) -> None:
    path = file_of(data_dir, f"videos/{clip}.mp4")
    with file_of(data_dir, "metadata/kinetics-400_val.csv").open() as file:
        labels = sorted({row["label"] for row in csv.DictReader(file)})
    assert len(labels) == 400
    # Half of the default's frames, in half of its time.
    network = i3d(i3d_file, n_frames=32)

    feature = network.extract([decoded(network, path, 0, 10)])[0][4]

    with np.load(i3d_file) as arrays:
        logits = "params|Logits/Conv3d_0c_1x1|Conv_0"
        kernel = arrays[f"{logits}|kernel"].reshape(1024, 400).astype(np.float32)
        scores = feature @ kernel + arrays[f"{logits}|bias"]
    assert labels[int(scores.argmax())] == wanted


def test_i3d_is_the_reference_s(i3d_file: Path, data_dir: Path) -> None:
    """The loader beside the weights is another program, by another hand."""
    loader = file_of(data_dir, "weights/i3d_torch_reference_loader.py")
    spec = util.spec_from_file_location("i3d_reference", loader)
    assert spec is not None
    assert spec.loader is not None
    reference = util.module_from_spec(spec)
    spec.loader.exec_module(reference)
    nested: dict[str, Any] = {}
    with np.load(i3d_file) as arrays:
        for key in arrays:
            *outer, name = key.split("|")
            inner = nested
            for part in outer:
                inner = inner.setdefault(part, {})
            inner[name] = arrays[key]
    rng = np.random.default_rng(3)
    # Three times at the last stage, of which its pooling weighs the middle double.
    frames = rng.integers(0, 256, (24, 256, 300, 3), dtype=np.uint8)
    seen = torch.from_numpy(frames[:, 16:240, 38:262]).permute(3, 0, 1, 2)[None]

    layers = i3d(i3d_file, n_frames=24).extract([DecodedClip("a", frames=frames)])[0]

    with torch.inference_mode():
        _, ends = reference.i3d(nested, seen.float() / 127.5 - 1)
    names = ("Conv3d_1a_7x7", "Conv3d_2c_3x3", "Mixed_3c", "Mixed_4f", "avg")
    for layer, name in zip(layers, names, strict=True):
        expected = ends[name].mean(dim=(2, 3, 4))[0].numpy()
        np.testing.assert_allclose(layer, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("clip", "wanted"),
    [
        ("video_02480", "drum"),
        ("difffoley_drum", "drum"),
        ("-BAKe6QGTUk_000030", "marimba"),
        ("video_02754", "Pembroke"),
        ("cockatoo", "sulphur-crested cockatoo"),
        ("difffoley_car", "minivan"),
    ],
)
@pytest.mark.parametrize("kind", [MobileNetV2, ResNet50])
def test_networks_of_imagenet_see_what_is_in_a_clip(
    kind: type[MobileNetV2 | ResNet50], data_dir: Path, clip: str, wanted: str
) -> None:
    """The named class is among the first three of 1000, with the published weights."""
    weights = fetched(kind.published)
    path = file_of(data_dir, f"videos/{clip}.mp4")
    labels = file_of(data_dir, "weights/coral_imagenet_labels.txt")
    names = labels.read_text().splitlines()[1:]  # the first one is the background
    network = kind(device="cpu")
    tensors = read_tensors(weights)
    (kernel,) = (t for t in tensors.values() if t.ndim == 2)
    (bias,) = (t for t in tensors.values() if t.shape == (1000,))

    feature = network.extract([decoded(network, path, 0, 8)])[0][4]

    scores = kernel.numpy() @ feature + bias.numpy()
    assert wanted in [names[i].split(",")[0] for i in np.argsort(-scores)[:3]]


def test_vggish_finds_the_golden_embeddings(data_dir: Path) -> None:
    """Embeddings before PCA, by another program, decoder and resampler."""
    fetched(VGGish.published)
    golden = np.load(file_of(data_dir, "golden/bmt_women_long_jump_vggish.npy"))
    path = file_of(data_dir, "videos/women_long_jump.mp4")
    network = VGGish(device="cpu")
    waveform = decoded(network, path, 0, 35.16).waveform
    assert waveform is not None
    pieces = examples(waveform, hop=15_360, keeps_rest=False)
    assert len(pieces) == len(golden)

    found = [layers[4] for layers in network.extract([heard(p) for p in pieces])]

    alike = [cosine(a, b) for a, b in zip(found, golden, strict=True)]
    assert float(np.median(alike)) > 0.99


def resemblance(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how alike each two stacks are, whatever the order of channels."""
    centred = features - features.mean(axis=0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    return np.asarray((centred @ centred.T)[np.triu_indices(len(features), 1)])


@pytest.mark.slow
def test_i3d_sees_the_golden_clip_as_the_golden_network_did(
    i3d_file: Path, data_dir: Path
) -> None:
    """The golden features come from other weights of the same architecture.

    Channels do not match (another training has others), so cosines say nothing. Which
    stacks of 64 frames are alike does: it matches when stacks are in their order, and
    for none of 500 other orders.
    """
    golden = np.load(file_of(data_dir, "golden/bmt_women_long_jump_rgb.npy"))
    path = file_of(data_dir, "videos/women_long_jump.mp4")
    network = i3d(i3d_file, frames_per_s=25.0)
    frames = decoded(network, path, 0, 35.16).frames
    assert frames is not None
    starts = [*range(0, len(frames) - 64, 64), len(frames) - 64]
    assert len(starts) == len(golden)
    stacks = [DecodedClip("a", frames=frames[first : first + 64]) for first in starts]

    features = np.array([layers[4] for layers in network.extract(stacks)])

    assert 0.1 < cosine(features[3], golden[3]) < 0.7  # other weights
    ours = resemblance(features)
    agreement = float(np.corrcoef(ours, resemblance(golden))[0, 1])
    rng = np.random.default_rng(5)
    others = [
        float(np.corrcoef(ours, resemblance(golden[rng.permutation(14)]))[0, 1])
        for _ in range(500)
    ]
    assert agreement > 0.85
    assert max(others) < 0.7


@pytest.mark.gpu
def test_a_gpu_finds_the_same_to_half_precision(
    yamnet: YAMNet, yamnet_file: Path, pieces: list[NDArray[np.float32]]
) -> None:
    if not torch.cuda.is_available():
        if os.environ.get("ACAV_REQUIRE_GPU") == "1":
            pytest.fail("ACAV_REQUIRE_GPU=1, and torch sees no GPU")
        pytest.skip("torch sees no GPU")
    fast = YAMNet(
        weights=str(yamnet_file), sha256=sha256_of(yamnet_file), device="cuda"
    )
    clips = [heard(piece) for piece in pieces]
    expected, found = yamnet.extract(clips), fast.extract(clips)
    for one, other in zip(expected, found, strict=True):
        for a, b in zip(one, other, strict=True):
            assert cosine(a, b) > 0.999
    alone = fast.extract(clips[2:3])[0]
    assert all((a == b).all() for a, b in zip(alone, found[2], strict=True))
