# SPDX-License-Identifier: BSD-3-Clause
"""Worker processes keep the memory that they freed, and nobody else is told to."""

import os
import subprocess
import sys

import pytest

from ntbbench.datapath.grid.backends import KEEP_MEMORY

NAME = "MALLOC_TRIM_THRESHOLD_"
ASK = f"""
import os
from ntbbench.datapath.grid.backends import local
with local(2, 2) as place:
    print(place.executor.submit(os.getenv, "{NAME}").result())
print(os.getenv("{NAME}"))
"""


@pytest.mark.parametrize(
    ("own", "worker", "parent"), [(None, KEEP_MEMORY[NAME], "None"), ("1000", "1000", "1000")]
)
def test_a_worker_keeps_memory_unless_the_user_says_how_much(
    own: str | None, worker: str, parent: str
) -> None:
    environment = {name: value for name, value in os.environ.items() if name != NAME}
    environment |= {} if own is None else {NAME: own}
    told = subprocess.check_output([sys.executable, "-c", ASK], env=environment, text=True)
    assert told.split() == [worker, parent]
