# SPDX-License-Identifier: BSD-3-Clause
"""What a debug kernel complained of: each kind of finding once, with the line that shows it."""

import re
from collections.abc import Iterator

from ntbbench.lab.pair.records import PairFinding
from ntbbench.model.pair.patches import Side

# The messages of one console: `[    1.234567] text`, also with a caller in `[T123]`.
STAMP = re.compile(r"^(?:<\d+>)?\[ *\d+\.\d+\](?:\[ *[TC]\d+\])? ?")
SLEEPS, LOCKING, MEMORY, OTHER = "sleep", "lock order", "memory", "other"
# What begins a report, first match first.
KINDS: tuple[tuple[str, re.Pattern[str]], ...] = (
    (SLEEPS, re.compile(r"BUG: sleeping function called from invalid context")),
    (SLEEPS, re.compile(r"BUG: scheduling while atomic")),
    (SLEEPS, re.compile(r"\[ BUG: Invalid wait context \]|BUG: Invalid wait context")),
    (LOCKING, re.compile(r"WARNING: possible (?:circular|recursive) locking")),
    (LOCKING, re.compile(r"WARNING: (?:possible )?(?:irq lock inversion|inconsistent lock state)")),
    (LOCKING, re.compile(r"WARNING: \S+-safe -> \S+-unsafe lock order")),
    (LOCKING, re.compile(r"WARNING: (?:bad unlock balance|held lock freed|suspicious RCU)")),
    (LOCKING, re.compile(r"DEBUG_LOCKS_WARN_ON")),
    (MEMORY, re.compile(r"BUG: KASAN: ")),
    (MEMORY, re.compile(r"BUG: (?:unable to handle|kernel NULL pointer)")),
    (MEMORY, re.compile(r"(?:list_(?:add|del) corruption|refcount_t: )")),
    (MEMORY, re.compile(r"UBSAN: ")),
    (OTHER, re.compile(r"(?:WARNING|BUG): ")),
    (OTHER, re.compile(r"INFO: task \S+ blocked|kernel BUG at |Oops: ")),
)
FRAME = re.compile(
    r"^\s*(?:\? )?(?:RIP: \d+:)?(?P<name>[\w.]+)\+0x[0-9a-f]+/0x[0-9a-f]+ \[(?P<module>\w+)\]"
)
NO_OWNER = ""
# Modules by side, as a stack shows them; the ones that both sides share say nothing.
OWNERS: dict[str, Side] = {"pci_epf_vntb": "ep", "ntb_hw_epf": "rc"}
ENDS = re.compile(r"---\[ end trace|</TASK>")
LINES_MAX = 400  # a report with a longer stack than this is another message


def find_complaints(log: str) -> list[PairFinding]:
    """Return what the kernel log `log` complains of, each kind and place once, in order.

    A finding's place is the first function of one of the two drivers in the stack below its line.
    """
    found: dict[tuple[str, str, str], PairFinding] = {}
    lines = [STAMP.sub("", line).rstrip() for line in log.splitlines()]
    for start, kind in _starts(lines):
        function, side = _place(lines, start)
        line = lines[start].strip()
        key = (kind, function, "" if function else line)
        old = found.get(key)
        count = 1 if old is None else old.count + 1
        first = line if old is None else old.line
        found[key] = PairFinding(kind=kind, line=first, function=function, side=side, count=count)
    return list(found.values())


def _starts(lines: list[str]) -> Iterator[tuple[int, str]]:
    """Yield the number and the kind of each line that begins a report."""
    for number, line in enumerate(lines):
        kind = next((name for name, pattern in KINDS if pattern.search(line)), None)
        if kind is not None:
            yield number, kind


def _place(lines: list[str], start: int) -> tuple[str, str]:
    """Return the driver's function in the stack of the report at `start`, and its side."""
    for line in lines[start + 1 : start + LINES_MAX]:
        frame = FRAME.match(line)
        if frame is not None and frame["module"] in OWNERS:
            return frame["name"], OWNERS[frame["module"]]
        if ENDS.search(line) or any(pattern.search(line) for _, pattern in KINDS):
            break
    return NO_OWNER, NO_OWNER
