# SPDX-License-Identifier: BSD-3-Clause
"""What captures measured: each number with the source that gave it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ntbbench.capture.records import (
    Amplification,
    DeviceFacts,
    Irq,
    Measured,
    MeasuredCount,
    QpRuns,
    Softirq,
    Throughput,
    Traced,
    Woken,
)
from ntbbench.capture.tool_records import LatencySummary
from ntbbench.report.document import (
    Block,
    Cell,
    Column,
    Document,
    Notes,
    Sheet,
    Table,
    column,
    words,
)
from ntbbench.report.views.record_tables import amount_cell, field_table, span, span_cell
from ntbbench.report.views.run_times import run_times, time_rows
from ntbbench.report.views.transmit import csv_rows, rings
from ntbbench.report.wording import plural

NO_REPLY = "no reply came: no latency"
PERCENTILES = ("50", "99", "99.9")  # shown where a run has them; --format json has all
LATENCIES = ("average", "least", "most", "deviation")
OTHERS_MAX = 12  # lines of /proc/interrupts of other devices
VECTORS_MAX = 8  # whose masks are shown one by one
CPUS_MAX = 6  # columns of CPUs; of more, the busiest
CSV = ("source", "quantity", "name", "key", "value", "at_most")
SOURCE = column(Irq, "source")  # as of every number
WHAT = Column("what", align="left")
Refs = Mapping[str, str]  # a source's name -> its number in the list of sources


def document(measured: Measured) -> Document:
    """Return the report of what was measured."""
    without = [
        f"{capture}: no NTB here: no interrupt line of an NTB driver, no counters of "
        "ntb_transport, no trace of either (is the driver loaded?)"
        for capture in measured.without_ntb
    ]
    first, *others = [*without, verdict_of(measured)]
    return Document(
        title="ntbbench ingest",
        verdict=first,
        record=measured,
        lines=others,
        blocks=[*_blocks(measured)],
        warnings=[(caution, ()) for caution in dict.fromkeys(measured.cautions)],
        sheet=lambda: Sheet(CSV, _csv_rows(measured)),
    )


def verdict_of(measured: Measured) -> str:
    """Return in one sentence what each doorbell interrupt made, over all captures."""
    captures = {source.name: source.capture for source in measured.sources}
    tightest: dict[str, dict[str, Amplification]] = {}  # quantity -> capture -> row
    for row in sorted(measured.amplification, key=_width):
        tightest.setdefault(row.quantity, {}).setdefault(captures[row.sources[0]], row)
    told = [f"{_overall(rows.values())} {quantity}" for quantity, rows in sorted(tightest.items())]
    answer = f"{' and '.join(told)} per doorbell interrupt"
    if not told and not measured.throughput and measured.latencies:
        means = [row.average for row in measured.latencies if row.average is not None]
        answer = f"latency {span(min(means) * 1e6, max(means) * 1e6)} us" if means else NO_REPLY
    elif not told and not measured.throughput and measured.failures:
        answer = f"{measured.failures[0].split(': ', 1)[1]}{_more(measured.failures)}"
    elif not told and measured.throughput:
        rates = [row.bits_per_second / 1e6 for row in measured.throughput]
        answer = f"throughput {span(min(rates), max(rates))} Mbit/s"
    elif not told:
        answer = "wakeups and runs per doorbell interrupt are not known"
    read = f"; {plural(len(set(captures.values())), 'capture')} read"
    lost = f"; {plural(len(measured.errors), 'file')} not used" if measured.errors else ""
    return f"{answer[:1].upper()}{answer[1:]}{read}{lost}"


def _more(failures: Sequence[str]) -> str:
    return f", and {len(failures) - 1} more failed" if len(failures) > 1 else ""


def _width(row: Amplification) -> float:
    return float("inf") if row.high is None else row.high - row.low


def _overall(rows: Iterable[Amplification]) -> str:
    highs = [row.high for row in rows]
    known = [high for high in highs if high is not None]
    return span(min(row.low for row in rows), max(known) if len(known) == len(highs) else None)


def _blocks(measured: Measured) -> Iterator[Block]:
    refs = {source.name: f"[{i}]" for i, source in enumerate(measured.sources, 1)}

    def source(row: Any) -> Cell:
        return Cell(refs[row.source])

    table = field_table(
        "Wakeups and runs per doorbell interrupt",
        Amplification,
        ("quantity", "interrupts", "count_low", "low", "sources"),
        measured.amplification,
        interrupts=lambda row: span_cell(
            row.interrupts if row.interrupts_low is None else row.interrupts_low, row.interrupts
        ),
        count_low=lambda row: span_cell(row.count_low, row.count_high),
        low=lambda row: span_cell(row.low, row.high),
        sources=lambda row: Cell("".join(refs[name] for name in row.sources)),
    )
    notes = list(dict.fromkeys(f"{row.quantity}: {row.note}" for row in measured.amplification))
    yield replace(table, notes=notes)
    yield from _all_counters(measured, refs)
    yield field_table(
        "Receive-tasklet runs by QP, any cause",
        QpRuns,
        ("device", "qp_num", "link", "rx_pkts", "tx_pkts", "runs_low", "source"),
        measured.qps,
        runs_low=lambda qp: (
            Cell("-") if qp.link == "down" else span_cell(qp.runs_low, qp.runs_high)
        ),
        source=source,
    )
    yield rings(measured.transmits, source)
    yield run_times(measured.run_times, source)
    yield from _traces(measured.traces, refs)
    yield _throughput(measured, refs)
    yield _latencies(measured.latencies, refs)
    yield field_table(
        "Counts of tools",
        MeasuredCount,
        ("name", "key", "value", "source"),
        measured.counts,
        value=lambda count: Cell(f"{'>=' * count.is_lower_bound}{count.value}", count.value),
        source=source,
    )
    yield field_table(
        "Devices",
        DeviceFacts,
        ("driver", "db_valid_mask", "vector_masks", "db_read", "source"),
        measured.devices,
        driver=lambda device: Cell(device.driver or "?"),
        db_valid_mask=_doorbells,
        vector_masks=_vectors,
        source=source,
    )
    yield Notes("Failed", [(failure, ()) for failure in measured.failures])
    yield Notes("Sources", _sources(measured))
    yield Notes("Not used", [(error, ()) for error in measured.errors])


def _doorbells(device: DeviceFacts) -> Cell:
    count = int(device.db_valid_mask, 16).bit_count()
    return Cell(f"{device.db_valid_mask} ({plural(count, 'doorbell')})")


def _vectors(device: DeviceFacts) -> Cell:
    """Return the masks of a few vectors, or of many what they have in common."""
    masks = [int(mask, 16) for mask in device.vector_masks]
    bits = [vector for vector, mask in enumerate(masks) if mask]
    if len(masks) <= VECTORS_MAX or any(masks[n] != 1 << n for n in bits):
        return Cell("/".join(device.vector_masks) or "no callbacks")
    rest = f", {len(masks) - len(bits)} without" if len(bits) < len(masks) else ""
    return Cell(f"{len(masks)}: bit n of vector n{rest}")


def _sources(measured: Measured) -> list[tuple[str, list[str]]]:
    kinds: dict[str, list[str]] = {}
    for number, source in enumerate(measured.sources, 1):
        text = f"{source.kind} gives {source.gives}; cannot tell {source.cannot_tell}"
        kinds.setdefault(text, []).append(f"[{number}] {source.name}")
    return list(kinds.items())


def _all_counters(measured: Measured, refs: Refs) -> Iterator[Table]:
    rest = [irq for irq in measured.interrupts if irq.slot is None]
    busiest = sorted(rest, key=lambda irq: -irq.at_least)[:OTHERS_MAX]
    of = f": the {OTHERS_MAX} busiest of {len(rest)}" if len(rest) > OTHERS_MAX else ""
    ntb = [irq for irq in measured.interrupts if irq.slot is not None]
    yield _counters("Interrupts of NTB lines", column(Irq, "label"), ntb, refs)
    yield _counters(f"Other interrupts{of}", column(Irq, "label"), busiest, refs)
    yield _counters("Softirqs", column(Softirq, "name"), measured.softirqs, refs)


def _counters(
    title: str, label: Column, rows: Sequence[Irq] | Sequence[Softirq], refs: Refs
) -> Table:
    cpus = list(dict.fromkeys(cpu for row in rows for cpu in row.cpus))
    notes = []
    if len(cpus) > CPUS_MAX:
        load = {cpu: sum(_share(row, cpu) or 0 for row in rows) for cpu in cpus}
        busiest = sorted(cpus, key=lambda cpu: -load[cpu])[:CPUS_MAX]
        notes.append(f"the {CPUS_MAX} busiest of {len(cpus)} CPUs; --format json has all")
        cpus = [cpu for cpu in cpus if cpu in busiest]
    cells = [
        [
            *words(*_named(row)),
            *(amount_cell(_share(row, cpu)) if cpu in row.cpus else Cell("") for cpu in cpus),
            Cell(_total(row), row.at_least),
            Cell(refs[row.source]),
        ]
        for row in rows
    ]
    columns = [label, WHAT, *map(Column, cpus), column(Irq, "total"), SOURCE]
    return Table(title, columns, cells, notes)


def _total(row: Irq | Softirq) -> str:
    """Return the total, or the bound that it is: of what is known, or of a line's share."""
    if row.total is None:
        return f">={row.at_least}"
    return f"<={row.total}" if _is_shared(row) else str(row.total)


