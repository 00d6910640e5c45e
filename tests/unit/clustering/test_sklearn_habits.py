"""The estimator is one in the eyes of scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from acav_spark.clustering import SGDKMeans

# Checks that fail, each with its reason.
_EXCEPTIONS = {
    "check_n_features_in_after_fitting": (
        "asks for scikit-learn's own words; ours say what to do about the length"
    ),
}
# Not run: SciPy's array API is off, which scikit-learn itself skips.
_SKIPPED = {"check_array_api_input"}


@pytest.mark.filterwarnings("ignore")
def test_scikit_learn_s_own_checks_pass() -> None:
    results = check_estimator(SGDKMeans(3, n_epochs=5), on_skip=None, on_fail=None)
    by_status: dict[str, set[str]] = {}
    for result in results:
        by_status.setdefault(result["status"], set()).add(result["check_name"])
    assert by_status["failed"] == set(_EXCEPTIONS)
    assert by_status.get("skipped", set()) <= _SKIPPED
    assert len(by_status["passed"]) >= 40


def test_it_stands_in_a_pipeline_and_is_cloned() -> None:
    x = np.random.default_rng(0).normal(size=(60, 4)) * [1, 5, 20, 1]
    model = SGDKMeans(3, n_epochs=10, seed=4)
    labels = make_pipeline(StandardScaler(), clone(model)).fit_predict(x)
    assert labels.shape == (60,)
    assert repr(model) == "SGDKMeans(n_clusters=3, n_epochs=10, seed=4)"
    assert clone(model).get_params() == model.get_params()
    with pytest.raises(NotFittedError, match="Call fit first"):
        clone(model).predict(x)
    with pytest.raises(ValueError, match="colour: expected one of the parameters"):
        model.set_params(colour="red")
