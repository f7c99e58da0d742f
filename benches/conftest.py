# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures of the kernel benches."""

import pytest

from benches.baseline import Baseline


@pytest.fixture(scope="session")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> Baseline:
    """The C loop, compiled with the flags of the kernels."""
    return Baseline(tmp_path_factory.mktemp("baseline"))
