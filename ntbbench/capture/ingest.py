# SPDX-License-Identifier: BSD-3-Clause
"""Capture folders and single files, read into one record of measured numbers."""

from collections.abc import Callable, Sequence
from pathlib import Path

from ntbbench.capture.bounds import amplifications
from ntbbench.capture.measured import Irq, Measured, Softirq, Source
from ntbbench.capture.readers import file_kind as kinds
from ntbbench.capture.readers.bpftrace import read_bpftrace
from ntbbench.capture.readers.device_facts import point_facts
from ntbbench.capture.readers.doorbell_point import Qp, is_setup, read_point, read_state
from ntbbench.capture.readers.interrupt_facts import told_line, with_slot
from ntbbench.capture.readers.iperf3_file import Seen, read_iperf3
from ntbbench.capture.readers.ntb_interrupts import ACTIONS, Slot, find_slots
from ntbbench.capture.readers.proc import Delta, Row, changed, device_of, difference, read_snapshot
from ntbbench.capture.readers.qp_stats import find_stats, qp_runs, read_stats_file
from ntbbench.capture.readers.tool_output import (
    read_ethtool,
    read_info,
    read_ntb_perf,
    read_pingpong,
)
from ntbbench.capture.readers.trace import read_full_cpus, read_traced
from ntbbench.core.errors import InputError
from ntbbench.core.small_file import read_small

PARTS = ("before-interrupts", "before-softirqs", "before-stats", "trace", "capture")
PARTS_AFTER = ("after-interrupts", "after-softirqs", "after-stats")
FULL = "trace-full"
# Not read, or not as a file of its own: of a recording also its traffic's counts and its log.
TEXTS = frozenset({"kernel", "capture", "unread", "state", "point", "trace", FULL, "README.md"})
TEXTS |= {"sent", "received", "dmesg"}
FILES_MAX = 1000  # of one folder
CHANNELS = frozenset({"combined", "combined_max"})  # any network device has them
UNREAD_MAX = 100  # lines that are repeated


def ingest(paths: Sequence[Path]) -> Measured:
    """Read folders and files; a file that cannot be used is one line of `errors`.

    Parameters
    ----------
    paths : capture folders, folders of capture folders, or single files of a known format.
    """
    measured, runs = Measured(), Seen()
    for path in paths:
        for capture in _captures(path, measured.errors):
            _Capture(capture, measured, runs).read()
    return measured


def _captures(path: Path, errors: list[str]) -> list[Path]:
    """Return the capture folders or the one file that `path` stands for."""
    if not path.is_dir():
        return [path]
    if _is_capture(path) or not any(child.is_dir() for child in path.iterdir()):
        return [path]
    found = [child for child in sorted(path.iterdir()) if child.is_dir() and _is_capture(child)]
    if not found:
        errors.append(str(InputError("DIR", str(path), "holds no capture: " + ", ".join(PARTS))))
    return found


def _is_capture(folder: Path) -> bool:
    if is_setup(folder):
        return False
    return any((folder / part).exists() for part in (*PARTS, *PARTS_AFTER))


