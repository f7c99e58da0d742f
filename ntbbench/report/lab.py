# SPDX-License-Identifier: BSD-3-Clause
"""A lab run in every text format: what the kernel did, and what the model predicts."""

import csv
import io
from collections.abc import Callable, Iterator, Mapping

import msgspec
from tabulate import tabulate

from ntbbench.lab.loopback.records import LabPoint, LabResult
from ntbbench.report.markdown import escaped
from ntbbench.report.wording import folded, plural

# Rows of a point's table: what is counted, and how measured and predicted read from a point.
TOTALS: tuple[tuple[str, Callable[[LabPoint], int], Callable[[LabPoint], int | None]], ...] = (
    ("doorbells rung", lambda p: p.doorbells_rung, lambda p: None),
    ("doorbell events", lambda p: p.events, lambda p: None),
    ("packets received", lambda p: p.packets_received, lambda p: p.packets * len(p.sending_qps)),
    ("tasklet schedules", lambda p: p.tasklet_schedules, lambda p: p.predicted_tasklet_schedules),
    ("tasklet runs", lambda p: sum(p.runs_per_qp), lambda p: sum(p.predicted_runs_per_qp)),
)
HEADERS = ("", "measured", "predicted", "difference")
SUMMARY = (
    "vec-\ntors",
    "db_read",
    "door-\nbells",
    "events",
    "sche-\ndules",
    "runs",
    "pre-\ndicted",
    "a door-\nbell",
    "verdict",
)
NOTE = """\
vectors 0: the device has no db_vector_count and db_vector_mask; k: bit b belongs to vector b % k.
db_read latched: a served doorbell adds one empty run, the race check."""


def render_text(result: LabResult) -> str:
    """Return the result as plain ASCII of at most 80 columns."""
    rows = [(*_summary(p), f"{amplification(p):.2f}", verdict(p)) for p in result.points]
    tops, names = zip(*(f"\n{name}".rsplit("\n", 2)[-2:] for name in SUMMARY), strict=True)
    # as rows: tabulate pads what it takes for a header by two more
    table = tabulate(
        [tops, names, *rows], tablefmt="plain", disable_numparse=True, colalign=_align(len(SUMMARY))
    )
    blocks = [folded(headline(result)), table]
    blocks += ["\n".join(_block(point)) for point in result.points]
    blocks += ["\n".join(folded(warning) for warning in result.warnings)] * bool(result.warnings)
    return "\n\n".join([*blocks, "\n".join(folded(line) for line in NOTE.splitlines())]) + "\n"


def render_markdown(result: LabResult) -> str:
    """Return the result as Markdown: the summary, then each point folded."""
    names = [name.replace("-\n", "").replace("\n", " ") for name in SUMMARY]
    rows = [
        [*map(str, _summary(p)), f"**{amplification(p):.2f}**", verdict(p)] for p in result.points
    ]
    lines = [
        "### ntbbench lab",
        "",
        escaped(headline(result)),
        "",
        tabulate(rows, names, "pipe", disable_numparse=True, colalign=_align(len(names))),
        "",
    ]
    for point in result.points:
        lines += [f"<details><summary>{escaped(title(point))}</summary>", ""]
        lines += [tabulate(_rows(point), HEADERS, "pipe", colalign=_align(4, left=1)), ""]
        lines += [*(f"- {escaped(note)}" for note in point.notes), "", "</details>", ""]
    lines += [f"- {escaped(warning)}" for warning in result.warnings]
    return "\n".join(lines).rstrip() + "\n"


def render_csv(result: LabResult) -> str:
    """Return one row a point and QP: the point's counts, then those of the QP."""
    out = io.StringIO()
    scalars = [f.name for f in msgspec.structs.fields(LabPoint) if f.type in (int, str, bool)]
    lists = [name for name in LabPoint.__struct_fields__ if name.endswith("_per_qp")]
    names = ["qp_num", *(name.removesuffix("_per_qp") for name in lists)]
    writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow([*scalars, *names])
    for point in result.points:
        shared = [getattr(point, name) for name in scalars]
        for qp_num in range(len(point.runs_per_qp)):
            writer.writerow([*shared, qp_num, *(getattr(point, name)[qp_num] for name in lists)])
    return out.getvalue()


