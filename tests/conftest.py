"""Fixtures of all tests."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

_REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Real clips and data sets; tests that need them skip where they are absent."""
    named = os.environ.get("ACAV_TEST_DATA")
    folder = Path(named) if named else _REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no test data in {folder}; name it by ACAV_TEST_DATA")
    return folder


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator that starts alike in every test."""
    return np.random.default_rng(20211017)
