# SPDX-License-Identifier: BSD-3-Clause
"""An event log as a timeline that Perfetto (ui.perfetto.dev) and chrome://tracing open.

Format: Trace Event Format of the Chromium project, its JSON object form. A slice is a complete
event ("X"), and slices of one track nest; an arrow is a pair of flow events ("s", "f"), each bound
to the slice around it. Perfetto colours a slice by its name, chrome://tracing by `cname`.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ntbbench.datapath.outcome import Happening, Logged, RunCause
from ntbbench.datapath.system import System

ROWS_MAX = 300_000  # of the log: a spinning CPU looks twice a microsecond
EVENTS_MAX = 60_000  # of the file, some 12 MB
US = 10**6  # picoseconds: the format's unit is the microsecond
S = 10**12
RECEIVER, SENDER, QPS = 1, 2, 3  # pid of each group of tracks
USEFUL, EMPTY = "receive tasklet, useful", "receive tasklet, empty"
COLOURS = {
    USEFUL: "good",
    EMPTY: "terrible",
    "hardirq": "bad",
    "poll": "bad",
    "spinning": "yellow",
    "send": "thread_state_runnable",
}
MARKS = {
    Happening.KSOFTIRQD: "left to ksoftirqd",
    Happening.STOP: "queue stops",
    Happening.WAKE: "queue wakes",
    Happening.DROP: "drop: socket buffer full",
}
BEGINS = {
    Happening.IRQ_BEGIN: Happening.IRQ_END,
    Happening.RUN_BEGIN: Happening.RUN_END,
    Happening.SEND_BEGIN: Happening.SEND_END,
    Happening.POLL_BEGIN: Happening.POLL_END,
}
ENDS = {end: begin for begin, end in BEGINS.items()}


Track = dict[str, int]  # the keys that put an event on its track


@dataclass(frozen=True)
class Drawn:
    """A file's text, and what it holds."""

    text: str
    events: int  # trace events, the names of the tracks included
    cut: str  # where it ends, if that is before the end of what was simulated, or empty


@dataclass(frozen=True)
class Sent:
    """A packet in a ring whose doorbell has not become an interrupt yet."""

    track: Track
    begin_ps: int
    end_ps: int


@dataclass
class Spin:
    """Looks of one CPU, one after the other, at tasklets that run elsewhere: one slice."""

    begin_ps: int
    last_ps: int
    looks: int
    queues: set[int]


@dataclass
class Timeline:
    """What is known while the log is read, row by row."""

    system: System
    events: list[dict[str, Any]] = field(default_factory=list)
    open: dict[tuple[Happening, int], list[Logged]] = field(
        default_factory=lambda: defaultdict(list)
    )
    sent: dict[int, deque[Sent]] = field(default_factory=lambda: defaultdict(deque))
    rung: dict[int, list[Sent]] = field(default_factory=lambda: defaultdict(list))
    taken: dict[int, list[Sent]] = field(default_factory=dict)
    spins: dict[int, Spin] = field(default_factory=dict)
    arrows: int = 0

    def take(self, row: Logged) -> None:
        """Add what one row of the log shows."""
        happening = row.happening
        if happening is Happening.SPIN:
            self._spin(row)
            return
        if row.cpu in self.spins and happening in (*BEGINS, *ENDS, Happening.KSOFTIRQD):
            self.close_spin(row.cpu, row.time_ps)
        if happening in BEGINS:
            self.open[(happening, row.cpu)].append(row)
            if happening in (Happening.IRQ_BEGIN, Happening.POLL_BEGIN):
                self.taken[row.cpu] = self.rung.pop(row.index, [])
        elif happening in ENDS:
            waiting = self.open[(ENDS[happening], row.cpu)]
            if waiting:  # a log may begin in the middle
                self._slice(waiting.pop(), row)
        elif happening is Happening.RING:
            self._ring(row)
        elif happening in MARKS:
            self._mark(row)

    def _slice(self, begin: Logged, end: Logged) -> None:
        name, args = _describe(begin, end)
        if begin.happening in (Happening.IRQ_BEGIN, Happening.POLL_BEGIN):
            self._deliver(begin)
        self._complete(self._cpu(begin.cpu), name, begin.time_ps, end.time_ps, args)
        if begin.happening is Happening.RUN_BEGIN:
            args = args | {"cpu": begin.cpu}
            self._complete(_track(QPS, begin.index), name, begin.time_ps, end.time_ps, args)
        if begin.happening is Happening.SEND_BEGIN:
            one = Sent(self._cpu(begin.cpu), begin.time_ps, end.time_ps)
            self.sent[end.value].append(one)

    def _spin(self, row: Logged) -> None:
        spin = self.spins.setdefault(row.cpu, Spin(row.time_ps, row.time_ps, 0, set()))
        spin.last_ps = row.time_ps
        spin.looks += 1
        spin.queues.add(row.index)

    def close_spin(self, cpu: int, now_ps: int) -> None:
        """End the slice of a CPU that has spun until now, or until its last look was over."""
        spin = self.spins.pop(cpu)
        end = min(now_ps, spin.last_ps + self.system.costs.spin_ps)
        args = {"looks": spin.looks, "queues": sorted(spin.queues)}
        self._complete(self._cpu(cpu), "spinning", spin.begin_ps, end, args)

    def _ring(self, row: Logged) -> None:
        """Let a queue's packets, whose doorbell arrives now, wait for its interrupt."""
        queue = self.sent[row.index]
        while queue and queue[0].end_ps + self.system.costs.link_ps <= row.time_ps:
            self.rung[row.value].append(queue.popleft())

    def _deliver(self, row: Logged) -> None:
        """Draw the doorbells that an interrupt stands for, from the end of the send to it."""
        for one in self.taken.pop(row.cpu, []):
            self.arrows += 1
            shared = {"name": "doorbell", "cat": "doorbell", "id": self.arrows}
            for phase, track, time_ps in (
                ("s", one.track, max(one.begin_ps, one.end_ps - 1000)),
                ("f", self._cpu(row.cpu), row.time_ps),
            ):
                event = {"ph": phase, **shared, **track, "ts": time_ps / US}
                self.events.append(event | ({"bp": "e"} if phase == "f" else {}))

    def _mark(self, row: Logged) -> None:
        """Add an instant on the CPU, or on the queue pair where it is of no CPU."""
        flow = row.happening is Happening.DROP
        queue = self.system.flows[row.index].queue if flow else row.index
        track = _track(QPS, queue) if row.cpu < 0 else self._cpu(row.cpu)
        name = MARKS[row.happening]
        self.events.append(
            {"ph": "i", "s": "t", "name": name, "cat": "mark", **track,
             "ts": row.time_ps / US, "args": {"index": row.index, "value": row.value}}
        )  # fmt: skip

    def _complete(
        self, track: Track, name: str, begin: int, end: int, args: dict[str, Any]
    ) -> None:
        colour = COLOURS.get(name, COLOURS.get(name.split(" ", 1)[0]))
        self.events.append(
            {"ph": "X", "name": name, "cat": name.split(" ", 1)[0], **track,
             "ts": begin / US, "dur": (end - begin) / US, "args": args, "cname": colour}
        )  # fmt: skip

    def _cpu(self, cpu: int) -> Track:
        """Return the track of a CPU, numbered from 0 on each host."""
        receiver = self.system.receiver_cpus
        return _track(RECEIVER, cpu) if cpu < receiver else _track(SENDER, cpu - receiver)


