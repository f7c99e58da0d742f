# SPDX-License-Identifier: BSD-3-Clause
"""Capture folders and single files, read into one record of measured numbers.

Among them are wakeups and runs per doorbell interrupt, with the bounds that the sources allow.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ntbbench.capture.readers import Known, Reader, earlier
from ntbbench.capture.readers.bpftrace import BPFTRACE
from ntbbench.capture.readers.device_info import IDT_INFO, INFO, PERF_INFO
from ntbbench.capture.readers.doorbell_point import POINT, STATE, is_setup
from ntbbench.capture.readers.intervals import CAPTURE, CARRIER_CHANGES
from ntbbench.capture.readers.iperf3 import IPERF3
from ntbbench.capture.readers.irq_lines import ACTIONS, INTERRUPTS, told_line
from ntbbench.capture.readers.kernel_log import LOG, RELEASE_FILE
from ntbbench.capture.readers.latency import LATENCY
from ntbbench.capture.readers.ntb_perf import PERF
from ntbbench.capture.readers.proc import SOFTIRQS
from ntbbench.capture.readers.qp_stats import STATS
from ntbbench.capture.readers.tool_output import CHANNELS, ETHTOOL, PINGPONG, UNREAD
from ntbbench.capture.readers.trace import FULL, TRACE
from ntbbench.capture.records import (
    Amplification,
    Irq,
    Measured,
    MeasuredCount,
    QpRuns,
    Source,
    Traced,
)
from ntbbench.core.errors import InputError
from ntbbench.core.input_file import reading
from ntbbench.core.text_file import read_head

# In the order in which a folder is read. Of the beginnings the first that matches counts: any text
# that no other reader knows may be a trace.
READERS = (
    *(INTERRUPTS, SOFTIRQS, STATS, CARRIER_CHANGES),
    *(STATE, POINT, RELEASE_FILE, CAPTURE),
    *(BPFTRACE, IPERF3, LATENCY, ETHTOOL, INFO, IDT_INFO, PERF_INFO, PERF, PINGPONG, LOG, TRACE),
    UNREAD,
)
HEAD = 4096  # characters that tell the kind
BINARY = {"\x17\x08Dtracing": "trace-cmd report -i", "PERFILE2": "perf script -i"}
LONE_HEADS = ("CPU0", "NTB QP stats")  # how a snapshot of counters begins
LONE = "one snapshot: counts are differences, give a folder with before- and after- snapshots"


def reader_of(path: Path) -> Reader:
    """Return the reader of a single file, told by its beginning; InputError: it cannot be read, is
    empty, binary, or a lone snapshot of counters."""
    if path.exists() and not path.is_file():
        raise InputError(str(path), "no regular file", "a file (save what a pipe gives first)")
    head = read_head(path, HEAD)
    for magic, command in BINARY.items():
        if head.startswith(magic):
            raise InputError(str(path), "binary", f"the text that `{command} FILE` prints")
    if "\0" in head or not head.strip():
        raise InputError(str(path), "binary" if head.strip() else "empty", "a text file")
    head = head.lstrip()
    if head.startswith(LONE_HEADS):
        raise InputError(str(path), head.split("\n")[0].strip()[:40], LONE)
    return next(reader for reader in READERS if reader.begins is not None and reader.begins(head))


SNAPSHOTS = [reader for reader in READERS if reader.snapshots]
NAMED = [reader for reader in READERS if reader.file and reader is not UNREAD]
SNAPSHOT = ("before-", "after-")
# Any of these makes a folder a capture; the first ones are named where there is none.
PARTS = (*(f"before-{reader.snapshots}" for reader in SNAPSHOTS), "trace", "capture")
PARTS_AFTER = tuple(f"after-{reader.snapshots}" for reader in SNAPSHOTS)
DMESG = "dmesg"  # read whatever it begins with; most say nothing of NTB
# Not read, or not as a file of its own: of a recording also its traffic's counts and its log.
STDOUT = "stdout"  # of the command that a capture brackets
OF_COMMANDS = (IPERF3,)  # what is read of it; any other text is no measurement
TEXTS = {"capture", "trace", FULL, "README.md", "sent", "received", DMESG, STDOUT}
TEXTS |= {reader.file for reader in (*NAMED, UNREAD)}
BELOW = ("ethtool", "info")  # folders of a capture that hold a file a device
FILES_MAX = 1000  # of one folder


def ingest(paths: Sequence[Path]) -> Measured:
    """Read folders and files; a file that cannot be used is one line of `errors`.

    `paths`: capture folders, folders of capture folders, or single files of a known format.
    """
    measured, runs = Measured(), Known().runs
    for path in paths:
        for capture in _captures(path, measured.errors):
            _add(measured, _Capture(capture, Known(runs=runs)).read())
    return measured


def _add(to: Measured, found: Measured) -> None:
    for name in Measured.__struct_fields__[1:]:
        getattr(to, name).extend(getattr(found, name))


def _captures(path: Path, errors: list[str]) -> list[Path]:
    if not path.is_dir():
        return [path]
    if is_capture(path) or not any(child.is_dir() for child in path.iterdir()):
        return [path]
    found = [child for child in sorted(path.iterdir()) if child.is_dir() and is_capture(child)]
    if not found:
        errors.append(str(InputError("DIR", str(path), "holds no capture: " + ", ".join(PARTS))))
    return found


def is_capture(folder: Path) -> bool:
    """Return whether a folder holds a part of a capture by its name."""
    parts = (*PARTS, *PARTS_AFTER)
    return not is_setup(folder) and any((folder / part).exists() for part in parts)


class _Capture:
    """One folder or file; each of its parts fails by itself."""

    def __init__(self, path: Path, known: Known) -> None:
        self.path = path
        self.known = known
        self.found = Measured()

    def read(self) -> Measured:
        if self.path.is_dir():
            self._folder()
        else:
            self._try(self.path)
        self._tell_lines()
        amplifications(self.found, str(self.path))
        return self.found

    def _folder(self) -> None:
        for reader in SNAPSHOTS:
            self._pair(reader)
        for reader in NAMED:
            self._if_there(reader)
        if (log := self.path / DMESG).is_file():
            self._try(log, LOG)
        files = [p for p in sorted(self.path.iterdir()) if p.is_file() and p.name not in TEXTS]
        files += [p for name in BELOW for p in sorted(self.path.glob(f"{name}/*"))]
        files += [trace] if (trace := self.path / "trace").is_file() else []
        for path in files[:FILES_MAX]:
            if not path.name.startswith(SNAPSHOT):
                self._try(path)
        self._stdout()
        self._if_there(UNREAD)
        if self._has_no_ntb():
            self.found.without_ntb.append(str(self.path))
        if len(files) > FILES_MAX:
            self._error(InputError(str(self.path), len(files), f"at most {FILES_MAX} files"))
        if not (self.found.sources or self.found.errors):
            allowed = "before- and after- snapshots, or a trace"
            self._error(InputError(str(self.path), "nothing usable", allowed))

    def _stdout(self) -> None:
        path = self.path / STDOUT
        head = read_head(path, HEAD).lstrip() if path.is_file() else ""
        for reader in OF_COMMANDS:
            if head and reader.begins is not None and reader.begins(head):
                self._try(path, reader)

    def _if_there(self, reader: Reader) -> None:
        if (path := self.path / reader.file).is_file():
            self._try(path, reader)

    def _pair(self, reader: Reader) -> None:
        after = self.path / f"after-{reader.snapshots}"
        before = earlier(after)
        if before.exists() and after.exists():
            self._try(after, reader)
        elif before.exists() or after.exists():
            there, gone = (before, after) if before.exists() else (after, before)
            self.found.cautions.append(f"{there}: no {gone.name} beside it: no difference")

    def _try(self, path: Path, reader: Reader | None = None) -> None:
        try:
            with reading(path):
                reader = reader or reader_of(path)
                found = reader.read(path, self.known)
        except InputError as error:
            self._error(error)
        except OSError as error:
            self._error(InputError(str(path), "", f"cannot be read: {error.strerror}"))
        else:
            is_silent = path.name == DMESG and not (found.clues or found.throughput)
            if reader.gives and not is_silent:
                found.sources.append(
                    Source(
                        name=str(path),
                        capture=str(self.path),
                        kind=reader.name,
                        gives=reader.gives,
                        cannot_tell=reader.cannot_tell,
                    )
                )
            _add(self.found, found)

    def _error(self, error: InputError) -> None:
        self.found.errors.append(" ".join(str(error).split()))

    def _has_no_ntb(self) -> bool:
        found = self.found
        return any(source.kind == INTERRUPTS.name for source in found.sources) and not (
            any(irq.slot is not None for irq in found.interrupts)
            or found.qps
            or found.devices
            or any(count.name not in CHANNELS for count in found.counts)
            or any(t.db_events or t.woken for t in found.traces)
            or any(handler.name in ACTIONS for t in found.traces for handler in t.handlers)
        )

    def _tell_lines(self) -> None:
        for index, irq in enumerate(self.found.interrupts):
            self.found.interrupts[index] = told = told_line(irq, self.found.devices)
            if told.others:
                shared = f"line {irq.label} is shared with {', '.join(told.others)}"
                at_most = f"{irq.source}: {shared}: NTB's interrupts are at most its count"
                self.found.cautions.append(at_most)


RUNS, WAKEUPS = "runs", "doorbell wakeups"
ABOVE = (
    "runs by any cause (doorbell, race check, buffer repost, full budget, link): "
    "the doorbell's own wakeups are at most this"
)
EXACT_WAKEUPS = "exact: calls that set SCHED; merged calls leave no trace"
EXACT_RUNS = "exact: runs by any cause, each one in the trace"
EXACT_MAP = "exact, as the program counts {} and @events"
LEAST_MAP = "at least: {} is a lower bound: a map was full or cleared, or a helper failed"
MANY = "; runs of all devices together"
BEYOND = "; the snapshots cover more than the trace"
NOT_KNOWN = "interrupts of a doorbell line are not known: no amplification from them"


class Interrupts(NamedTuple):
    """The doorbell interrupts of a capture, between `low` and `high`, and where they are from."""

    low: int
    high: int
    source: str
    note: str


def amplifications(found: Measured, capture: str) -> None:
    """Add the amplification of one capture, or a caution that says why there is none."""
    lines = [irq for irq in found.interrupts if irq.is_doorbell]
    interrupts = None
    if any(line.total is None for line in lines):
        found.cautions.append(f"{capture}: {NOT_KNOWN}")
    else:
        interrupts = _of_lines(lines) if lines else _of_traces(found.traces)
    for trace in found.traces:
        found.amplification.extend(_of_trace(trace, found.qps))
    if found.qps:
        why = "no doorbell interrupt was counted" if lines else "no source of interrupts"
        row = _of_stats(found.qps, interrupts) if interrupts and interrupts.high else why
        if isinstance(row, str):
            found.cautions.append(f"{capture}: {row}: no amplification from the stats")
        else:
            found.amplification.append(row)
    for source in sorted({count.source for count in found.counts}):
        _of_maps(found, [count for count in found.counts if count.source == source])


def at_most(line: Irq) -> str:
    """Return why not all interrupts of a line need be doorbells."""
    shared = f"is shared with {', '.join(line.others)}" if line.others else "may be link events"
    return f"doorbells are at most the interrupts of line {line.label}, which {shared}"


def _of_lines(lines: list[Irq]) -> Interrupts:
    doubtful = [line for line in lines if line.is_upper_bound and line.at_least]
    high = sum(line.at_least for line in lines)
    low = high - sum(line.at_least for line in doubtful)
    return Interrupts(low, high, lines[0].source, "; ".join([ABOVE, *map(at_most, doubtful)]))


def _of_traces(traces: list[Traced]) -> Interrupts | None:
    """Return the doorbell events of the first trace that counters may be held against.

    They cover more than a trace that is cut: no runs of theirs fit its doorbells.
    """
    for trace in traces:
        if trace.db_events and not trace.is_cut and not trace.has_lost:
            return Interrupts(trace.db_events, trace.db_events, trace.source, ABOVE + BEYOND)
    return None


def _of_stats(qps: list[QpRuns], interrupts: Interrupts) -> Amplification | str:
    up = [qp for qp in qps if qp.link != "down"]
    lows = [qp.runs_low for qp in up if qp.runs_low is not None]
    highs = [qp.runs_high for qp in up if qp.runs_high is not None]
    if len(lows) < len(up) or not up:
        return "the runs of a QP are not known"
    many = MANY if len({qp.device for qp in up}) > 1 else ""
    high = sum(highs) if len(highs) == len(up) else None
    sources = [interrupts.source, up[0].source]
    return _row(RUNS, interrupts[:2], (sum(lows), high), sources, interrupts.note + many)


def _row(
    quantity: str,
    interrupts: tuple[int, int],
    counts: tuple[int, int | None],
    sources: list[str],
    note: str,
) -> Amplification:
    (least, most), (low, high) = interrupts, counts
    return Amplification(
        quantity=quantity,
        interrupts=most,
        interrupts_low=least if least < most else None,
        count_low=low,
        count_high=high,
        low=low / most,
        high=high / least if high is not None and least else None,
        sources=sources,
        note=note,
    )


def _of_trace(trace: Traced, qps: list[QpRuns]) -> Iterator[Amplification]:
    events = trace.db_events
    if not events:
        return
    absent = _absent(trace, qps)
    for quantity, low, high, doubts, exact in (
        (WAKEUPS, trace.wakeups_low, trace.wakeups_high, trace.wakeups_doubts, EXACT_WAKEUPS),
        (RUNS, trace.runs_low, trace.runs_high, trace.runs_doubts, EXACT_RUNS),
    ):
        if low is not None:
            most = None if absent else high
            why = "; ".join([*doubts, *absent])
            note = f"{'at least' if most is None else 'between these'}: {why}" if why else exact
            yield _row(quantity, (events, events), (low, most), [trace.source], note)


def _absent(trace: Traced, qps: list[QpRuns]) -> list[str]:
    ran = {(qp.device, qp.qp_num) for qp in qps if qp.runs_low}
    numbers = [woken.qp_num for woken in trace.woken]
    if None in numbers:
        more = len(ran) > len(numbers)
        return [f"{len(ran)} QPs ran by their counters, the trace has {len(numbers)}"] * more
    absent = sorted({qp_num for _, qp_num in ran} - {*numbers})
    return [f"QP {qp_num} ran by its counters and is not in the trace" for qp_num in absent]


def _of_maps(found: Measured, counts: Sequence[MeasuredCount]) -> None:
    """Add @wake and @runs per @events where a bpftrace program counted them.

    With a lower bound of the events a ratio has no bounds.
    """
    events = [count for count in counts if count.name == "@events"]
    interrupts = sum(count.value for count in events)
    for name, quantity in (("@wake", WAKEUPS), ("@runs", RUNS)):
        entries = [count for count in counts if count.name == name]
        if interrupts <= 0 or not entries:
            continue
        source = entries[0].source
        if any(count.is_lower_bound for count in events):
            why = f"@events is a lower bound: no amplification from {name}"
            found.cautions.append(f"{source}: {why}")
            continue
        total = sum(count.value for count in entries)
        is_least = any(count.is_lower_bound for count in entries)
        note = (LEAST_MAP if is_least else EXACT_MAP).format(name)
        high = None if is_least else total
        row = _row(quantity, (interrupts, interrupts), (total, high), [source], note)
        found.amplification.append(row)