def render_json(result: LabResult) -> str:
    """Return the result as JSON: the keys and values of the saved file, indented."""
    return msgspec.json.format(msgspec.json.encode(result), indent=2).decode() + "\n"


# `--format NAME` of lab run.
FORMATS: Mapping[str, Callable[[LabResult], str]] = {
    "text": render_text,
    "md": render_markdown,
    "csv": render_csv,
    "json": render_json,
}


def headline(result: LabResult) -> str:
    """Return in one sentence what was run and how many points agree."""
    agreed = sum(point.agrees for point in result.points)
    return (
        f"Linux {result.kernel} ({result.kernel_source}, {result.accelerator})"
        f"{tree(result.source_tree)}: the model agrees "
        f"in {agreed} of {plural(len(result.points), 'point')}"
    )


def tree(source_tree: str) -> str:
    """Return where the NTB files are from if not from the kernel itself, for a headline."""
    return f", its NTB files from --source {source_tree}" if source_tree else ""


def verdict(point: LabPoint) -> str:
    """Return what the comparison says of a point."""
    if not point.agrees:
        return "DISAGREES"
    return "agrees" if not any(point.difference_per_qp) else "in bounds"


def amplification(point: LabPoint) -> float:
    """Return the tasklet runs a doorbell."""
    return sum(point.runs_per_qp) / max(point.doorbells_rung, 1)


def title(point: LabPoint) -> str:
    """Return what a point is of, in one line."""
    vectors = plural(point.vectors, "vector") if point.vectors else "no vector callbacks"
    qps = ", ".join(map(str, point.sending_qps))
    order = "in turn" if point.order == "turn" else "together"
    return (
        f"{vectors}, db_read {point.db_read}: {plural(point.packets, 'packet')} each by QP {qps} "
        f"of {point.queues}, {order}, {point.gap_us} us apart: {verdict(point)}"
    )


def _summary(point: LabPoint) -> tuple[object, ...]:
    return (
        point.vectors,
        point.db_read,
        point.doorbells_rung,
        point.events,
        point.tasklet_schedules,
        sum(point.runs_per_qp),
        sum(point.predicted_runs_per_qp),
    )


def _block(point: LabPoint) -> Iterator[str]:
    yield folded(title(point))
    table = tabulate(_rows(point), HEADERS, "simple", colalign=_align(4, left=1))
    yield from ("  " + line for line in table.splitlines())
    events = ", ".join(f"{vector}: {count}" for vector, count in point.events_per_vector.items())
    yield folded(f"events by vector: {events}", "  ")
    if not point.spaced:
        bounds = zip(point.least_runs_per_qp, point.most_runs_per_qp, strict=True)
        told = ", ".join(f"QP {qp}: {low} .. {high}" for qp, (low, high) in enumerate(bounds))
        yield folded(f"runs that any order of these doorbells allows: {told}", "  ")
    for note in point.notes:
        yield folded(note, "  ")


def _rows(point: LabPoint) -> Iterator[list[str]]:
    for name, measured, predicted in TOTALS:
        yield _row(name, measured(point), predicted(point))
    pairs = zip(point.runs_per_qp, point.predicted_runs_per_qp, strict=True)
    for qp_num, (runs, expected) in enumerate(pairs):
        yield _row(f"  runs of QP {qp_num}", runs, expected)


def _row(name: str, measured: int, predicted: int | None) -> list[str]:
    if predicted is None:
        return [name, str(measured), "", ""]
    difference = measured - predicted
    return [name, str(measured), str(predicted), f"{difference:+d}" if difference else "0"]


def _align(width: int, left: int = 0) -> tuple[str, ...]:
    return ("left",) * left + ("right",) * (width - left)
