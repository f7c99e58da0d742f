# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench ingest` in every format: each number with the source that gave it."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from ntbbench.capture.measured import Irq, Measured, Softirq, Throughput
from ntbbench.report.plain import (
    Table,
    csv_text,
    folded,
    json_text,
    markdown_tables,
    number,
    text_tables,
)

OTHERS_MAX = 12  # lines of /proc/interrupts of other devices that the text shows
CPUS_MAX = 6  # columns of CPUs in the text; with more, only the busiest are shown
UNKNOWN = "?"


def render_text(measured: Measured) -> str:
    """Return the measured numbers as plain ASCII of at most 80 columns."""
    lines = [line for text in _without_ntb(measured) for line in (*folded(text, ""), "")]
    lines += text_tables(list(_tables(measured)))
    for title, texts in (("Sources", _sources(measured)), ("Cautions", measured.cautions)):
        if texts:
            lines += ["", title]
            for text in texts:
                lines += folded(text, "  ")
    if measured.errors:
        lines += ["", f"Not used: {len(measured.errors)} (each has a line on stderr)"]
    return "\n".join(lines).strip("\n") + "\n"


def render_markdown(measured: Measured) -> str:
    """Return the measured numbers as Markdown tables, the sources below them."""
    lists = [
        ("Sources", _sources(measured)),
        ("Cautions", measured.cautions),
        ("Not used", measured.errors),
    ]
    above = [("No NTB", _without_ntb(measured))]
    tables = markdown_tables(list(_tables(measured)), lists)
    return f"{markdown_tables([], above)}\n{tables}" if measured.without_ntb else tables


def render_csv(measured: Measured) -> str:
    """Return one row a number: source, quantity, name, key, value, at_most (empty: not known)."""
    rows = list(_csv_rows(measured))
    return csv_text(["source", "quantity", "name", "key", "value", "at_most"], rows)


def render_json(measured: Measured) -> str:
    """Return the record of schema `ntbbench.measured/1`, indented."""
    return json_text(msgspec.json.encode(measured))


# `--format NAME` of ingest.
FORMATS: Mapping[str, Callable[[Measured], str]] = {
    "text": render_text,
    "md": render_markdown,
    "csv": render_csv,
    "json": render_json,
}


def _without_ntb(measured: Measured) -> list[str]:
    return [
        f"{capture}: no NTB here: no interrupt line of an NTB driver, no counters of "
        "ntb_transport, no trace of either (is the driver loaded?)"
        for capture in measured.without_ntb
    ]


def _sources(measured: Measured) -> list[str]:
    return [
        f"[{index}] {source.name} ({source.kind}) gives {source.gives}; cannot tell "
        f"{source.cannot_tell}"
        for index, source in enumerate(measured.sources, 1)
    ]


def _tables(measured: Measured) -> Iterator[Table]:
    refs = {source.name: f"[{i}]" for i, source in enumerate(measured.sources, 1)}
    yield _amplification(measured, refs)
    ntb = [irq for irq in measured.interrupts if irq.slot is not None]
    rest = [irq for irq in measured.interrupts if irq.slot is None]
    yield _counters("Interrupts of NTB lines", "line", ntb, refs)
    shown = sorted(rest, key=lambda irq: -irq.at_least)[:OTHERS_MAX]
    title = "Other interrupts"
    if len(rest) > OTHERS_MAX:
        title += f": the {OTHERS_MAX} busiest of {len(rest)}"
    yield _counters(title, "line", shown, refs)
    yield _counters("Softirqs", "softirq", measured.softirqs, refs)
    yield _qps(measured, refs)
    yield _traces(measured, refs)
    yield _woken(measured, refs)
    yield _throughput(measured, refs)
    rows = [
        [c.name, c.key, f">={c.value}" if c.is_lower_bound else str(c.value), refs[c.source]]
        for c in measured.counts
    ]
    yield Table("Counts of tools", ["name", "key", "count", "source"], rows)
    rows = [
        [d.db_valid_mask, "/".join(d.vector_masks) or "no callbacks", d.db_read, refs[d.source]]
        for d in measured.devices
    ]
    yield Table("Devices", ["valid mask", "vector masks", "db_read", "source"], rows)


def _amplification(measured: Measured, refs: Mapping[str, str]) -> Table:
    rows = [
        [
            row.quantity,
            _bounds(
                row.interrupts if row.interrupts_low is None else row.interrupts_low,
                row.interrupts,
            ),
            _bounds(row.count_low, row.count_high),
            _bounds(row.low, row.high),
            "".join(refs[name] for name in row.sources),
        ]
        for row in measured.amplification
    ]
    notes = list(dict.fromkeys(f"{row.quantity}: {row.note}" for row in measured.amplification))
    headers = ["quantity", "interrupts", "count", "an interrupt", "source"]
    return Table("Amplification: per doorbell interrupt", headers, rows, notes)


