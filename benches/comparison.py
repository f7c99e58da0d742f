# SPDX-License-Identifier: BSD-3-Clause
"""Two results of 10,000 cells compared: under 5 s and under 500 MB.

python -m benches.comparison [--format json]
"""

import argparse
import itertools
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

CELLS = 10_000
REPEATS = 5
MOST_SECONDS, MOST_MEGABYTES = 5.0, 500.0
AXES = (
    ("ntb_hw_epf-v4", "pci-epf-vntb-v4", "ntb_hw_epf-legacy", "pci-epf-vntb-legacy", "generic"),
    ("fallback", "per-vector"),
    tuple(range(1, 11)),
    tuple(range(1, 11)),
    tuple(range(1, 11)),
)
COUNTS = ("scan_iterations", "schedule_calls", "wakeups", "spurious_wakeups")


def result(seed: int) -> dict[str, Any]:
    """Return a sweep result as `ntbbench sweep` writes it, timings drawn at random."""
    rng = np.random.default_rng(seed)
    points = [point(rng, *axes) for axes in itertools.product(*AXES)]
    assert len(points) == CELLS
    environment = {"cpu": {"model": "Example"}, "compiler": "gcc"}
    return {"schema": "ntbbench.sweep/1", "environment": environment, "scenario": {}} | {
        "complete": True,
        "points": points,
        "warnings": [],
    }


def point(
    rng: np.random.Generator,
    hardware: str,
    dispatch: str,
    queues: int,
    doorbells: int,
    vectors: int,
) -> dict[str, Any]:
    """Return one cell."""
    samples = rng.normal(10.0 + queues, 0.05, REPEATS).tolist()
    per_qp = ("qp_schedule_calls", "qp_wakeups", "qp_spurious_wakeups", "qp_useful_wakeups")
    per_vector = ("vector_interrupts", "vector_schedule_calls", "vector_wakeups")
    return {
        "hardware": hardware,
        "dispatch": dispatch,
        "queues_requested": queues,
        "queues": queues,
        "qp_count": doorbells,
        "doorbells": doorbells,
        "vectors": vectors,
        "workload": "round-robin",
        "drain": 1,
        "seed": 1,
        "mw_count": 4,
        "max_num_clients": 0,
        "status": "ok",
        "interrupts": 100_000,
        "rings": 100_000,
        "merged": 0,
        "useful_wakeups": 100_000,
        "race_check_runs": 100_000,
        "missed": 0,
        "misrouted": 0,
        "amplification": float(queues),
        "effective_amplification": float(queues),
        "expected_amplification": float(queues),
        "spurious_ratio": 0.0,
        **dict.fromkeys(COUNTS, 100000 * queues),
        **{name: [100_000] * queues for name in per_qp},
        **{name: [100_000] * vectors for name in per_vector},
        "ns_per_dispatch": {
            "median": samples[0],
            "low": min(samples),
            "high": max(samples),
            "samples": samples,
        },
    }


def main() -> int:
    """Compare, print both numbers, and return 1 if one is too large."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--format", default="json")
    chosen = parser.parse_args().format
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for seed in (1, 2):
            file = Path(folder) / f"{seed}.json"
            file.write_text(json.dumps(result(seed)), encoding="utf-8")
            files.append(str(file))
        command = [sys.executable, "-m", "ntbbench.cli.main", "gate", *files, "--format", chosen]
        start = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        seconds = time.perf_counter() - start
    megabytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000
    print(
        f"{CELLS} cells: {seconds:.2f} s of {MOST_SECONDS}, {megabytes:.0f} MB of {MOST_MEGABYTES}"
    )
    return int(seconds > MOST_SECONDS or megabytes > MOST_MEGABYTES)


if __name__ == "__main__":
    sys.exit(main())
