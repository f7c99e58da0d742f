# SPDX-License-Identifier: BSD-3-Clause
"""Instructions a dispatch of the compiled kernels: exact companions to the timings.

    python -m benches.instructions -o instructions.json

Counted by `perf stat` where the machine has counters, else by `valgrind --tool=callgrind`. Each
kernel runs a stream REPEATS and MORE times in fresh processes; the difference of the two counts
holds neither the interpreter's start nor the imports. What is left over is the call itself, some
hundred instructions a batch of 10,000 interrupts. The file is what pytest-benchmark would write,
with the counts in `extra_info`, so `ntbbench gate` reads them as exact metrics.
"""

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ntbbench import engine

REPEATS, MORE = 20, 120
INTERRUPTS = 10_000
QUEUES = (4, 64)
KERNELS = ("scan", "bitset", "histogram")
Counter = Callable[[Sequence[str]], int]


def work(kernel: str, queues: int, repeats: int) -> None:
    """Run one kernel on a round-robin stream of `queues` doorbells, all on one vector."""
    bits = np.arange(INTERRUPTS, dtype=np.uint64) % np.uint64(queues)
    rung = np.left_shift(np.uint64(1), bits)
    every = (1 << queues) - 1
    prepared = engine.prepare(
        kernel,
        np.zeros(INTERRUPTS, dtype=np.uint8),
        rung,
        np.array([every], dtype=np.uint64),
        qp_bitmap=every,
        active=every,
    )
    for _ in range(repeats):
        prepared.run()


def perf(command: Sequence[str]) -> int:
    """Return the user-space instructions of a command by the machine's counters."""
    done = subprocess.run(
        ["perf", "stat", "-x", ",", "-e", "instructions:u", *command],
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.search(r"^(\d+),,instructions", done.stderr, re.MULTILINE)
    if found is None:
        raise RuntimeError("perf counts no instructions on this machine")
    return int(found[1])


def callgrind(command: Sequence[str]) -> int:
    """Return the instructions of a command as valgrind executes them."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "callgrind.out"
        options = ["--tool=callgrind", f"--callgrind-out-file={out}"]
        subprocess.run(["valgrind", *options, *command], capture_output=True, check=True)
        found = re.search(r"^(?:summary|totals): (\d+)", out.read_text(), re.MULTILINE)
    if found is None:
        raise RuntimeError("callgrind wrote no summary")
    return int(found[1])


def counter() -> tuple[str, Counter]:
    """Return the name and the function of the counter that works here.

    Raises
    ------
    SystemExit
        if there is none.
    """
    if shutil.which("perf"):
        try:
            perf([sys.executable, "-c", ""])
            return "perf stat", perf
        except (RuntimeError, subprocess.CalledProcessError):
            pass  # no counters in this (virtual) machine, or not for this user
    if shutil.which("valgrind"):
        return "callgrind", callgrind
    raise SystemExit("neither perf's counters nor valgrind are here")


def per_dispatch(count: Counter, kernel: str, queues: int) -> float:
    """Return the instructions a dispatched interrupt."""
    totals = []
    for repeats in (REPEATS, MORE):
        job = ["--work", kernel, str(queues), str(repeats)]
        totals.append(count([sys.executable, "-m", "benches.instructions", *job]))
    return (totals[1] - totals[0]) / ((MORE - REPEATS) * INTERRUPTS)


def main() -> None:
    """Count, and write what the gate reads."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=Path("instructions.json"))
    parser.add_argument("--queues", type=int, nargs="*", default=list(QUEUES))
    parser.add_argument("--work", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        work(args.work[0], int(args.work[1]), int(args.work[2]))
        return
    # Hash seeds and the environment's size move a few instructions in the interpreter.
    os.environ.update(PYTHONHASHSEED="0", PYTHONDONTWRITEBYTECODE="1", OMP_NUM_THREADS="1")
    name, count = counter()
    benchmarks = []
    for kernel in KERNELS:
        for queues in args.queues:
            # A tenth is far above what the interpreter adds and far below one instruction.
            value = round(per_dispatch(count, kernel, queues), 1)
            print(f"{kernel:>10} {queues:>3} queues: {value:8.1f} instructions a dispatch")
            label = f"instructions[{kernel}-{queues}]"
            extra = {"instructions_per_dispatch": value}
            benchmarks.append({"name": label, "extra_info": extra, "stats": {"data": []}})
    machine = {"machine": platform.machine(), "python_compiler": platform.python_compiler()}
    record = {"machine_info": machine | {"counter": name}, "benchmarks": benchmarks}
    args.output.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
