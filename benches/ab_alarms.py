# SPDX-License-Identifier: BSD-3-Clause
"""Whole runs of `ntbbench ab` beside a noisy neighbour: false alarms, and a true 3 % found.

    python -m benches.ab_alarms             # the table of docs/ab.md, some 20 minutes
    python -m benches.ab_alarms --alarms 20 --found 5

The command is a loop in C of some milliseconds. The neighbour keeps one core busy in spells whose
lengths are drawn; it ends with this program, or after an hour.
"""

import argparse
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from tabulate import tabulate

from ntbbench.ab.run import judged
from ntbbench.cli.main import main as ntbbench
from ntbbench.compare.readers.ab_blocks import load_ab

SOURCE = """\
#include <stdlib.h>
int main(int argc, char **argv)
{
    volatile unsigned long sum = 0;
    unsigned long n = strtoul(argv[1], 0, 10);
    for (unsigned long i = 0; i < n; i++)
        sum += i * i;
    return 0;
}
"""
STEPS = 20_000_000
NEIGHBOUR = """\
import os, random, time
os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
end = time.monotonic() + 3600
while time.monotonic() < end:
    busy = time.monotonic() + random.expovariate(20)
    while time.monotonic() < busy:
        pass
    time.sleep(random.expovariate(20))
"""


@contextmanager
def neighbour() -> Iterator[None]:
    """Run the neighbour meanwhile."""
    child = subprocess.Popen([sys.executable, "-c", NEIGHBOUR])
    try:
        yield
    finally:
        child.kill()
        child.wait()


def experiment(folder: Path, change: float, seed: int, options: Sequence[str]) -> tuple[str, int]:
    """Return the verdict of one run of `ab`, the worst of its metrics, and its blocks."""
    program, result = folder / "loop", folder / "ab.json"
    base, candidate = (f"{program} {round(STEPS * (1 + c))}" for c in (0.0, change))
    words = ["ab", "--base", base, "--candidate", candidate, "--seed", str(seed)]
    with redirect_stdout(StringIO()):
        code = ntbbench([*words, "-o", str(result), "--format", "json", *options])
    if code:
        sys.exit(f"ntbbench ab exits {code}")
    found = load_ab(result)
    verdicts = {c.verdict for c in judged(found).comparisons}
    order = ("regressed", "improved", "inconclusive", "equivalent")
    return next(verdict for verdict in order if verdict in verdicts), found.blocks


def rows(folder: Path, alarms: int, found: int) -> Iterator[list[object]]:
    """Yield a row a case: the verdicts and the mean number of blocks."""
    both = ("--metric", "wall", "--metric", "cpu", "--max-runs", "40")
    cases = (
        ("A/A", "cpu", 0.0, alarms, ("--metric", "cpu")),
        ("A/A, at most 40 blocks", "wall and cpu", 0.0, alarms, both),
        ("3 % more work", "cpu", 0.03, found, ("--metric", "cpu")),
        ("3 % more work", "wall", 0.03, found, ("--metric", "wall")),
    )
    for name, metrics, change, count, options in cases:
        results = [experiment(folder, change, seed, options) for seed in range(count)]
        verdicts = Counter(verdict for verdict, _ in results)
        told = [verdicts[v] for v in ("regressed", "improved", "equivalent", "inconclusive")]
        blocks = np.mean([blocks for _, blocks in results])
        row = [name, metrics, count, *told, f"{blocks:.0f}"]
        print(json.dumps(row), file=sys.stderr, flush=True)
        yield row


def main() -> None:
    """Print the table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alarms", type=int, default=200, help="runs of A/A")
    parser.add_argument("--found", type=int, default=20, help="runs of a true change, each case")
    args = parser.parse_args()
    with TemporaryDirectory() as name, neighbour():
        folder = Path(name)
        (folder / "loop.c").write_text(SOURCE)
        subprocess.run(
            ["gcc", "-O1", "-o", str(folder / "loop"), str(folder / "loop.c")], check=True
        )
        heads = ("runs of", "metric", "runs", "regressed", "improved", "equivalent", "undecided")
        print(tabulate(rows(folder, args.alarms, args.found), [*heads, "blocks"], "github"))


if __name__ == "__main__":
    main()