def _track(pid: int, tid: int) -> Track:
    return {"pid": pid, "tid": tid}


def render(system: System, rows: Sequence[Logged], about: str) -> Drawn:
    """Return the log as JSON: a track a CPU and a queue pair; at most EVENTS_MAX events.

    Parameters
    ----------
    system : whose log it is.
    rows : in the order of time; ROWS_MAX of them may not be all.
    about : what was simulated, for the file's metadata.
    """
    timeline = Timeline(system)
    read = 0
    for row in rows:
        if len(timeline.events) >= EVENTS_MAX:
            break
        timeline.take(row)
        read += 1
    end_ps = rows[read - 1].time_ps if read else 0
    for cpu in list(timeline.spins):
        timeline.close_spin(cpu, end_ps)
    used = {(event["pid"], event["tid"]) for event in timeline.events}
    used |= {(QPS, number) for number in range(len(system.queues))}
    events = [*_names(system, used), *timeline.events]
    whole = read == len(rows) < ROWS_MAX
    cut = "" if whole else f"cut at {end_ps / S:.3g} s of {system.end_ps / S:.4g} s"
    metadata = {"ntbbench": about, "rows": read, "end_us": end_ps / US, "cut": cut}
    document = {"displayTimeUnit": "ns", "otherData": metadata, "traceEvents": events}
    return Drawn(msgspec.json.encode(document).decode() + "\n", len(events), cut)


def _names(system: System, used: Iterable[tuple[int, int]]) -> list[dict[str, Any]]:
    """Return the events that name the tracks."""
    groups = {RECEIVER: "receiver", SENDER: "sender", QPS: "queue pairs of the receiver"}
    found = [
        {"ph": "M", "name": "process_name", "pid": pid, "tid": 0, "args": {"name": name}}
        for pid, name in groups.items()
    ]
    for pid, tid in sorted(used):
        name = f"QP {system.queues[tid].bit}" if pid == QPS else f"CPU {tid}"
        found.append({"ph": "M", "name": "thread_name", **_track(pid, tid), "args": {"name": name}})
    return found


def _describe(begin: Logged, end: Logged) -> tuple[str, dict[str, Any]]:
    """Return the name of a slice and what a viewer shows where it is selected."""
    if begin.happening is Happening.RUN_BEGIN:
        name = USEFUL if end.value else EMPTY
        cause = RunCause(begin.value).name.lower()
        return name, {"queue": begin.index, "packets": end.value, "scheduled by": cause}
    if begin.happening is Happening.IRQ_BEGIN:
        return "hardirq", {"source": begin.index, "tasklet_schedule calls": end.value}
    if begin.happening is Happening.POLL_BEGIN:
        return "poll", {"slot": begin.index, "rings wiped": end.value}
    return "send", {"flow": begin.index, "queue": end.value}