def _is_shared(row: Irq | Softirq) -> bool:
    return isinstance(row, Irq) and bool(row.others)


def _named(row: Irq | Softirq) -> tuple[str, str]:
    if isinstance(row, Softirq):
        return row.name, ""
    told = f"{row.action}: {row.role}" if row.role else row.action
    return row.label, f"{told}; shared with {', '.join(row.others)}" if row.others else told


def _share(row: Irq | Softirq, cpu: str) -> int | None:
    return row.per_cpu[row.cpus.index(cpu)] if cpu in row.cpus else None


def _traces(traces: Sequence[Traced], refs: Refs) -> Iterator[Table]:
    counts = [(*count, refs[trace.source]) for trace in traces for count in _counts(trace)]
    yield Table("Traced", [WHAT, Column("count"), SOURCE], [words(*row) for row in counts])
    names = ("address", "doorbell", "other", "runs")
    sources = {id(woken): refs[trace.source] for trace in traces for woken in trace.woken}
    table = field_table(
        "Wakeups and runs in the trace",
        Woken,
        names,
        [woken for trace in traces for woken in trace.woken],
        address=lambda w: Cell(w.address if w.qp_num is None else f"QP {w.qp_num}"),
    )
    rows = [[*row, Cell(source)] for row, source in zip(table.rows, sources.values(), strict=True)]
    yield replace(table, columns=[*table.columns, SOURCE], rows=rows)


