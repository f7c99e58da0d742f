# SPDX-License-Identifier: BSD-3-Clause
"""Damaged copies of files that every reader of ours takes, drawn with a seed."""

import json
import random
import shutil
from copy import deepcopy
from pathlib import Path
from typing import Any

from captures import CASES, FOUR, TOOLS

from ntbbench.capture.records import Measured

TOKENS = (
    *(b"\n", b"-1", b"9" * 30, b"{", b"0x", b" ", b"\t", b":", b"[", b"]", b",", b'"', b"\0", b"%"),
    *(b"CPU0 ", b"0 Edge ", b"-edge ", b"ntb_epf", b"vec=6 [action=TASKLET]", b"[LOST EVENTS]"),
    *(b"sender", b"[SUM]", b"Mbits/sec", b"1e999", b"null", b"\xef\xbb\xbf", b"\xff", b"error -5"),
    *(
        b"\x1b[31m",
        b"\xc2\x9b",
        b"\xe2\x80\xae",
        b"9" * 400,
        b"[" * 100,
        b" " * 60_000,
        b"=",
        b"inf",
    ),
)
# In the place of any value of a JSON file: beyond each range, of another type, of another length.
NUMBERS = (0, -1, 1 << 53, (1 << 63) - 1, 1 << 63, 1 << 64, 10**40, 10**299, 1e308, -1e308, 5e-324)
TEXTS = (
    "",
    "\x1b]0;pwned\x07",
    "\u202e",
    "\x9b1m",
    "abc",
    "0x" + "f" * 40,
    "x" * 5000,
    "1e999",
    "../..",
)
OTHERS = (None, True, [], {}, [[]], {"": None}, [0] * 1000, {"a": {"b": {"c": []}}})
ODD: tuple[Any, ...] = (*NUMBERS, *TEXTS, *OTHERS)
UNREAD = "content that is not damaged"  # of an error that no reader of ours found
LARGEST = 1 << 17  # bytes of a copy


def single_files() -> list[Path]:
    """Return files of every kind of a capture that are read by themselves."""
    found = [path for folder in (TOOLS, CASES) for path in sorted(folder.iterdir())]
    return [p for p in found if p.is_file()] + [FOUR / name for name in ("trace", "state", "point")]


def folders() -> list[Path]:
    """Return captures."""
    return [FOUR, *(p for p in sorted(CASES.iterdir()) if (p / "after-interrupts").exists())]


def mutate(data: bytes, draw: random.Random) -> bytes:
    """Return a text with some of its bytes cut, doubled, or replaced."""
    text = bytearray(data[: draw.choice([2000, 8000, *[LARGEST] * 4])])
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


def mutate_values(data: bytes, draw: random.Random) -> bytes:
    """Return JSON with some of its values replaced, left out or doubled: whole, and of no tool."""
    try:
        tree = json.loads(data)
    except ValueError:  # several documents in one file
        return mutate(data, draw)
    for _ in range(draw.choice([1, 1, 2, 4])):
        holder, key = _place(tree, draw)
        if holder is None:
            continue
        kind = draw.randrange(6)
        if kind == 0:
            del holder[key]
        elif kind == 1 and isinstance(holder, list):
            holder.insert(key, deepcopy(holder[key]))
        else:
            holder[key] = deepcopy(draw.choice(ODD))
    return json.dumps(tree, ensure_ascii=draw.random() < 0.5).encode("utf-8", "replace")


def _place(tree: Any, draw: random.Random) -> tuple[Any, Any]:
    """Return a list or an object within a tree, and an index or key in it; None: it is empty."""
    while True:
        if not isinstance(tree, dict | list) or not tree:
            return None, None
        key = draw.choice(list(tree)) if isinstance(tree, dict) else draw.randrange(len(tree))
        inner = tree[key]
        if not isinstance(inner, dict | list) or not inner or draw.random() < 0.2:
            return tree, key
        tree = inner


def damaged_file(source: Path, path: Path, draw: random.Random) -> Path:
    """Write a damaged copy to `path`."""
    data = source.read_bytes()
    values = source.suffix == ".json" and draw.random() < 0.7
    path.write_bytes(mutate_values(data, draw) if values else mutate(data, draw))
    return path


def damaged_folder(source: Path, path: Path, draw: random.Random) -> Path:
    """Copy a folder to `path`; one file of it is damaged."""
    shutil.copytree(source, path)
    one = draw.choice(sorted(p for p in path.rglob("*") if p.is_file()))
    one.chmod(0o644)
    damaged_file(one, one, draw)
    return path


def check(measured: Measured) -> None:
    """Check what holds of every capture, however damaged."""
    assert not any("\n" in line or UNREAD in line for line in measured.errors)
    assert all("\n" not in line for line in measured.cautions)
    assert all(qp.runs_low is None or 0 <= qp.runs_low < 2**64 for qp in measured.qps)
    for irq in measured.interrupts:
        assert irq.total is None or irq.total == sum(count or 0 for count in irq.per_cpu)
    assert all(row.bits_per_second >= 0 for row in measured.throughput)
