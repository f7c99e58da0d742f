# SPDX-License-Identifier: BSD-3-Clause
"""Damaged files for every reader of captures; as a program, many of them with bounds held.

    python tests/support/mutations.py [COUNT [SEED]]

Each run ingests one damaged file or folder, and says what took long, much memory, or raised.
"""

import random
import resource
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from captures import CASES, FOUR, TOOLS

from ntbbench.capture.ingest import ingest
from ntbbench.capture.records import Measured

TOKENS = (
    *(b"\n", b"-1", b"9" * 30, b"{", b"0x", b" ", b"\t", b":", b"[", b"]", b",", b'"', b"\0", b"%"),
    *(b"CPU0 ", b"0 Edge ", b"-edge ", b"ntb_epf", b"vec=6 [action=TASKLET]", b"[LOST EVENTS]"),
    *(b"sender", b"[SUM]", b"Mbits/sec", b"1e999", b"null", b"\xef\xbb\xbf", b"\xff", b"error -5"),
)
SLOW, LARGE = 2.0, 200 << 20  # seconds of one file, bytes of the whole program beyond the start


def single_files() -> list[Path]:
    """Return files of every kind that are read by themselves."""
    found = [path for folder in (TOOLS, CASES) for path in sorted(folder.iterdir())]
    return [p for p in found if p.is_file()] + [FOUR / name for name in ("trace", "state", "point")]


def folders() -> list[Path]:
    """Return captures."""
    return [
        FOUR,
        *(path for path in sorted(CASES.iterdir()) if (path / "after-interrupts").exists()),
    ]


def mutate(data: bytes, draw: random.Random) -> bytes:
    """Return a text with some of its bytes cut, doubled, or replaced."""
    text = bytearray(data[: draw.choice([2000, 8000, *[1 << 17] * 4])])
    for _ in range(draw.choice([1, 1, 1, 2, 3, 6])):
        at = draw.randrange(len(text) + 1)
        end = at + draw.choice([0, 1, 8, 40, 400])
        kind = draw.randrange(4)
        if kind == 0:
            text[at:end] = draw.choice(TOKENS)
        elif kind == 1:
            text[at:end] = draw.randbytes(draw.randint(0, 12))
        elif kind == 2:
            text[at:at] = text[at:end] * draw.choice([1, 2, 50])
        else:
            del text[at:end]
    return bytes(text)


def damaged_file(source: Path, folder: Path, draw: random.Random) -> Path:
    """Write a damaged copy."""
    path = folder / "file"
    path.write_bytes(mutate(source.read_bytes(), draw))
    return path


def damaged_folder(source: Path, folder: Path, draw: random.Random) -> Path:
    """Copy a capture of which one file is damaged."""
    copied = folder / "capture"
    shutil.copytree(source, copied, ignore=shutil.ignore_patterns("trace"))
    path = draw.choice(sorted(p for p in copied.rglob("*") if p.is_file()))
    path.chmod(0o644)
    path.write_bytes(mutate(path.read_bytes(), draw))
    return copied


def check(measured: Measured) -> None:
    """Check what holds of every file, however damaged."""
    assert all("\n" not in line for line in (*measured.errors, *measured.cautions))
    assert all(qp.runs_low is None or 0 <= qp.runs_low < 2**64 for qp in measured.qps)
    for irq in measured.interrupts:
        assert irq.total is None or irq.total == sum(count or 0 for count in irq.per_cpu)
    assert all(row.bits_per_second >= 0 for row in measured.throughput)


def main(arguments: Sequence[str]) -> int:
    """Run; 1: something raised, took long, or much memory."""
    count, seed = (int(text) for text in (*arguments, "20000", "1")[:2])
    draw = random.Random(seed)
    sources = [*((path, damaged_file) for path in single_files())]
    sources += [(path, damaged_folder) for path in folders()]
    results: Counter[str] = Counter()
    worst, start = ("", 0.0), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(count):
        source, damage = draw.choice(sources)
        with tempfile.TemporaryDirectory() as name:
            path = damage(source, Path(name), draw)
            began = time.monotonic()
            try:
                measured = ingest([path])
                check(measured)
            except Exception:
                results["raised"] += 1
                print(f"{number}: {source}\n{traceback.format_exc()}", file=sys.stderr)
                shutil.copy(path, f"mutation-{seed}-{number}") if path.is_file() else None
                continue
            seconds = time.monotonic() - began
            worst = max(worst, (str(source), seconds), key=lambda one: one[1])
            results["refused" if measured.errors else "read"] += 1
            results["slow"] += seconds > SLOW
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start) * 1024
    print(
        f"{count} mutations, seed {seed}: {dict(results)}; {grown >> 20} MiB more than at the start"
    )
    print(f"longest {worst[1]:.2f} s: {worst[0]}")
    return int(bool(results["raised"] or results["slow"] or grown > LARGE))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
