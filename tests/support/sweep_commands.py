# SPDX-License-Identifier: BSD-3-Clause
"""Short sweeps from the command line that several test modules run."""

import json
from pathlib import Path

from ntbbench.core.result_file import load_as
from ntbbench.dispatch.records import SWEEP_SCHEMA, SweepResult

QUICK = ["sweep", "--interrupts", "300", "--repeats", "0"]
SMALL = [*QUICK, "--hardware", "generic", "--queues", "1,2,9", "--doorbells", "8"]


def points(path: str) -> list[dict]:
    found: list[dict] = json.loads(Path(path).read_text())["points"]
    return found


def load_result(path: Path) -> SweepResult:
    return load_as(path, SWEEP_SCHEMA, SweepResult)


SCENARIO = """\
hardware = ["generic", "board"]
queues = "1-3"
doorbells = [8]
dispatch = ["per-vector"]
workload = "uniform"
interrupts = 200
seed = 3
repeats = 0
drain = 2

[device.board]
doorbells = 6
vectors = 2
"""
