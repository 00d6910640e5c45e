"""What scikit-learn asks of an estimator, without needing scikit-learn."""

from __future__ import annotations

import inspect
import sys
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


class Estimator:
    """Parameters by name, a representation, and tags.

    Parameters are those of the subclass's ``__init__``, kept under their names.
    """

    def get_params(self, deep: bool = True) -> dict[str, object]:  # noqa: FBT001  # scikit-learn's signature
        """Return the parameters by name; ``deep`` changes nothing."""
        del deep
        names = inspect.signature(type(self).__init__).parameters
        return {name: getattr(self, name) for name in names if name != "self"}

    def set_params(self, **parameters: object) -> Self:
        """Set parameters by name.

        Raises
        ------
        ValueError
            If there is no parameter of a name.
        """
        known = self.get_params()
        for name, value in parameters.items():
            if name not in known:
                msg = f"{name}: expected one of the parameters {list(known)}."
                raise ValueError(msg)
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        defaults = inspect.signature(type(self).__init__).parameters
        shown = [
            f"{name}={value!r}"
            for name, value in self.get_params().items()
            if isinstance(value, np.ndarray) or value != defaults[name].default
        ]
        return f"{type(self).__name__}({', '.join(shown)})"

    def __sklearn_is_fitted__(self) -> bool:
        """Say whether it is fitted, to scikit-learn."""
        return hasattr(self, "codebook_")

    def __sklearn_tags__(self) -> object:
        """Say what it is, to scikit-learn, which alone calls this."""
        from sklearn.utils import InputTags, Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type="clusterer",
            target_tags=TargetTags(required=False),
            transformer_tags=TransformerTags(preserves_dtype=[]),
            classifier_tags=None,
            regressor_tags=None,
            input_tags=InputTags(),
        )


class Clusterer(Estimator, ABC):
    """An estimator with labels and distances."""

    labels_: NDArray[np.int32]

    @abstractmethod
    def fit(self, x: ArrayLike, y: object = None) -> Self:
        """Fit to samples."""

    @abstractmethod
    def transform(self, x: ArrayLike) -> NDArray[np.float32]:
        """Return the distances of vectors to all centres."""

    def fit_predict(self, x: ArrayLike, y: object = None) -> NDArray[np.int32]:
        """Fit, and return the cluster of each sample."""
        return self.fit(x, y).labels_

    def fit_transform(self, x: ArrayLike, y: object = None) -> NDArray[np.float32]:
        """Fit, and return the distances of the samples to all centres."""
        return self.fit(x, y).transform(x)


def not_fitted(estimator: Estimator) -> ValueError:
    """Return the error, in scikit-learn's own class where that is in use."""
    name = type(estimator).__name__
    known = sys.modules.get("sklearn.exceptions")
    kind: type[ValueError] = ValueError if known is None else known.NotFittedError
    return kind(f"{name}: expected a fitted estimator. Call fit first.")
