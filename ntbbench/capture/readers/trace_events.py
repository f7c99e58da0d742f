# SPDX-License-Identifier: BSD-3-Clause
"""Reader of traces by any of three printers: ftrace, trace-cmd report, perf script."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ntbbench.core.errors import InputError
from ntbbench.core.text_file import bad_line, read_lines
from ntbbench.ntb.vectormap import DB_BITS_MAX

# comm-pid [(tgid)] [cpu] [flags] seconds: event: body; comm may hold blanks and dashes. A clock
# that counts events or cycles prints a number in place of the seconds.
FTRACE_LINE = re.compile(
    r"\s*(?P<comm>\S.*?)-(?P<pid>\d{1,10})\s+(?:\(\s*[-\d]+\)\s+)?\[(?P<cpu>\d{1,5})\]\s+"
    r"(?:\(\s*[-\d]+\)\s+)?(?:(?P<flags>[^\s:]{3,10})\s+)?"
    r"(?P<time>\d{1,12}\.\d{1,9}|\d{1,20}):\s+(?:\w+:)?(?P<event>\w+):(?:\s+(?P<body>.*))?$"
)
# perf script: [comm] [pid[/tid]] [[cpu]] [seconds:] [period] [group:]event: body
PERF_TIME = re.compile(r"(?:^|\s)(\d{1,12}\.\d{1,9}):\s")
PERF_TASK = re.compile(r"(?:(?:^|\s)(-?\d{1,10})(?:/-?\d{1,10})?)?\s*(?:\[(\d{1,5})\])?\s*$")
PERF_EVENT = re.compile(r"\s*(?:\d{1,20}\s+)?(?:\w+:)?(\w+):(?:\s+(.*))?$")
# ... whose time was not printed: after the CPU, or of a group that is known.
PERF_UNTIMED = re.compile(
    r"(.*\[\d{1,5}\]|)\s+(?:\d{1,20}\s+)?\w+:(\w+):(?:\s+(.*))?$"
    r"|((?:irq|probe\w*|kprobes|ntbbench|sched|timer|napi|net|workqueue):)(\w+):(?:\s+(.*))?$"
)
# What it prints below an event: a call chain, the place in the source.
PERF_BELOW = re.compile(r"\s+[0-9a-f]{1,16} \S.*|\s+\S+(?:\[[0-9a-f]+\]|:\d+)|.* \(inlined\)")
PERF_RECORD = re.compile(r"\bPERF_RECORD_(\w+)")
HEADER = re.compile(r"#\s*entries-in-buffer/entries-written:\s*(\d{1,18})/(\d{1,18})")
# The legend of the flags column, a line a character in their order.
LEGEND = re.compile(r"#.*=>\s*([\w/-]{1,40})")
LEGEND_FIRST, LEGEND_RESCHED, LEGEND_CONTEXT = "irqs-off", "need-resched", "hardirq/softirq"
# The first lines of trace-cmd report; older versions name each CPU without an event.
CPUS = re.compile(r"version = \d{1,5}|cpus=\d{1,5}|CPU \d{1,5} is empty")
STARTED = re.compile(r"##### CPU \d{1,5} buffer started ####")
# What the kernel and trace-cmd print in the place of events that were lost; not always how many.
LOST = re.compile(r"CPU:?\s*(\d+)\s*\[(?:LOST\s+)?(?:(\d+)\s+)?EVENTS?(?:\s+DROPPED)?\]")
PERF_LOST = re.compile(r"PERF_RECORD_LOST(?:_SAMPLES)?\b(?:.*?(\d+)\s*$)?")
VECTOR = re.compile(r"0x[0-9a-fA-F]{1,16}|0|[1-9][0-9]{0,9}")
INCOMPLETE = "the trace is incomplete:"
FTRACE, TRACE_CMD, PERF_SCRIPT = "ftrace text", "trace-cmd report", "perf script"
NOT_KNOWN = -1  # the CPU or pid of an event whose line has none


class Event(NamedTuple):
    """One line: seconds, CPU, pid, what happened, and two characters of the flags column.

    `context`: hardirq or softirq, `resched`: need-resched; "" where there is no column. `time` is
    only an order where the clock counts no seconds (`TraceText.has_times`).
    """

    line: int
    cpu: int
    pid: int
    context: str
    resched: str
    name: str
    body: str
    time: float


@dataclass
class TraceText:
    """What the reader learned beside the events; complete once they are consumed."""

    format: str = ""
    lines: int = 0  # event lines that were read
    entries: int | None = None  # what the header says is in the buffer; None: no header
    has_flags: bool = False  # the flags column is there
    has_times: bool = True  # every event has its seconds
    has_places: bool = True  # every event has its CPU and pid
    legend: list[str] = field(default_factory=list)  # what each character of the flags means
    # CPUs whose buffer starts later than the others'
    started: list[str] = field(default_factory=list)

    def flag(self, flags: str, name: str) -> str:
        """Return the character of the flags column that means `name`; "": there is none.

        Without a legend: PREEMPT_RT, which has more than five, puts need-resched-lazy third.
        """
        if name in self.legend:
            at = self.legend.index(name)
        else:
            at = 1 if name == LEGEND_RESCHED else 2 + (len(flags) > MAINLINE_FLAGS)
        return flags[at : at + 1]


MAINLINE_FLAGS = 5


def read_events(path: Path, facts: TraceText) -> Iterator[Event]:
    """Yield the events of a whole trace as `each_event` does; InputError: as `each_event`, fewer
    events than the header counts, or no event line at all."""
    yield from each_event(path, facts)
    if facts.entries is not None and facts.lines != facts.entries:
        shown = f"{facts.lines} of {facts.entries} lines"
        raise InputError(str(path), shown, "the trace is cut off: its header counts more lines")
    if not facts.lines and facts.entries is None and facts.format != TRACE_CMD:
        raise InputError(str(path), "no event", "a trace with at least one line")


def each_event(path: Path, facts: TraceText) -> Iterator[Event]:
    """Yield the events of a trace in file order, filling `facts`.

    InputError: a line that is none of the three forms, lost events, or a trace cut off within a
    line.

    Source: Linux 7.3 kernel/trace/trace.c (print_event_info, print_func_help_header_irq) and
    kernel/trace/trace_output.c (trace_print_context, trace_print_time), trace-cmd 3.1.6 and perf
    6.1 (printed lines).
    """
    for number, text in read_lines(path):
        line = text.rstrip()
        if not line or line.startswith("#"):
            _header(path, number, line, facts)
            continue
        if CPUS.fullmatch(line) and facts.lines == 0:
            facts.format = TRACE_CMD
            continue
        if not text.endswith("\n"):
            raise bad_line(path, number, text, f"{INCOMPLETE} cut off within this line")
        event = None
        if facts.format != PERF_SCRIPT:
            event = _of_ftrace(number, line, facts)
        if event is None and (facts.lines == 0 or facts.format == PERF_SCRIPT):
            if _is_below(path, number, line, facts.lines):
                continue
            event = _of_perf(number, line)
            if event is not None:
                facts.format = PERF_SCRIPT
        if event is None:
            raise _bad(path, number, line)
        facts.lines += 1
        facts.has_places &= NOT_KNOWN not in (event.cpu, event.pid)
        facts.has_times &= event.time != NO_TIME
        yield event if event.time != NO_TIME else event._replace(time=float(number))


NO_TIME = -1.0


def _of_ftrace(number: int, line: str, facts: TraceText) -> Event | None:
    """Return the event of a line that ftrace or trace-cmd report printed."""
    match = FTRACE_LINE.match(line)
    if match is None:
        return None
    flags = match["flags"] or ""
    facts.format = facts.format or FTRACE
    facts.has_flags |= bool(flags)
    facts.has_times &= "." in match["time"]
    return Event(
        line=number,
        cpu=int(match["cpu"]),
        pid=int(match["pid"]),
        context=facts.flag(flags, LEGEND_CONTEXT),
        resched=facts.flag(flags, LEGEND_RESCHED),
        name=match["event"],
        body=match["body"] or "",
        time=float(match["time"]),
    )


def _of_perf(number: int, line: str) -> Event | None:
    """Return the event of a line that perf script printed, with whatever fields (-F)."""
    time = PERF_TIME.search(line)
    if time is not None:
        task, seconds = line[: time.start()], float(time[1])
        found = PERF_EVENT.match(line[time.end() :])
        name, body = (found[1], found[2]) if found is not None else ("", "")
    else:
        untimed = PERF_UNTIMED.match(line.strip())
        if untimed is None:
            return None
        task, seconds = untimed[1] or "", NO_TIME
        name, body = untimed[2] or untimed[5], untimed[3] or untimed[6]
    place = PERF_TASK.search(task)
    if not name or place is None:
        return None
    pid, cpu = (NOT_KNOWN if text is None else int(text) for text in place.groups())
    return Event(number, cpu, pid, "", "", name, body or "", seconds)


def _is_below(path: Path, number: int, line: str, events: int) -> bool:
    """Return whether perf script printed a line below an event, or of no event that counts."""
    if (record := PERF_RECORD.search(line)) is not None:
        if record[1].startswith("LOST"):
            raise _bad(path, number, line)
        return True
    return (
        bool(events) and PERF_TIME.search(line) is None and PERF_BELOW.fullmatch(line) is not None
    )


def vector_of(path: Path, number: int, text: str) -> int:
    """Return the db_vector of an event of line `number`; InputError: no number below 64.

    Printed by a probe as a decimal number, or as a hexadecimal one with its 0x.
    """
    if VECTOR.fullmatch(text) is None or int(text, 0) >= DB_BITS_MAX:
        allowed = f"a vector number from 0 to {DB_BITS_MAX - 1}"
        raise bad_line(path, number, f"vector={text}", allowed)
    return int(text, 0)


def _header(path: Path, number: int, line: str, facts: TraceText) -> None:
    if STARTED.fullmatch(line):
        facts.started.append(line)
    if (named := LEGEND.match(line)) is not None:
        if named[1].startswith(LEGEND_FIRST):
            facts.legend.clear()
        facts.legend.append(named[1].removesuffix("/BH-disabled"))
    match = HEADER.match(line)
    if match is None:
        return
    entries, written = int(match[1]), int(match[2])
    if entries < written:
        lost = f"{written - entries} of {written} events were overwritten"
        why = f"{INCOMPLETE} {lost}; a larger buffer_size_kb keeps them"
        raise bad_line(path, number, line, why)
    facts.entries = entries
    facts.format = FTRACE


def _bad(path: Path, number: int, line: str) -> InputError:
    if (lost := LOST.search(line)) is not None:
        count = f"{lost[2]} events" if lost[2] else "events"
        return bad_line(path, number, line, f"{INCOMPLETE} CPU {lost[1]} lost {count} here")
    if (perf := PERF_LOST.search(line)) is not None:
        count = f"{perf[1]} events" if perf[1] else "events"
        return bad_line(path, number, line, f"{INCOMPLETE} perf lost {count} here")
    return bad_line(path, number, line, "a line of ftrace, trace-cmd report, or perf script")