def _counts(trace: Traced) -> Iterator[tuple[str, int]]:
    if trace.db_events is not None:
        yield "doorbell events", trace.db_events
    yield from ((f"- of vector {v}", n) for v, n in trace.db_events_per_vector.items())
    if trace.schedules is not None:
        yield "schedules of any tasklet", trace.schedules
    for handler in trace.handlers:
        cpus = " ".join(f"CPU{cpu}:{n}" for cpu, n in handler.per_cpu.items())
        yield f"irq {handler.irq} {handler.name} ({cpus})", sum(handler.per_cpu.values())
    yield from ((f"softirq {name}", n) for name, n in trace.softirqs.items())


def _throughput(measured: Measured, refs: Refs) -> Table:
    names = ("retransmits", "lost_percent", "cpu_host_percent", "cpu_remote_percent", "source")
    table = field_table(
        "Throughput",
        Throughput,
        ("tool", "bits_per_second", *names),
        measured.throughput,
        tool=lambda row: Cell(f"{row.tool} {_rate_of(row, measured)}"),
        bits_per_second=lambda row: Cell(f"{row.bits_per_second / 1e6:.1f}", row.bits_per_second),
        source=lambda row: Cell(refs[row.source]),
    )
    tool, _, *others = table.columns
    return replace(table, columns=[tool, Column("Mbit/s"), *others])