def _bounds(low: float | None, high: float | None) -> str:
    if low is None:
        return UNKNOWN
    if high == low:
        return number(low)
    return f"{number(low)}..{UNKNOWN if high is None else number(high)}"


def _counters(
    title: str, label: str, rows: Sequence[Irq] | Sequence[Softirq], refs: Mapping[str, str]
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
            *_named(row),
            *(number(_share(row, cpu)) if cpu in row.cpus else "" for cpu in cpus),
            _total(row),
            refs[row.source],
        ]
        for row in rows
    ]
    return Table(title, [label, "what", *cpus, "total", "source"], cells, notes)


def _total(row: Irq | Softirq) -> str:
    """Return the total, or the bound that it is: of what is known, or of a line's share."""
    if row.total is None:
        return f">={row.at_least}"
    return f"<={row.total}" if _is_shared(row) else str(row.total)


def _is_shared(row: Irq | Softirq) -> bool:
    return isinstance(row, Irq) and bool(row.others)


def _named(row: Irq | Softirq) -> list[str]:
    if isinstance(row, Softirq):
        return [row.name, ""]
    told = f"{row.action}: {row.role}" if row.role else row.action
    return [row.label, f"{told}; shared with {', '.join(row.others)}" if row.others else told]


def _share(row: Irq | Softirq, cpu: str) -> int | None:
    return row.per_cpu[row.cpus.index(cpu)] if cpu in row.cpus else None


def _qps(measured: Measured, refs: Mapping[str, str]) -> Table:
    rows = [
        [
            f"{qp.device} qp{qp.qp_num}",
            qp.link,
            number(qp.rx_pkts),
            number(qp.tx_pkts),
            _bounds(qp.runs_low, qp.runs_high) if qp.link != "down" else "-",
            refs[qp.source],
        ]
        for qp in measured.qps
    ]
    headers = ["QP", "link", "received", "sent", "runs", "source"]
    return Table("Receive-tasklet runs by QP, any cause", headers, rows)


def _traces(measured: Measured, refs: Mapping[str, str]) -> Table:
    rows = []
    for trace in measured.traces:
        ref = refs[trace.source]
        if trace.db_events is not None:
            rows.append(["doorbell events", str(trace.db_events), ref])
        for vector, count in trace.db_events_per_vector.items():
            rows.append([f"- of vector {vector}", str(count), ref])
        for handler in trace.handlers:
            total = sum(handler.per_cpu.values())
            cpus = " ".join(f"CPU{cpu}:{n}" for cpu, n in handler.per_cpu.items())
            rows.append([f"irq {handler.irq} {handler.name} ({cpus})", str(total), ref])
        for name, count in trace.softirqs.items():
            rows.append([f"softirq {name}", str(count), ref])
    return Table("Traced", ["what", "count", "source"], rows)


def _woken(measured: Measured, refs: Mapping[str, str]) -> Table:
    rows = [
        [
            woken.address if woken.qp_num is None else f"QP {woken.qp_num}",
            number(woken.doorbell),
            number(woken.other),
            number(woken.runs),
            refs[trace.source],
        ]
        for trace in measured.traces
        for woken in trace.woken
    ]
    headers = ["tasklet", "by doorbell", "by other causes", "runs", "source"]
    return Table("Wakeups and runs in the trace", headers, rows)


def _throughput(measured: Measured, refs: Mapping[str, str]) -> Table:
    rows = [
        [
            _rate_name(row, measured),
            f"{row.bits_per_second / 1e6:.1f}",
            number(row.retransmits),
            number(row.lost_percent),
            f"{number(row.cpu_host_percent)}/{number(row.cpu_remote_percent)}",
            refs[row.source],
        ]
        for row in measured.throughput
    ]
    headers = ["tool", "Mbit/s", "retrans", "lost %", "CPU %", "source"]
    return Table("Throughput", headers, rows)


def _rate_name(row: Throughput, measured: Measured) -> str:
    """Return what a rate is of; the direction where some run of its file went back."""
    back = any(r.source == row.source and r.direction == "reverse" for r in measured.throughput)
    told = f"{row.tool} {row.what}"
    return f"{told}, {row.direction}" if back and not told.endswith(row.direction) else told


def _csv_rows(measured: Measured) -> Iterator[list[object]]:
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
    for trace in measured.traces:
        for vector, count in trace.db_events_per_vector.items():
            yield [trace.source, "db_events", "vector", vector, count, count]
        for woken in trace.woken:
            key = woken.qp_num
            for quantity, value in (("doorbell wakeups", woken.doorbell), ("runs", woken.runs)):
                yield [trace.source, quantity, woken.address, key, value, value]
    for rate in measured.throughput:
        bits = rate.bits_per_second
        what = _rate_name(rate, measured).removeprefix(f"{rate.tool} ")
        yield [rate.source, "bits_per_second", rate.tool, what, bits, bits]
    for entry in measured.counts:
        most = None if entry.is_lower_bound else entry.value
        yield [entry.source, "count", entry.name, entry.key, entry.value, most]
