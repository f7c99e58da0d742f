# SPDX-License-Identifier: BSD-3-Clause
"""What a debug kernel complained of: each kind of finding once, with the line that shows it."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec.structs import replace

from ntbbench.core.text_file import read_small
from ntbbench.lab.pair.boot.laid_out import EXPECTED
from ntbbench.lab.pair.boot.left import PairRecordings
from ntbbench.lab.pair.plan import HostSetup
from ntbbench.lab.pair.predict import PairModel, pair_model
from ntbbench.lab.pair.records import PairFinding
from ntbbench.lab.qemu import ENDED, HUNG, before_oops, cause_of, stacks_of_hang
from ntbbench.lab.qemu import PANIC as PANIC_LINE
from ntbbench.pair.behaviour import receiving, sending
from ntbbench.pair.drivers.kernel_around import Hazard

# The messages of one console: `[    1.234567] text`, also with a caller in `[T123]`.
STAMP = re.compile(r"^(?:<\d+>)?\[ *\d+\.\d+\](?:\[ *[TC]\d+\])? ?")
SLEEPS, LOCKING, MEMORY, OTHER = "sleep", "locking", "memory", "other"
PANIC, HANG = "panic", "hang"  # the end of a guest that died; its line is that of the lab
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
SECOND = re.compile(r"(?:WARNING:|kernel BUG at) lib/(?:list_debug|refcount)\.c|Oops: ")
NEAR = 10  # lines
FRAME = re.compile(
    r"^\s*(?P<doubt>\? )?(?:RIP: \d+:)?(?P<name>[\w.]+)"
    r"\+0x[0-9a-f]+/0x[0-9a-f]+ \[(?P<module>\w+)\]"
)
NO_OWNER = ""
# Modules by side, as a stack shows them; the ones that both sides share say nothing.
OWNERS = {
    "pci_epf_vntb": "ep",
    "ntb_hw_epf": "rc",
    "pci_epf_ntb": "soc",  # of two hosts, the first of which has the module that is rc's else
    "ntb_hw_epf_2": "host2",
}
HOST_SIDES = {"rc": "host1"}
ENDS = re.compile(r"---\[ end trace|</TASK>")
LINES_MAX = 400  # a report with a longer stack than this is another message


def read_findings(folder: Path, died: str = "") -> list[PairFinding]:
    """Return what the kernel of one boot complained of on its console, from boot to its end.

    `died`: how the guest panicked, hung or gave up, if it did: the last finding.
    InputError: a file that cannot be read.
    """
    console = read_small(folder / "console")
    hung = died.startswith(HUNG)
    found = find_complaints(before_oops(console) if hung else console)
    kept = [finding for finding in found if not EXPECTED.match(finding.line)]
    end = [_end(console, died)] if died else []
    return [*kept, *_failed_rounds(folder / "rounds" / "result"), *end]


def _end(console: str, died: str) -> PairFinding:
    """Return the finding of a guest that died, at the innermost function of a driver.

    Of one that gave up no stack is that of its end.
    """
    if died.startswith(ENDED):
        return PairFinding(kind=OTHER, line=died, function=NO_OWNER, side=NO_OWNER, count=1)
    hung = died.startswith(HUNG)
    if hung:
        stack, blocked = stacks_of_hang(console)
        reports = [f"\n{text}" for text in (stack, *blocked.values())]
    else:
        cause = cause_of(console) or PANIC_LINE.search(console)
        reports = [] if cause is None else [console[cause.start() :]]
    places = (_place(_unstamped(report), 0) for report in reports)
    function, side = next((place for place in places if place[0]), (NO_OWNER, NO_OWNER))
    kind = HANG if hung else PANIC
    return PairFinding(kind=kind, line=died, function=function, side=side, count=1)


def _unstamped(log: str) -> list[str]:
    return [STAMP.sub("", line).rstrip() for line in log.splitlines()]


def _failed_rounds(result: Path) -> Iterator[PairFinding]:
    """Yield the first round of unbind and bind that failed; the kernel need not have complained.

    A guest that died in one left no result: then its panic is the finding.
    """
    lines = read_small(result).splitlines() if result.is_file() else []
    for line in lines:
        step, _, cause = line.partition(" cause=")
        if cause:
            yield PairFinding(kind=OTHER, line=f"{step}: {cause}", function="", side="", count=1)
            return


def known_to_model(
    findings: Iterable[PairFinding], recordings: PairRecordings
) -> list[PairFinding]:
    """Return the findings with the boot that they are of, and whether the model expects them."""
    setup = recordings.plan.setup
    hazards = expected_hazards(pair_model(recordings))
    renamed = HOST_SIDES if isinstance(setup, HostSetup) else {}
    found = (replace(one, side=renamed.get(one.side, one.side)) for one in findings)
    return [
        replace(finding, boot=setup.label, expected=(finding.kind, finding.side) in hazards)
        for finding in found
    ]


def expected_hazards(model: PairModel) -> set[tuple[str, str]]:
    """Return kind of finding and end for each hazard that the model's drivers meet here."""
    setting = model.setting
    first, second = setting.slots
    met = [
        sending(own, slots).hazards
        | (receiving(own, slots, setting.doorbell).hazards if own.side == "rc" else frozenset())
        for own, slots in ((model.ep, first), (model.rc, second))
    ]
    ends = zip(setting.ends.names, met, strict=True)
    return {(SLEEPS, end) for end, hazards in ends if Hazard.SLEEPS in hazards}


def find_complaints(log: str) -> list[PairFinding]:
    """Return what the kernel log `log` complains of, each kind and place once, in order.

    A finding's place is the first function of one of the two drivers in the stack below its line.
    """
    found: dict[tuple[str, str, str], PairFinding] = {}
    lines = _unstamped(log)
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
    """Yield the number and the kind of each line that begins a report.

    What a line of SECOND tells belongs to the report that another line has just begun.
    """
    begun = -NEAR
    for number, line in enumerate(lines):
        kind = next((name for name, pattern in KINDS if pattern.search(line)), None)
        if kind is not None and not (SECOND.search(line) and number - begun < NEAR):
            yield number, kind
            begun = number


def _place(lines: list[str], start: int) -> tuple[str, str]:
    """Return the driver's function in the stack of the report at `start`, and its side.

    A frame with a question mark was found on the stack, but may be left over from another call.
    """
    doubtful = NO_OWNER, NO_OWNER
    for line in lines[start + 1 : start + LINES_MAX]:
        frame = FRAME.match(line)
        if frame is not None and frame["module"] in OWNERS:
            found = frame["name"], OWNERS[frame["module"]]
            if not frame["doubt"]:
                return found
            doubtful = found if doubtful[0] == NO_OWNER else doubtful
        begins = any(pattern.search(line) for _, pattern in KINDS) and not SECOND.search(line)
        if ENDS.search(line) or begins:
            break
    return doubtful