class _Capture:
    """One folder or file on its way into `measured`; each part fails by itself."""

    def __init__(self, path: Path, measured: Measured, runs: Seen) -> None:
        self.path = path
        self.measured = measured
        self.runs = runs  # of iperf3, of all captures: each counts once
        self.qps: tuple[Qp, ...] = ()

    def read(self) -> None:
        if not self.path.is_dir():
            self._try(self.path, lambda: self._file(self.path))
        else:
            self._folder()
        self._tell_lines()
        amplifications(self.measured, str(self.path))

    def _folder(self) -> None:
        self._pair("interrupts", self._interrupts)
        self._pair("softirqs", self._softirqs)
        self._pair("stats", self._stats)
        if (state := self.path / "state").is_file():
            self._try(state, lambda: self._state(state))
        if (point := self.path / "point").is_file():
            self._try(point, lambda: self._point(point))
        files = [p for p in sorted(self.path.iterdir()) if p.is_file() and p.name not in TEXTS]
        files += [p for name in ("ethtool", "info") for p in sorted(self.path.glob(f"{name}/*"))]
        if (trace := self.path / "trace").is_file():
            files.append(trace)
        for path in files[:FILES_MAX]:
            if not path.name.startswith(("before-", "after-")):
                self._try(path, lambda path=path: self._file(path))  # type: ignore[misc]
        if (unread := self.path / "unread").is_file():
            self._try(unread, lambda: self._unread(unread))
        if self._has_no_ntb():
            self.measured.without_ntb.append(str(self.path))
        if len(files) > FILES_MAX:
            self._error(InputError(str(self.path), len(files), f"at most {FILES_MAX} files"))
        if not any(source.capture == str(self.path) for source in self.measured.sources):
            self._error(
                InputError(
                    str(self.path), "nothing usable", "before- and after- snapshots, or a trace"
                )
            )

    def _unread(self, path: Path) -> None:
        """Repeat what `capture` could not read, each once: both snapshots meet the same."""
        told = dict.fromkeys(line.strip() for line in read_small(path).splitlines())
        texts = [text for text in told if text][:UNREAD_MAX]
        self.measured.cautions.extend(f"{self.path}: not captured: {text}" for text in texts)

    def _has_no_ntb(self) -> bool:
        """Return whether the interrupts were read, and neither they nor anything else is NTB's."""
        to = self.measured
        own = {source.name: source for source in to.sources if source.capture == str(self.path)}
        if not any(source.kind == kinds.INTERRUPTS.name for source in own.values()):
            return False
        found = [irq.source for irq in to.interrupts if irq.slot is not None]
        found += [qp.source for qp in to.qps] + [device.source for device in to.devices]
        found += [count.source for count in to.counts if count.name not in CHANNELS]
        found += [
            trace.source
            for trace in to.traces
            if trace.db_events or trace.woken or any(h.name in ACTIONS for h in trace.handlers)
        ]
        return own.keys().isdisjoint(found)

    def _try(self, path: Path, read: Callable[[], None]) -> None:
        try:
            read()
        except InputError as error:
            self._error(error)
        except OSError as error:
            self._error(InputError(str(path), "", f"cannot be read: {error.strerror}"))

    def _error(self, error: InputError) -> None:
        self.measured.errors.append(" ".join(str(error).split()))

    def _source(self, path: Path, kind: kinds.Kind) -> str:
        self.measured.sources.append(
            Source(
                name=str(path),
                capture=str(self.path),
                kind=kind.name,
                gives=kind.gives,
                cannot_tell=kind.cannot_tell,
            )
        )
        return str(path)

    def _pair(self, name: str, read: Callable[[Path, Path], None]) -> None:
        before, after = self.path / f"before-{name}", self.path / f"after-{name}"
        if before.exists() and after.exists():
            self._try(after, lambda: read(before, after))
        elif before.exists() or after.exists():
            there, gone = (before, after) if before.exists() else (after, before)
            self.measured.cautions.append(f"{there}: no {gone.name} beside it: no difference")

    def _interrupts(self, before: Path, after: Path) -> None:
        old, new = read_snapshot(before), read_snapshot(after)
        slots = find_slots(new.rows.values())
        noted: list[str] = []
        deltas = difference(old, new, noted)
        source = self._source(after, kinds.INTERRUPTS)
        self.measured.cautions.extend(noted)
        for label in dict.fromkeys((*slots, *changed(deltas))):
            row, slot = new.rows[label], slots.get(label)
            self.measured.interrupts.append(_irq(label, row, deltas[label], slot, source))

    def _tell_lines(self) -> None:
        """Tell the interrupt lines by what the other files say of their device."""
        to, own = self.measured, str(self.path)
        names = {source.name for source in to.sources if source.capture == own}
        facts = [device for device in to.devices if device.source in names]
        for index, irq in enumerate(to.interrupts):
            if irq.source in names:
                to.interrupts[index] = told = told_line(irq, facts)
                if told.others:
                    shared = f"line {irq.label} is shared with {', '.join(told.others)}"
                    at_most = f"{irq.source}: {shared}: NTB's interrupts are at most its count"
                    to.cautions.append(at_most)

    def _softirqs(self, before: Path, after: Path) -> None:
        old, new = read_snapshot(before), read_snapshot(after)
        noted: list[str] = []
        deltas = difference(old, new, noted)
        source = self._source(after, kinds.SOFTIRQS)
        self.measured.cautions.extend(noted)
        for label in changed(deltas):
            delta = deltas[label]
            self.measured.softirqs.append(
                Softirq(
                    name=label,
                    cpus=list(delta.cpus),
                    per_cpu=list(delta.per_cpu),
                    total=delta.total,
                    at_least=delta.at_least,
                    source=source,
                )
            )

    def _stats(self, before: Path, after: Path) -> None:
        old, new = find_stats(before), find_stats(after)
        source = ""
        for device, qp_num in sorted({*old, *new}):
            paths = old.get((device, qp_num)), new.get((device, qp_num))
            if paths[0] is None or paths[1] is None:
                self.measured.cautions.append(
                    f"{after}: {device} qp{qp_num} is in one snapshot only: its runs are not known"
                )
                continue
            readings = read_stats_file(paths[0]), read_stats_file(paths[1])
            source = source or self._source(after, kinds.STATS)
            runs = qp_runs(device, qp_num, readings, source, self.measured.cautions)
            self.measured.qps.append(runs)

    def _state(self, path: Path) -> None:
        self.qps = read_state(path)

    def _point(self, path: Path) -> None:
        facts = point_facts(read_point(path), str(path))
        self.measured.devices.append(facts)
        self._source(path, kinds.POINT)

    def _file(self, path: Path) -> None:
        kind, name, to = kinds.kind_of(path), str(path), self.measured
        if kind is kinds.TRACE:
            full_cpus = read_full_cpus(path.with_name(FULL)) if path.name == "trace" else []
            to.traces.append(read_traced(path, name, self.qps, to.cautions, full_cpus))
        elif kind is kinds.BPFTRACE:
            to.counts.extend(read_bpftrace(path, name, to.cautions))
        elif kind is kinds.IPERF3:
            to.throughput.extend(read_iperf3(path, name, to.cautions, self.runs))
        elif kind is kinds.NTB_PERF_KIND:
            to.throughput.extend(read_ntb_perf(path, name, to.cautions))
        elif kind is kinds.ETHTOOL:
            to.counts.extend(read_ethtool(path, name))
        elif kind is kinds.INFO:
            to.devices.append(read_info(path, name, to.cautions))
        else:
            to.counts.append(read_pingpong(path, name))
        self._source(path, kind)


def _irq(label: str, row: Row, delta: Delta, slot: Slot | None, source: str) -> Irq:
    irq = Irq(
        label=label,
        chip=row.chip,
        action=row.action,
        cpus=list(delta.cpus),
        per_cpu=list(delta.per_cpu),
        total=delta.total,
        at_least=delta.at_least,
        source=source,
        others=[] if slot is None else list(slot.others),
        device=device_of(row),
    )
    return irq if slot is None else with_slot(irq, slot)
