# SPDX-License-Identifier: BSD-3-Clause
"""Reader of traces by any of three printers: ftrace, trace-cmd report, perf script."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ntbbench.capture.readers import ftrace
from ntbbench.core.errors import InputError
from ntbbench.core.small_file import read_lines
from ntbbench.core.text_file import bad_line

# `comm  pid [cpu]  seconds:  group:event: body`, as perf script prints it.
PERF = re.compile(
    r"\s*(?P<comm>\S.*?)\s+(?P<pid>-?\d{1,10})(?:/\d{1,10})?\s+\[(?P<cpu>\d{1,5})\]\s+"
    r"(?P<time>\d{1,12}\.\d{1,9}):\s+(?:\w+:)?(?P<event>\w+):(?:\s+(?P<body>.*))?$"
)
# The first lines of trace-cmd report; older versions name each CPU without an event.
CPUS = re.compile(r"cpus=\d{1,5}|CPU \d{1,5} is empty")
STARTED = re.compile(r"##### CPU \d{1,5} buffer started ####")
PERF_LOST = re.compile(r"PERF_RECORD_LOST\b.*?(\d+)?\s*$")
FTRACE, TRACE_CMD, PERF_SCRIPT = "ftrace text", "trace-cmd report", "perf script"


class Event(NamedTuple):
    """One line: CPU, pid, the hardirq or softirq character of its flags ('' where not told).

    `time` is in seconds.
    """

    line: int
    cpu: int
    pid: int
    context: str
    name: str
    body: str
    time: float


@dataclass
class TraceText:
    """What the reader learned beside the events; complete once they are consumed."""

    format: str = ""
    lines: int = 0
    entries: int | None = None
    started: list[str] = field(default_factory=list)


def read_events(path: Path, facts: TraceText) -> Iterator[Event]:
    """Yield the events of a trace in file order, filling `facts`.

    Raises
    ------
    InputError : a line that is none of the three forms, lost events, a trace cut off within a
        line or with fewer events than its header counts, or no event line at all.

    Source: Linux 6.12 kernel/trace/trace_output.c (trace_print_context), trace-cmd 3.1.6 and perf
    6.12 (printed lines).
    """
    perf = False
    for number, text in read_lines(path):
        line = text.rstrip()
        if not line or line.startswith("#"):
            _header(path, number, line, facts)
            continue
        if CPUS.fullmatch(line) and facts.lines == 0:
            facts.format = TRACE_CMD
            continue
        if not text.endswith("\n"):
            raise bad_line(path, number, text, "the trace is cut off within this line")
        match = None if perf else ftrace.LINE.match(line)
        if match is None and (facts.lines == 0 or perf):
            match = PERF.match(line)
            perf = match is not None
        if match is None:
            raise _bad(path, number, line)
        facts.format = facts.format or (PERF_SCRIPT if perf else FTRACE)
        facts.lines += 1
        yield _event(number, match)
    _check_end(path, facts)


def _event(number: int, match: re.Match[str]) -> Event:
    flags = match.groupdict().get("flags")
    return Event(
        line=number,
        cpu=int(match["cpu"]),
        pid=int(match["pid"]),
        context=flags[2] if flags else "",
        name=match["event"],
        body=match["body"] or "",
        time=float(match["time"]),
    )


def _header(path: Path, number: int, line: str, facts: TraceText) -> None:
    if STARTED.fullmatch(line):
        facts.started.append(line)
    match = ftrace.HEADER.match(line)
    if match is None:
        return
    entries, written = int(match[1]), int(match[2])
    if entries < written:
        lost = f"{written - entries} of {written} events were overwritten"
        raise bad_line(path, number, line, f"{lost}: counts taken from it would be wrong")
    facts.entries = entries
    facts.format = FTRACE


def _bad(path: Path, number: int, line: str) -> InputError:
    if (lost := ftrace.LOST.search(line)) is not None:
        count = f"{lost[2]} events" if lost[2] else "events"
        return bad_line(path, number, line, f"the trace is incomplete: CPU {lost[1]} lost {count}")
    if PERF_LOST.search(line):
        return bad_line(path, number, line, "the trace is incomplete: perf lost events here")
    return bad_line(path, number, line, "a line of ftrace, trace-cmd report, or perf script")


def _check_end(path: Path, facts: TraceText) -> None:
    if facts.entries is not None and facts.lines != facts.entries:
        shown = f"{facts.lines} of {facts.entries} lines"
        raise InputError(str(path), shown, "the trace is cut off: its header counts more lines")
    if not facts.lines and facts.entries is None and facts.format != TRACE_CMD:
        raise InputError(str(path), "no event", "a trace with at least one line")
