# SPDX-License-Identifier: BSD-3-Clause
"""A pair run in every text format: what the two drivers did, and what the model predicts."""

import csv
import io
from collections.abc import Iterator

import msgspec
from tabulate import tabulate

from ntbbench.lab.pair.records import OK, PairPoint, PairResult
from ntbbench.pair.drivers.slots import slot_of
from ntbbench.report.markdown import escaped
from ntbbench.report.pair_words import (
    NONE,
    NOTE,
    WIDTH,
    allowed_runs,
    behaviours,
    between,
    difference,
    fitting,
    has_counts,
    headline,
    judgement,
    named,
    qp_counts,
    short_name,
    slots_text,
    title,
    untried,
    warned,
)
from ntbbench.report.wording import folded, plural

RANGE_WIDTH = 9  # of a range in the summary: with counts of five digits there are 80 columns
HEADERS = ("", "measured", "predicted", "difference")
SUMMARY = (
    "\ndirection",
    "\nEP",
    "\nRC",
    "\nlink",
    "door-\nbells",
    "\nMSIs",
    "\nevents",
    "\nruns",
    "pre-\ndicted",
    "\nmodel",
)
LEFT = (0, 1, 2, 3, 9)  # columns of words


def render_text(result: PairResult) -> str:
    """Return the result as plain ASCII of at most 80 columns."""
    result = named(result)
    drivers = [name for point in result.points for name in (point.ep_driver, point.rc_driver)]
    table = fitting(lambda width: _table(result.points, width), drivers)
    blocks = [folded(headline(result)), table, *map(folded, untried(result))]
    blocks += ["\n".join(_block(point)) for point in result.points]
    blocks += ["\n".join(folded(warning) for warning in result.warnings)] * bool(result.warnings)
    return "\n\n".join([*blocks, folded(NOTE)]) + "\n"


def _table(points: list[PairPoint], width: int) -> str:
    heads, names = zip(*(title.split("\n") for title in SUMMARY), strict=True)
    rows = [_summary(point, width) for point in points]
    align = ["left" if column in LEFT else "right" for column in range(len(SUMMARY))]
    # as rows: tabulate pads what it takes for a header by two more
    table = tabulate([heads, names, *rows], tablefmt="plain", disable_numparse=True, colalign=align)
    return "\n".join(line.rstrip() for line in table.splitlines())


def render_markdown(result: PairResult) -> str:
    """Return the result as Markdown: the summary, then each point folded."""
    result = named(result)
    names = [title.replace("-\n", "").strip() for title in SUMMARY]
    align = ["left" if column in LEFT else "right" for column in range(len(SUMMARY))]
    rows = [[escaped(text) for text in _summary(point, WIDTH)] for point in result.points]
    table = tabulate(rows, names, "pipe", disable_numparse=True, colalign=align)
    lines = ["### ntbbench lab pair", "", escaped(headline(result)), "", table, ""]
    lines += [part for line in untried(result) for part in (escaped(line), "")]
    for point in result.points:
        lines += [f"<details><summary>{escaped(title(point))}</summary>", ""]
        if has_counts(point):
            aligned = ("left", *["right"] * 3)
            lines += [tabulate(list(_rows(point)), HEADERS, "pipe", colalign=aligned), ""]
        told = [*_facts(point), *point.notes, *warned(point)]
        lines += [*(f"- {escaped(line)}" for line in told), "", "</details>", ""]
    lines += [f"- {escaped(warning)}" for warning in result.warnings]
    return "\n".join(lines).rstrip() + "\n"


def render_csv(result: PairResult) -> str:
    """Return one row a point and QP: the point's values, then those of the QP.

    A point without a link has one row, with an empty qp_num.
    """
    out = io.StringIO()
    fields = [f.name for f in msgspec.structs.fields(PairPoint)]
    lists = [name for name in fields if name.endswith("_per_qp")]
    scalars = [name for name in fields if name not in lists]
    writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow([*scalars, "qp_num", *(name.removesuffix("_per_qp") for name in lists)])
    for point in result.points:
        shared = [_flat(getattr(point, name)) for name in scalars]
        for qp_num in range(len(point.runs_per_qp)):
            values = [getattr(point, name) for name in lists]
            numbers = [value[qp_num] if qp_num < len(value) else "" for value in values]
            writer.writerow([*shared, qp_num, *numbers])
        if not point.runs_per_qp:
            writer.writerow([*shared, "", *("" for _ in lists)])
    return out.getvalue()


def render_json(result: PairResult) -> str:
    """Return the result as JSON: the keys and values of the saved file, indented."""
    return msgspec.json.format(msgspec.json.encode(result), indent=2).decode() + "\n"


def _summary(point: PairPoint, width: int) -> list[str]:
    shown = [short_name(name, width) for name in (point.ep_driver, point.rc_driver)]
    if point.status != OK:
        return [point.direction, *shown, "-", *["-"] * 5, judgement(point)]
    counts = (
        str(point.doorbells_rung),
        str(point.msis_raised),
        str(point.events),
        str(sum(point.runs_per_qp)),
        _short_range(*allowed_runs(point)),
    )
    texts = ["-" if point.link == "down" else count for count in counts]
    if point.direction == "rc-to-ep":
        texts[1] = "-"
    return [point.direction, *shown, point.link, *texts, judgement(point)]


def _short_range(low: int, high: int) -> str:
    """Return a range that a narrow column holds: a long one in thousands, rounded outwards."""
    text = between(low, high)
    return text if len(text) <= RANGE_WIDTH else f"{low // 1000}k-{-(-high // 1000)}k"


