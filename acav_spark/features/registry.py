"""Names of extractors, and how to make one."""

from __future__ import annotations

import difflib
import importlib
import re
from typing import TYPE_CHECKING

from acav_spark.errors import AcavError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from acav_spark.features.extractor import Extractor

__all__ = ["create_extractor", "extractor_class", "known_extractors"]

# Imported when asked for, so that naming one network does not load all of them.
_EXTRACTORS = {
    "handcrafted_audio": "acav_spark.features.handcrafted_audio:HandcraftedAudio",
    "handcrafted_visual": "acav_spark.features.handcrafted_visual:HandcraftedVisual",
    "i3d_rgb": "acav_spark.features.networks.i3d:I3DRGB",
    "mobilenet_v2": "acav_spark.features.networks.images:MobileNetV2",
    "mobilenet_v2_tf": (
        "acav_spark.features.networks.mobilenet_tf:MobileNetV2TensorFlow"
    ),
    "resnet50": "acav_spark.features.networks.images:ResNet50",
    "slowfast_r50": "acav_spark.features.networks.slowfast:SlowFastR50",
    "vggish": "acav_spark.features.networks.vggish:VGGish",
    "yamnet": "acav_spark.features.networks.yamnet:YAMNet",
}

_ATTRIBUTES: dict[str, tuple[type, ...]] = {
    "name": (str,),
    "modality": (str,),
    "version": (str,),
    "dimensions": (tuple,),
    "video_sampling": (object,),
    "audio_sampling": (object,),
    "wants_gpu": (bool,),
}


def known_extractors() -> list[str]:
    """Return the registered names in alphabetical order."""
    return sorted(_EXTRACTORS)


def create_extractor(
    name: str, options: Mapping[str, object] | None = None
) -> Extractor:
    """Return a new extractor.

    Parameters
    ----------
    name : str
        A registered name, or ``package.module:Class`` of your own.
    options : mapping of str to object, optional
        Keyword arguments of its class.

    Raises
    ------
    ConfigError
        If the name is unknown, the module or class cannot be loaded, the options
        do not fit, or what it makes is not an extractor.

    Examples
    --------
    >>> create_extractor("handcrafted_audio").modality
    'audio'
    """
    factory = extractor_class(name)
    target = _EXTRACTORS.get(name, name)
    try:
        extractor: object = factory(**dict(options or {}))
    except AcavError:
        raise
    except (TypeError, ValueError) as error:
        msg = (
            f"extractor {name!r}: expected options that {target} takes, got "
            f"{dict(options or {})}: {error}."
        )
        raise ConfigError(msg) from error
    problems = _misfits(extractor)
    if problems:
        msg = (
            f"extractor {name!r}: expected {target} to fit "
            "acav_spark.features.extractor.Extractor, got one with "
            f"{'; '.join(problems)}."
        )
        raise ConfigError(msg)
    return extractor  # type: ignore[return-value]  # checked by _misfits


def extractor_class(name: str) -> type:
    """Return the class of a registered name, or ``package.module:Class``, unmade.

    Its ``modality``, ``dimensions`` and ``wants_gpu`` need no weights where they are
    attributes of the class, as those of the package's extractors are.

    Raises
    ------
    ConfigError
        If the name is unknown, or the module or class cannot be loaded.
    """
    target = _EXTRACTORS.get(name, name)
    if not re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", target):
        raise ConfigError(_unknown_name(name))
    return _load(name, target)


def _unknown_name(name: str) -> str:
    """Return the message for a name that is not registered."""
    near = difflib.get_close_matches(name, _EXTRACTORS, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return (
        f"extractor: expected one of {known_extractors()} or 'package.module:Class', "
        f"got {name!r}.{hint}"
    )


def _load(name: str, target: str) -> type:
    """Return the class that ``module:Class`` names."""
    module_name, _, class_name = target.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        msg = (
            f"extractor {name!r}: expected a module {module_name!r} that can be "
            f"imported, got: {error}. Install it, or correct the name."
        )
        raise ConfigError(msg) from error
    found = getattr(module, class_name, None)
    if not isinstance(found, type):
        msg = (
            f"extractor {name!r}: expected a class {class_name!r} in {module_name}, "
            f"got {'nothing of that name' if found is None else type(found).__name__}."
        )
        raise ConfigError(msg)
    return found


def _misfits(extractor: object) -> list[str]:
    """Return what an object lacks to be an extractor, in words."""
    problems = []
    for attribute, kinds in _ATTRIBUTES.items():
        if not hasattr(extractor, attribute):
            problems.append(f"no attribute {attribute!r}")
        elif not isinstance(getattr(extractor, attribute), kinds):
            found = type(getattr(extractor, attribute)).__name__
            problems.append(f"{attribute!r} of type {found}, not {kinds[0].__name__}")
    if not callable(getattr(extractor, "extract", None)):
        problems.append("no method 'extract'")
    dimensions = getattr(extractor, "dimensions", None)
    if isinstance(dimensions, tuple) and not (
        dimensions and all(isinstance(x, int) and x > 0 for x in dimensions)
    ):
        problems.append(f"'dimensions' {dimensions}, not positive whole numbers")
    return problems
