# SPDX-License-Identifier: BSD-3-Clause
"""Instructions per dispatch of the compiled kernels: exact companions to the timings.

    python -m benches.instructions -o instructions.json
    pytest benches/ --benchmark-json=new.json && python -m benches.instructions --into new.json

Counted by `perf stat` where the machine has counters, else by `valgrind --tool=callgrind`
(`--counter` takes one of them). A case runs in fresh processes with many repeats of its stream and
with none; the difference holds neither the interpreter's start nor the imports. callgrind's counts
are those inside the engine's extension modules alone, and repeat to the instruction. perf counts
the whole process: of three counts the smallest is taken, and a tenth of an instruction is as fine
as it repeats. The file is what pytest-benchmark would write, each case under the name of its timing
in test_kernels.py and the count in `extra_info`, so `ntbbench gate` reads it as an exact metric.
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
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from benches.cases import DISPATCHES, DRAINS, make_case
from ntbbench.core.result_file import write_bytes
from ntbbench.dispatch import engine

INTERRUPTS = 10_000
QUEUES = (4, 64)
METRIC = "instructions_per_dispatch"
KERNELS = ("scan", "bitset", "coded")
ENGINE = f"{Path(engine.__file__).parent}/"
Count = Callable[[Sequence[str]], int]


@dataclass(frozen=True)
class Counter:
    """What counts a command, over how many repeats of a stream, and to how many decimals."""

    name: str
    count: Count
    repeats: int
    decimals: int


def work(kernel: str, dispatch: str, drain: int, queues: int, repeats: int) -> None:
    """Run one kernel on the stream of a case."""
    case = make_case(queues, dispatch, drain, INTERRUPTS)
    coded = kernel == "coded"
    prepared = case.prepare("bitset" if coded else kernel, coded=coded)
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


def smallest_of_three(command: Sequence[str]) -> int:
    """Return the smallest of perf's counts: whatever else happens only adds to them."""
    return min(perf(command) for _ in range(3))


def callgrind(command: Sequence[str]) -> int:
    """Return the instructions that a command executes inside the engine's extension modules."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "callgrind.out"
        options = ["--tool=callgrind", f"--callgrind-out-file={out}"]
        subprocess.run(["valgrind", *options, *command], capture_output=True, check=True)
        found = self_cost(out.read_text(), ENGINE)
    if not found:
        raise RuntimeError("callgrind saw no extension module of the engine")
    return found


def self_cost(profile: str, folder: str) -> int:
    """Return the cost of a callgrind profile inside the objects below `folder`, calls left out.

    `ob=(7) /path` names an object once, `ob=(7)` says it again; the line after `calls=` holds what
    the callee cost. See "Callgrind Format Specification" in valgrind's manual.
    """
    objects: dict[str, str] = {}
    total, inside, called = 0, False, False
    for line in profile.splitlines():
        key, _, value = line.partition("=")
        if key in ("ob", "cob"):
            number, _, path = value.partition(" ")
            path = objects.setdefault(number, path)
            inside = path.startswith(folder) if key == "ob" else inside
        elif key == "calls":
            called = True
        elif line[:1].isdigit() or line[:1] in ("+", "-", "*"):
            total += int(line.split()[1]) if inside and not called else 0
            called = False
    return total


def counter(name: str | None) -> Counter:
    """Return the counter of that name, or the first one that works here.

    Raises
    ------
    SystemExit
        if there is none.
    """
    if name != "callgrind" and shutil.which("perf"):
        try:
            perf([sys.executable, "-c", ""])
            return Counter("perf stat", smallest_of_three, 2_000, 1)
        except (RuntimeError, subprocess.CalledProcessError):
            pass  # no counters in this (virtual) machine, or not for this user
    if name != "perf" and shutil.which("valgrind"):
        return Counter("callgrind", callgrind, 10, 4)
    raise SystemExit(f"{name or 'neither perf with counters nor valgrind'} is not here")


def total(count: Count, *job: object) -> int:
    """Return the instructions of one process that does the job."""
    words = [str(word) for word in job]
    return count([sys.executable, "-m", "benches.instructions", "--work", *words])


def per_dispatch(by: Counter, kernel: str, dispatch: str, drain: int, queues: int) -> float:
    """Return the instructions per dispatched interrupt."""
    some, none = (total(by.count, kernel, dispatch, drain, queues, n) for n in (by.repeats, 0))
    return round((some - none) / (by.repeats * INTERRUPTS), by.decimals)


def cases(queues: Sequence[int]) -> Iterator[tuple[str, str, int, int]]:
    """Yield (kernel, dispatch, drain, queues) of every timing of a kernel; see test_kernels.py."""
    yield from product(KERNELS, DISPATCHES, DRAINS, queues)


def main() -> None:
    """Count, and write what the gate reads."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=Path("instructions.json"))
    parser.add_argument(
        "--into",
        type=Path,
        metavar="FILE",
        help="a result of pytest-benchmark to add the counts to",
    )
    parser.add_argument("--queues", type=int, nargs="*", default=list(QUEUES))
    parser.add_argument("--counter", choices=("perf", "callgrind"))
    parser.add_argument("--work", nargs=5, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        kernel, dispatch, *numbers = args.work
        work(kernel, dispatch, *map(int, numbers))
        return
    # Hash seeds and the environment's size move a few instructions in the interpreter.
    os.environ.update(PYTHONHASHSEED="0", PYTHONDONTWRITEBYTECODE="1", OMP_NUM_THREADS="1")
    by = counter(args.counter)
    counts = {}
    for kernel, dispatch, drain, queues in cases(args.queues):
        label = f"test_kernel[{kernel}-{drain}-{dispatch}-{queues}]"
        counts[label] = per_dispatch(by, kernel, dispatch, drain, queues)
        print(f"{label:<40} {counts[label]:10.1f} instructions per dispatch", flush=True)
    record = alone(counts, by) if args.into is None else joined(args.into, counts, by)
    write_bytes(args.into or args.output, json.dumps(record, indent=1).encode() + b"\n")


def alone(counts: Mapping[str, float], by: Counter) -> dict[str, Any]:
    """Return the counts as a result of pytest-benchmark without timings."""
    machine = {"machine": platform.machine(), "python_compiler": platform.python_compiler()}
    benchmarks = [
        {
            "name": label,
            "fullname": f"benches/test_kernels.py::{label}",
            "extra_info": {METRIC: value},
            "stats": {"data": []},
        }
        for label, value in counts.items()
    ]
    return {"machine_info": machine | {"counter": by.name}, "benchmarks": benchmarks}


def joined(path: Path, counts: Mapping[str, float], by: Counter) -> dict[str, Any]:
    """Return a result of pytest-benchmark with each count beside its timing.

    Raises
    ------
    SystemExit
        if a count has no timing there.
    """
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    timings = {benchmark["name"]: benchmark for benchmark in record["benchmarks"]}
    for label, value in counts.items():
        if label not in timings:
            raise SystemExit(f"{path} has no timing of {label}")
        timings[label]["extra_info"][METRIC] = value
    record["machine_info"]["counter"] = by.name
    return record


if __name__ == "__main__":
    main()
