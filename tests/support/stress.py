# SPDX-License-Identifier: BSD-3-Clause
"""Try to break ntbbench: damaged inputs, environments, signals, full disks, runs at once.

    python tests/support/stress.py [--seconds 600] [--seed N] [--keep FOLDER]

Every run is held to the same rules: a documented exit code, one line about what is refused, within
5 s of processor time and 1 GiB; no traceback; nothing on a terminal that it would obey; inputs and
older results untouched, no child and no temporary file left. What is found is printed with the
command, its files are kept in FOLDER, and the exit code is 1.
"""

import argparse
import importlib
import pkgutil
import random
import shlex
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from stress_inputs import Inputs, emptied
from stress_places import Places
from stress_runs import Ran, forked

import ntbbench

KEPT = Path("build/stress")
SEED_MAX = 10**6
IN_TURN = 30  # damaged inputs between two runs of the other kinds, which take longer
SHOWN = 200  # characters of what a run said
Kind = Callable[[Path], tuple[Ran, list[str]]]


class Stress:
    """The runs until now, and what they found."""

    def __init__(self, seed: int, kept: Path, work: Path) -> None:
        self.kept = kept
        self.work = work
        self.runs: Counter[str] = Counter()
        self.codes: Counter[int | None] = Counter()
        self.found: Counter[str] = Counter()
        draw = random.Random(seed)
        self.inputs = Inputs(emptied(work / "sources"), draw)
        places = Places(draw)
        self.others: dict[str, Kind] = {
            "environments": places.environment,
            "signals": places.signals,
            "full disks": places.full_disk,
            "runs at once": places.together,
        }

    def go_on(self, until: float) -> None:
        """Run until a moment of time.monotonic()."""
        while time.monotonic() < until:
            for name, kind in self.others.items():
                for _ in range(IN_TURN):
                    if time.monotonic() < until:
                        self.one("damaged inputs", self.inputs.run)
                if time.monotonic() < until:
                    self.one(name, kind)

    def one(self, name: str, kind: Kind) -> None:
        """Make one run in an empty folder, and keep the folder of one that found something."""
        folder = emptied(self.work / "run")
        ran, found = kind(folder)
        self.runs[name] += 1
        self.codes[ran.code] += 1
        if not found:
            return
        self.found[name] += 1
        kept = self.kept / str(sum(self.found.values()))
        shutil.copytree(folder, kept, ignore=shutil.ignore_patterns("tmp"))  # it may hold sockets
        said = ran.err.decode(errors="backslashreplace")[-SHOWN:]
        print(f"FOUND {'; '.join(found)}\n  ntbbench {shlex.join(ran.words)}\n  {kept}: {said!r}")

    def table(self) -> str:
        """Return what was done and what was found."""
        lines = [f"{'kind':<16}{'runs':>8}{'found':>8}"]
        lines += [f"{name:<16}{n:>8}{self.found[name]:>8}" for name, n in self.runs.items()]
        codes = ", ".join(f"{code}: {n}" for code, n in sorted(self.codes.items(), key=str))
        return "\n".join([*lines, f"exit codes: {codes}"])


def main(arguments: list[str]) -> int:
    """Run; 1: something was found."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=random.randrange(SEED_MAX))
    parser.add_argument("--keep", type=Path, default=KEPT, metavar="FOLDER")
    args = parser.parse_args(arguments)
    print(f"stress: {args.seconds:g} s, seed {args.seed}", flush=True)
    began = time.monotonic()
    for module in pkgutil.walk_packages(ntbbench.__path__, "ntbbench."):
        importlib.import_module(module.name)  # each fork then has it
    kept = emptied(args.keep.absolute())
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        forked(["--version"], emptied(work / "run"))
        stress = Stress(args.seed, kept, work)
        stress.go_on(began + args.seconds)
    found, runs = sum(stress.found.values()), sum(stress.runs.values())
    print(stress.table())
    what = f"{found} runs broke a rule: see {args.keep}" if found else "nothing found"
    print(f"{runs} runs in {time.monotonic() - began:.0f} s, seed {args.seed}: {what}")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
