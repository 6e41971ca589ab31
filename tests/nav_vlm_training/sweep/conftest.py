"""A model, a data set and a finished sweep, made once a session. Nobody writes to them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.nav_vlm_training.sweeps import finished, make_root


@pytest.fixture(scope="session")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """See `sweeps.finished`."""
    return finished(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Model and data set alone."""
    return make_root(tmp_path_factory.mktemp("root"))
