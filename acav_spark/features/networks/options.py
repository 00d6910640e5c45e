"""Options that all networks take, and the version that follows from them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from acav_spark.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

Init = Literal["pretrained", "random"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]

PLACEMENT_OPTIONS: Final = (
    "weights",
    "device",
    "compile",
    "cache_dir",
    "allow_private_addresses",
)
"""Options that say where and how fast, never what: the version covers the rest."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_DEVICE = re.compile(r"auto|cpu|cuda(:\d{1,3})?")
_N_HASH_DIGITS = 16


@dataclass(frozen=True)
class Published:
    """Weights that somebody else publishes.

    Parameters
    ----------
    url : str
        Where; empty where there is no stable address.
    sha256 : str
        Of that file; empty if it is not known.
    licence : str
        What the publisher says about their use.
    """

    url: str
    sha256: str
    licence: str


@dataclass(frozen=True, kw_only=True)
class NetworkOptions:
    """What a network is asked for; plain values, checked without torch.

    Parameters
    ----------
    weights : str, default ""
        Path on every worker, or a URL; empty for the published ones.
    sha256 : str, default ""
        Of the file; needed with ``weights``, known for most published ones.
    init : {"pretrained", "random"}, default "pretrained"
        Random weights are for tests: seeded, and marked in every row.
    seed : int, default 0
        Of random weights.
    device : str, default "auto"
        ``cpu``, ``cuda``, ``cuda:N``; auto is the task's GPU, else any GPU, else CPU.
    precision : {"auto", "fp32", "bf16", "fp16"}, default "auto"
        Of the arithmetic; auto is fp32 on a CPU, and on a GPU bf16, fp16 on old ones.
    compile : bool, default False
        Whether ``torch.compile`` is used; it takes a minute in every worker.
    cache_dir : str, default ""
        Where fetched weights are kept (``acav_spark.features.networks.weights``).
    allow_private_addresses : bool, default False
        Whether weights may come from a host of one's own network.

    Raises
    ------
    ConfigError
        For a value that is none of these.
    """

    weights: str = ""
    sha256: str = ""
    init: Init = "pretrained"
    seed: int = 0
    device: str = "auto"
    precision: Precision = "auto"
    compile: bool = False
    cache_dir: str = ""
    allow_private_addresses: bool = False

    def __post_init__(self) -> None:
        """Refuse values that no network takes."""
        for name in ("weights", "sha256", "device", "cache_dir"):
            _require(name, getattr(self, name), "text", is_met=_is_text)
        _require("init", self.init, _one_of(Init), is_met=get_args(Init).__contains__)
        _require(
            "precision",
            self.precision,
            _one_of(Precision),
            is_met=get_args(Precision).__contains__,
        )
        _require(
            "seed", self.seed, "a whole number from 0 to 2^63 - 1", is_met=_is_seed
        )
        for name in ("compile", "allow_private_addresses"):
            _require(name, getattr(self, name), "true or false", is_met=_is_bool)
        _require(
            "device",
            self.device,
            "auto, cpu, cuda or cuda:N",
            is_met=lambda text: _DEVICE.fullmatch(text) is not None,
        )
        if self.sha256:
            _require(
                "sha256",
                self.sha256,
                "64 hexadecimal digits, lower case",
                is_met=lambda text: _SHA256.fullmatch(text) is not None,
            )
        if self.init == "random" and (self.weights or self.sha256):
            msg = (
                "init: expected pretrained where weights or sha256 are given, got "
                "random. Leave them out for random weights."
            )
            raise ConfigError(msg)


@dataclass(frozen=True)
class Weights:
    """Which weights a network has; what its version says of them.

    Parameters
    ----------
    place : str
        Path or URL; empty for random ones.
    sha256 : str
        Of the file; empty for random ones.
    seed : int or None
        Of random ones.
    """

    place: str
    sha256: str
    seed: int | None = None

    @property
    def version(self) -> str:
        """``sha256:`` and 16 digits, or ``random:`` and the seed."""
        if self.seed is not None:
            return f"random:{self.seed}"
        return f"sha256:{self.sha256[:_N_HASH_DIGITS]}"


def chosen_weights(name: str, options: NetworkOptions, published: Published) -> Weights:
    """Return the weights that options and publication come to, without reading them.

    Raises
    ------
    ConfigError
        If the place or the hash is not known; the message says where weights are.
    """
    if options.init == "random":
        return Weights("", "", options.seed)
    place = options.weights or published.url
    known = published.sha256 if place == published.url else ""
    sha256 = options.sha256 or known
    if not place:
        msg = (
            f"{name}: weights: expected a path or a URL, got nothing: there is no "
            f"published file to take. {published.licence}"
        )
        raise ConfigError(msg)
    if not sha256:
        msg = (
            f"{name}: sha256: expected the SHA-256 of {place}, got nothing. It goes "
            "into every row's version and is checked before use; to fetch the file and "
            "see it: python -m acav_spark.features.networks.weights PLACE. Without "
            "weights, for tests: init: random."
        )
        raise ConfigError(msg)
    return Weights(place, sha256)


def require_whole(name: str, value: object, *, minimum: int) -> None:
    """Raise ConfigError for what is not a whole number, or below a minimum."""
    rule = f"a whole number, {minimum} or more"
    _require(
        name,
        value,
        rule,
        is_met=lambda x: (
            isinstance(x, int) and not isinstance(x, bool) and x >= minimum
        ),
    )


def _require(
    name: str, value: object, rule: str, *, is_met: Callable[[Any], bool]
) -> None:
    """Raise for a value that does not meet its rule."""
    if not is_met(value):
        msg = f"{name}: expected {rule}, got {value!r}."
        raise ConfigError(msg)


def _one_of(choices: object) -> str:
    return "one of " + ", ".join(get_args(choices))


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)


def _is_seed(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63
