# SPDX-License-Identifier: BSD-3-Clause
"""Flows over ntb_netdev in every format: doorbells and runs by queue, throughput side by side."""

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from textwrap import wrap

import msgspec
from tabulate import tabulate

from ntbbench.lab.loopback.netdev_records import NetdevPoint, NetdevResult
from ntbbench.report.markdown import escaped
from ntbbench.report.views.lab_run import tree
from ntbbench.report.wording import ascii_only, plural

WIDTH = 80
HEADERS = ("flows", "vectors", "queues", "packets", "received", "runs an event", "Mbit/s", "ratio")
LISTS = (
    "doorbells_per_qp",
    "runs_per_qp",
    "predicted_runs_per_qp",
    "difference_per_qp",
    "least_runs_per_qp",
    "most_runs_per_qp",
)
NOTE = """\
runs: receive tasklet runs that ended on an empty ring (rx_ring_empty). ratio: throughput over \
that of the first point of the same pace. The guest's clock counts instructions where \
it is emulated: ratios tell what a packet costs, not what a board carries."""


def render_text(result: NetdevResult) -> str:
    """Return the result as plain ASCII of at most 80 columns."""
    table = tabulate([HEADERS, *_rows(result)], tablefmt="plain", disable_numparse=True)
    blocks = ["\n".join(_block(point)) for point in result.points]
    cautions = "\n".join(_folded(f"caution: {warning}") for warning in result.warnings)
    parts = [_folded(headline(result)), cautions, table, *blocks, _folded(NOTE)]
    return "\n\n".join(part for part in parts if part) + "\n"


def render_markdown(result: NetdevResult) -> str:
    """Return the result as Markdown: one table, then what speaks against it."""
    table = tabulate(list(_rows(result)), HEADERS, "pipe", disable_numparse=True)
    lines = [f"- {escaped(warning)}" for warning in result.warnings]
    for point in result.points:
        lines += [f"- {escaped(text)}" for text in (*_told(point),) if not point.agrees]
    ending = "\n" + "\n".join(lines) + "\n" if lines else ""
    return f"### ntbbench lab netdev\n\n{escaped(headline(result))}\n\n{table}\n{ending}"


def render_csv(result: NetdevResult) -> str:
    """Return one row a point and QP: the point's numbers, then those of the QP."""
    out = io.StringIO()
    scalars = [name for name in NetdevPoint.__struct_fields__ if name not in (*LISTS, "notes")]
    writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow([*scalars, "qp_num", *(name.removesuffix("_per_qp") for name in LISTS)])
    for point in result.points:
        shared = [getattr(point, name) for name in scalars]
        for qp_num in range(point.active_qps):
            lists = [getattr(point, name) for name in LISTS]
            writer.writerow([*shared, qp_num, *(x[qp_num] if x else None for x in lists)])
    return out.getvalue()


def render_json(result: NetdevResult) -> str:
    """Return the record itself, indented."""
    return msgspec.json.format(msgspec.json.encode(result), indent=2).decode() + "\n"


# `--format NAME` of lab netdev.
FORMATS: Mapping[str, Callable[[NetdevResult], str]] = {
    "text": render_text,
    "md": render_markdown,
    "csv": render_csv,
    "json": render_json,
}


def headline(result: NetdevResult) -> str:
    """Return in one sentence what was run, how many spaced points agree, and the fast apart."""
    spaced = [point.agrees for point in result.points if point.gap_us]
    fast = [point.agrees for point in result.points if not point.gap_us]
    counts = [f"the model agrees in {sum(spaced)} of {plural(len(spaced), 'spaced point')}"]
    counts += [f"{sum(fast)} of {len(fast)} fast in bounds, their runs not predicted"] * bool(fast)
    return (
        f"Linux {result.kernel} ({result.kernel_source}, {result.accelerator})"
        f"{tree(result.source_tree)}, UDP over ntb_netdev: {'; '.join(counts)}; "
        f"ping: {result.ping}"
    )


def verdict(point: NetdevPoint) -> str:
    """Return what the comparison says of a point."""
    if not point.agrees:
        return "DISAGREES"
    if point.gap_us:
        return "agrees"
    return "no packet lost, runs in bounds (not predicted: the flow is not spaced)"


def ratio(result: NetdevResult, point: NetdevPoint) -> float:
    """Return a point's throughput over that of the first point with the same gap."""
    first = next(other for other in result.points if other.gap_us == point.gap_us)
    return point.bits_per_second / first.bits_per_second


def _rows(result: NetdevResult) -> Iterator[tuple[str, ...]]:
    for point in result.points:
        yield (
            f"{point.gap_us} us apart" if point.gap_us else "fast",
            str(point.vectors),
            str(point.queues),
            str(point.packets_sent),
            str(point.packets_received),
            f"{point.runs_per_event:.2f}",
            f"{point.bits_per_second / 1e6:.1f}",
            f"{ratio(result, point):.3f}",
        )


def _block(point: NetdevPoint) -> Iterator[str]:
    first, *rest = _told(point)
    yield _folded(first)
    yield from (_folded(line, "  ") for line in rest)


def _told(point: NetdevPoint) -> Iterator[str]:
    """Yield a point's verdict, its numbers by QP, and why it does not agree."""
    yield f"{point.name}: {verdict(point)}"
    rows = [("doorbells", point.doorbells_per_qp), ("runs", point.runs_per_qp)]
    if point.predicted_runs_per_qp is not None:
        rows.append(("runs predicted", point.predicted_runs_per_qp))
    for name, numbers in rows:
        yield f"{name} by QP: {', '.join(map(str, numbers))}"
    if any(point.difference_per_qp or ()):
        shown = ", ".join(f"{number:+d}" for number in point.difference_per_qp or ())
        yield f"difference by QP: {shown} (all: {sum(point.difference_per_qp or ()):+d})"
    if not point.gap_us and point.most_runs_per_qp:
        bounds = zip(point.least_runs_per_qp, point.most_runs_per_qp, strict=True)
        yield f"bounds of the runs by QP: {', '.join(f'{low} .. {high}' for low, high in bounds)}"
    yield from point.notes


def _folded(text: str, indent: str = "") -> str:
    lines = wrap(ascii_only(text), WIDTH, initial_indent=indent, subsequent_indent=f"{indent}  ")
    return "\n".join(lines)