def _latencies(rows: Sequence[LatencySummary], refs: Refs) -> Table:
    """Return the latencies in microseconds, with the percentiles that some run has."""
    shown = [name for name in PERCENTILES if any(name in row.percentiles for row in rows)]
    cells = [
        [
            Cell(f"{row.tool}, {row.what}"),
            *(_microseconds(getattr(row, name)) for name in LATENCIES),
            *(_microseconds(row.percentiles.get(p)) for p in shown),
            amount_cell(row.samples),
            amount_cell(row.lost_percent),
            Cell(refs[row.source]),
        ]
        for row in rows
    ]
    columns = [
        column(LatencySummary, "tool"),
        *map(Column, ("mean", "min", "max", "SD")),
        *(Column(f"p{p}") for p in shown),
        column(LatencySummary, "samples"),
        column(LatencySummary, "lost_percent"),
        SOURCE,
    ]
    return Table("Latency (us)", columns, cells, [])


def _microseconds(seconds: float | None) -> Cell:
    return Cell("-") if seconds is None else Cell(f"{seconds * 1e6:.4g}", seconds)


def _rate_of(row: Throughput, measured: Measured) -> str:
    """Return what a rate is of; the direction where some run of its file went back."""
    back = any(r.source == row.source and r.direction == "reverse" for r in measured.throughput)
    is_told = not back or row.what.endswith(row.direction)
    return row.what if is_told else f"{row.what}, {row.direction}"


def _csv_rows(measured: Measured) -> Iterator[list[object]]:
    """Yield one row per number; `at_most` is empty where no upper bound is known."""
    for row in measured.amplification:
        yield [" + ".join(row.sources), "amplification", row.quantity, "", row.low, row.high]
    counters: list[tuple[str, Irq | Softirq]] = [("interrupts", i) for i in measured.interrupts]
    counters += [("softirqs", s) for s in measured.softirqs]
    for quantity, counter in counters:
        name = " ".join(part for part in _named(counter) if part)
        for cpu, count in zip(counter.cpus, counter.per_cpu, strict=True):
            known = None if _is_shared(counter) else count  # of NTB's share of a line
            yield [counter.source, quantity, name, cpu, known, count]
    for qp in measured.qps:
        yield [qp.source, "runs", qp.device, qp.qp_num, qp.runs_low, qp.runs_high]
        yield [qp.source, "rx_pkts", qp.device, qp.qp_num, qp.rx_pkts, qp.rx_pkts]
    yield from csv_rows(measured.transmits)
    yield from time_rows(measured.run_times)
    for trace in measured.traces:
        for vector, count in trace.db_events_per_vector.items():
            yield [trace.source, "db_events", "vector", vector, count, count]
        for woken in trace.woken:
            for quantity, value in (("doorbell wakeups", woken.doorbell), ("runs", woken.runs)):
                yield [trace.source, quantity, woken.address, woken.qp_num, value, value]
    for rate in measured.throughput:
        bits = rate.bits_per_second
        yield [rate.source, "bits_per_second", rate.tool, _rate_of(rate, measured), bits, bits]
    for latency in measured.latencies:
        named = {name: getattr(latency, name) for name in LATENCIES}
        named |= {f"p{p}": seconds for p, seconds in latency.percentiles.items()}
        yield from ([latency.source, "latency", latency.tool, n, s, s] for n, s in named.items())
    for entry in measured.counts:
        most = None if entry.is_lower_bound else entry.value
        yield [entry.source, "count", entry.name, entry.key, entry.value, most]
