# SPDX-License-Identifier: BSD-3-Clause
"""A sweep of 10,000 cells of 100,000 interrupts, counts only: meant for 30 s on 2 cores and 500 MB.

`pytest benches/test_sweep_scale.py -s` prints the seconds and the peak memory of the command, in a
process of its own. The counts and the memory are asserted; the time depends on the machine.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

from ntbbench.core.result_file import load_as
from ntbbench.dispatch.records import SWEEP_SCHEMA, OkPoint, SweepResult

INTERRUPTS = 100_000
PEAK_MAX = 500.0  # MB; hardly depends on the machine
AXES = {
    "hardware": "generic",
    "dispatch": "fallback,per-vector",
    "queues": "1-25",
    "doorbells": "41-60",
    "vectors": "1-5",
    "interrupts": str(INTERRUPTS),
    "repeats": "0",
    "jobs": "2",
}
WORKLOADS = ("round-robin", "uniform")
CELLS = 2 * 25 * 20 * 5 * len(WORKLOADS)


def test_ten_thousand_cells(tmp_path: Path) -> None:
    output = tmp_path / "sweep.json"
    command = [sys.executable, "-m", "ntbbench.cli.main", "sweep", "-o", str(output)]
    command += [word for key, value in AXES.items() for word in (f"--{key}", value)]
    command += [word for workload in WORKLOADS for word in ("--workload", workload)]
    start = time.perf_counter()
    process = subprocess.Popen([*command, "--format", "csv"], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)  # it is gone: nothing to wait for
    peak = usage.ru_maxrss * 1024 / 1e6
    print(f"\n{CELLS} cells of {INTERRUPTS} interrupts, {AXES['jobs']} threads: "
          f"{seconds:.1f} s, peak {peak:.0f} MB")  # fmt: skip
    assert process.returncode == 0
    assert peak < PEAK_MAX
    points = load_as(output, SWEEP_SCHEMA, SweepResult).points
    assert len(points) == CELLS == 10_000
    for point in points:
        assert isinstance(point, OkPoint)
        assert point.interrupts == point.rings == point.useful_wakeups == INTERRUPTS
        assert point.missed == point.merged == 0
        if point.dispatch == "fallback":
            assert point.schedule_calls == INTERRUPTS * point.queues
        else:
            width = -(-point.doorbells // point.vectors)
            assert INTERRUPTS <= point.schedule_calls <= INTERRUPTS * min(width, point.queues)