def _block(point: PairPoint) -> Iterator[str]:
    yield folded(title(point))
    if has_counts(point):
        table = tabulate(list(_rows(point)), HEADERS, "simple", colalign=("left", *["right"] * 3))
        yield from ("  " + line for line in table.splitlines())
    for line in [*_facts(point), *point.notes]:
        yield folded(line, "  ")
    for line in warned(point):
        yield folded(line, "  ")


def _facts(point: PairPoint) -> Iterator[str]:
    yield from behaviours(point)
    no_device = point.ep_qp_count is None and point.rc_qp_count is None
    if point.cause and (point.status != OK or not no_device):
        yield point.cause
    if point.status != OK:
        return
    predicted = qp_counts(point.predicted_ep_qp_count, point.predicted_rc_qp_count)
    measured = qp_counts(point.ep_qp_count, point.rc_qp_count)
    counts = f"qp_count: {measured}"
    counts += " (as predicted)" if measured == predicted else f" (predicted {predicted})"
    counts += f": {point.cause}" if no_device else ""
    yield f"link {point.link} (predicted {point.predicted_link}); {counts}"
    if point.link == "down":
        return
    if point.verdict:
        yield f"doorbells: {point.verdict} (predicted {point.predicted_verdict})"
    if point.doorbells_rung:
        yield f"runs a doorbell: {sum(point.runs_per_qp) / point.doorbells_rung:.2f}"
    for side, links in (("EP", point.ep_qp_links), ("RC", point.rc_qp_links)):
        yield f"QP links of {side}: {_links(links)}"
    yield from _slots(point)
    for name, counted, predicted_counts in (
        ("MSIs by number", point.msis_per_number, point.predicted_msis_per_number),
        ("events by vector", point.events_per_vector, point.predicted_events_per_vector),
    ):
        yield from _keyed(name, counted, predicted_counts if point.spaced else None)
    if not point.spaced and point.difference_per_qp:
        told = ", ".join(f"QP {qp}: {n}" for qp, n in enumerate(point.predicted_runs_per_qp))
        yield f"estimate of the runs: {told}"


def _slots(point: PairPoint) -> Iterator[str]:
    """Yield which slot each bit rang, beside the one that peers of any version know."""
    rang = point.slots_per_bit
    told = ", ".join(f"{bit}: {slots_text(slots)}" for bit, slots in rang.items())
    known = {bit: [slot_of(int(bit))] for bit in rang}
    wanted = ", ".join(f"{bit}: {slots_text(slots)}" for bit, slots in known.items())
    if rang:
        how = "as expected" if rang == known else f"expected {wanted}"
        yield f"slots by doorbell bit: {told} ({how})"
    if point.direction == "rc-to-ep" and point.slots_per_number:
        yield f"doorbells by slot: {_by_key(point.slots_per_number)}"


def _keyed(name: str, counted: dict[str, int], predicted: dict[str, int] | None) -> Iterator[str]:
    """Yield counts by number or vector, and their prediction where it is another one."""
    told = f"{name}: {_by_key(counted)}"
    if predicted is not None:
        same = counted == predicted
        told += " (as predicted)" if same else f" (predicted {_by_key(predicted)})"
    if counted or predicted:
        yield told


def _by_key(counts: dict[str, int]) -> str:
    return ", ".join(f"{key}: {count}" for key, count in counts.items()) or NONE


def _links(links: list[str]) -> str:
    if links and all(link == links[0] for link in links):
        return f"all {len(links)} {links[0]}"
    return ", ".join(f"{qp_num} {link}" for qp_num, link in enumerate(links)) or "none"


def _rows(point: PairPoint) -> Iterator[list[str]]:
    # Where a ring is lost its packet waits for what wakes the QP next, if anything does.
    arrive = (point.packets_sent,) * 2 if point.predicted_verdict != "missed" else None
    yield _row("packets sent", point.packets_sent, None)
    yield _row("packets received", point.packets_received, arrive)
    yield _row("doorbells rung", point.doorbells_rung, None)
    msis = (point.predicted_msis,) * 2 if point.spaced else (point.least_msis, point.most_msis)
    events = (
        (point.least_events, point.most_events)
        if point.most_events
        else (point.predicted_events,) * 2
    )
    if point.direction == "ep-to-rc":
        yield _row("MSIs raised", point.msis_raised, msis)
    yield _row("doorbell events", point.events, events)
    yield _row("tasklet runs", sum(point.runs_per_qp), allowed_runs(point))
    for qp_num, runs in enumerate(point.runs_per_qp):
        rung = point.doorbells_per_qp[qp_num] if qp_num < len(point.doorbells_per_qp) else 0
        allowed = point.least_runs_per_qp[qp_num], point.most_runs_per_qp[qp_num]
        yield _row(f"  runs of QP {qp_num} ({plural(rung, 'ring')})", runs, allowed)


def _row(name: str, measured: int, allowed: tuple[int, int] | None) -> list[str]:
    if allowed is None:
        return [name, str(measured), "", ""]
    return [name, str(measured), between(*allowed), difference(measured, *allowed)]


def _flat(value: object) -> object:
    """Return a value as one CSV cell: a list joined by blanks, a count by key as `key:count`."""
    if isinstance(value, list):
        return " ".join(map(str, value))
    if isinstance(value, dict):
        texts = {key: slots_text(v) if isinstance(v, list) else v for key, v in value.items()}
        return " ".join(f"{key}:{text}" for key, text in texts.items())
    return "" if value is None else value
