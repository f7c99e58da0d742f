# SPDX-License-Identifier: BSD-3-Clause
"""What the CPUs did in a run that failed, and the accesses that met: from its log."""

from collections.abc import Iterator, Mapping, Sequence

from ntbbench.lab.explore.code_points import BOTH, ENTRY, READ, WRITE, CodePoint
from ntbbench.lab.explore.explore_guest import GuestEvent, GuestRun
from ntbbench.lab.explore.oracles import PEER
from ntbbench.lab.explore.records import SIDES, StoryLine

CONTEXTS = ("task", "softirq", "interrupt")
# Marks of ntb_explore, as explore.h numbers them.
SENT, RECEIVED, DELAYED, RESUMED, EVENT, RUN, RANG = range(-1, -8, -1)
VERBS = {READ: "reads", BOTH: "reads and writes"}
BEFORE_US, AFTER_US = 300, 2500  # of what is told, around the delay
LINES_MAX = 60
WORD = 4  # bytes that count as one place, as a doorbell slot does


def told(run: GuestRun, points: Sequence[CodePoint]) -> list[StoryLine]:
    """Return what happened around the delay in which the packet that waits was sent.

    Of accesses to memory those are told that touch the word before which the CPU was held.
    """
    held = [event for event in run.log if event.what == DELAYED]
    pairs = [(side, qps[0]) for side, qps in run.stuck.items() if qps]
    if not run.log or not pairs:
        return []
    sender, qp = pairs[0]
    start, end = _span(run, held, sender, qp)
    near = [event for event in run.log if start <= event.ns <= end]
    places = set(_held_at(near)) or shared(near, points)
    kept = [event for event in near if _matters(event, sender, qp, places)]
    return [_line(event, points) for event in kept][:LINES_MAX]


def shared(near: Sequence[GuestEvent], points: Sequence[CodePoint]) -> set[int]:
    """Return the words of memory that two modules touch and one of them writes."""
    modules: dict[int, set[str]] = {}
    written: set[int] = set()
    for event in near:
        if event.what >= 0 and event.value:
            point, word = points[event.what], event.value // WORD
            modules.setdefault(word, set()).add(point.module)
            written |= {word} if point.access in (WRITE, BOTH) else set()
    return {word for word in written if len(modules[word]) > 1}


def _held_at(near: Sequence[GuestEvent]) -> Iterator[int]:
    """Yield the words of memory before whose access a CPU was held."""
    last: dict[int, GuestEvent] = {}
    for event in near:
        if event.what >= 0:
            last[event.cpu] = event
        elif event.what == DELAYED and event.cpu in last:
            yield last[event.cpu].value // WORD


def _span(run: GuestRun, held: Sequence[GuestEvent], sender: str, qp: int) -> tuple[int, int]:
    """Return the time to tell of: from before the delay in which the packet that waits was sent."""
    number = _first_late(run, sender, qp)
    sent = next((e.ns for e in run.log if _is_packet(e, SENT, sender, qp, number)), 0)
    begun = [event.ns for event in held if event.ns <= sent]
    start = (begun[-1] if begun else sent) - BEFORE_US * 1000
    return start, max(sent, start) + AFTER_US * 1000


def _first_late(run: GuestRun, sender: str, qp: int) -> int:
    """Return the number of the packet of a QP that waited longest, or never came."""
    sent = {e.value & 0xFFFF: e.ns for e in run.log if _is_packet(e, SENT, sender, qp)}
    came = {e.value & 0xFFFF: e.ns for e in run.log if _is_packet(e, RECEIVED, sender, qp)}
    last = max(came.values(), default=0)
    waits = {number: came.get(number, last + 10**9) - ns for number, ns in sent.items()}
    return max(waits, key=lambda number: (waits[number], -number), default=0)


def _is_packet(event: GuestEvent, what: int, sender: str, qp: int, number: int = -1) -> bool:
    return (
        event.what == what
        and SIDES[event.value >> 32] == sender
        and event.value >> 16 & 0xFFFF == qp
        and number in (-1, event.value & 0xFFFF)
    )


def _matters(event: GuestEvent, sender: str, qp: int, places: set[int]) -> bool:
    if event.what >= 0:
        return event.value // WORD in places
    if event.what in (DELAYED, RESUMED):
        return True
    side, rest = SIDES[event.value >> 32], event.value & 0xFFFFFFFF
    if event.what in (SENT, RECEIVED):
        return side == sender and rest >> 16 == qp
    if event.what == RANG:
        return side == sender and bool(rest >> qp & 1)
    return side == PEER[sender] and rest == qp


def _line(event: GuestEvent, points: Sequence[CodePoint]) -> StoryLine:
    text, place, source = _words(event, points)
    return StoryLine(
        us=event.ns / 1000,
        cpu=event.cpu,
        context=CONTEXTS[event.context],
        text=text,
        line=place,
        source=source,
    )


def _words(event: GuestEvent, points: Sequence[CodePoint]) -> tuple[str, str, str]:
    """Return what an event is, in words; the line of source, and its text."""
    if event.what >= 0:
        point = points[event.what]
        verb = "enters" if point.access == ENTRY else VERBS.get(point.access, "writes")
        place = f"{point.line[0]}:{point.line[1]}" if point.line[1] else point.name
        return f"{point.function} {verb} {event.value:#x}", place, point.text
    return next(iter(_mark(event, points))), "", ""


def _mark(event: GuestEvent, points: Sequence[CodePoint]) -> Iterator[str]:
    side, low = SIDES[event.value >> 32 & 1].upper(), event.value & 0xFFFF
    qp = event.value >> 16 & 0xFFFF
    words: Mapping[int, str] = {
        SENT: f"{side} sends packet {low} of QP {qp}",
        RECEIVED: f"packet {low} of QP {qp} arrives",
        DELAYED: f"HELD before that, for {event.value} us",
        EVENT: f"{side}: ntb_db_event(vector {event.value & 0xFFFFFFFF})",
        RUN: f"{side}: receive tasklet of QP {low} runs",
        RANG: f"{side} rings {event.value & 0xFFFFFFFF:#x}",
    }
    if event.what == RESUMED:
        point = points[event.value]
        yield f"goes on: {point.text or point.function}"
    yield words.get(event.what, "")
