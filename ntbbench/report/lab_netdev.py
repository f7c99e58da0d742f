# SPDX-License-Identifier: BSD-3-Clause
"""Flows over ntb_netdev in every format: doorbells and runs by queue, throughput side by side."""

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from textwrap import wrap

import msgspec
from tabulate import tabulate

from ntbbench.lab.netdev_records import NetdevPoint, NetdevResult
from ntbbench.report.markdown import escaped
from ntbbench.report.wording import ascii_only, plural

WIDTH = 80
HEADERS = ("flows", "vectors", "queues", "packets", "received", "runs an event", "Mbit/s", "ratio")
LISTS = ("doorbells_per_qp", "runs_per_qp", "predicted_runs_per_qp")
NOTE = """\
runs: receive tasklet runs that ended on an empty ring (rx_ring_empty). ratio: throughput over \
that of the first point of the same pace. The guest's clock counts instructions where \
it is emulated: ratios tell what a packet costs, not what a board carries."""


def render_text(result: NetdevResult) -> str:
    """Return the result as plain ASCII of at most 80 columns."""
    table = tabulate([HEADERS, *_rows(result)], tablefmt="plain", disable_numparse=True)
    blocks = ["\n".join(_block(point)) for point in result.points]
    return "\n\n".join([_folded(headline(result)), table, *blocks, _folded(NOTE)]) + "\n"


def render_markdown(result: NetdevResult) -> str:
    """Return the result as Markdown: one table."""
    table = tabulate(list(_rows(result)), HEADERS, "pipe", disable_numparse=True)
    return f"### ntbbench lab netdev\n\n{escaped(headline(result))}\n\n{table}\n"


def render_csv(result: NetdevResult) -> str:
    """Return one row a point and QP: the point's numbers, then those of the QP."""
    out = io.StringIO()
    scalars = [name for name in NetdevPoint.__struct_fields__ if name not in LISTS]
    writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow([*scalars, "qp_num", "doorbells", "runs", "predicted_runs"])
    for point in result.points:
        shared = [getattr(point, name) for name in scalars]
        for qp_num in range(point.active_qps):
            lists = [getattr(point, name) for name in LISTS]
            writer.writerow([*shared, qp_num, *(None if x is None else x[qp_num] for x in lists)])
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
    """Return in one sentence what was run and how many points agree."""
    agreed = sum(point.agrees for point in result.points)
    return (
        f"Linux {result.kernel} ({result.kernel_source}, {result.accelerator}), UDP over "
        f"ntb_netdev: {agreed} of {plural(len(result.points), 'point')} as they must be; "
        f"ping: {result.ping}"
    )


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
    verdict = "as it must be" if point.agrees else "DISAGREES"
    yield _folded(f"{point.name}: {verdict}")
    expected = point.predicted_runs_per_qp
    for name, numbers in (
        ("doorbells", point.doorbells_per_qp),
        ("runs", point.runs_per_qp),
        *([("runs predicted", expected)] if expected is not None else []),
    ):
        yield _folded(f"{name} by QP: {', '.join(map(str, numbers))}", "  ")


def _folded(text: str, indent: str = "") -> str:
    lines = wrap(ascii_only(text), WIDTH, initial_indent=indent, subsequent_indent=f"{indent}  ")
    return "\n".join(lines)
