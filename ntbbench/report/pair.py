# SPDX-License-Identifier: BSD-3-Clause
"""A pair run in every text format: what the two drivers did, and what the model predicts."""

import csv
import io
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePath
from textwrap import wrap

import msgspec
from tabulate import tabulate

from ntbbench.lab.pair.records import UNAVAILABLE, PairPoint, PairResult
from ntbbench.report.markdown import escaped
from ntbbench.report.wording import ascii_only, plural

WIDTH = 80
NAME_WIDTH = 6  # of a driver in the summary: with `unavailable` there are 80 columns
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
    "\nverdict",
)
LEFT = (0, 1, 2, 3, 9)  # columns of words
NOTE = """\
doorbells: peer_db_set() calls of the sender; MSIs: raised towards the root complex; events: calls \
of ntb_transport's doorbell callback; runs: of all receive tasklets of the receiver."""


def render_text(result: PairResult) -> str:
    """Return the result as plain ASCII of at most 80 columns."""
    heads, names = zip(*(title.split("\n") for title in SUMMARY), strict=True)
    rows = [_summary(point) for point in result.points]
    align = ["left" if column in LEFT else "right" for column in range(len(SUMMARY))]
    # as rows: tabulate pads what it takes for a header by two more
    table = tabulate([heads, names, *rows], tablefmt="plain", disable_numparse=True, colalign=align)
    table = "\n".join(line.rstrip() for line in table.splitlines())
    blocks = [folded(headline(result)), table]
    blocks += ["\n".join(_block(point)) for point in result.points]
    blocks += ["\n".join(folded(warning) for warning in result.warnings)] * bool(result.warnings)
    return "\n\n".join([*blocks, folded(NOTE)]) + "\n"


def render_markdown(result: PairResult) -> str:
    """Return the result as Markdown: the summary, then each point folded."""
    names = [title.replace("-\n", "").strip() for title in SUMMARY]
    align = ["left" if column in LEFT else "right" for column in range(len(SUMMARY))]
    rows = [[escaped(text) for text in _summary(point)] for point in result.points]
    table = tabulate(rows, names, "pipe", disable_numparse=True, colalign=align)
    lines = ["### ntbbench lab pair", "", escaped(headline(result)), "", table, ""]
    for point in result.points:
        lines += [f"<details><summary>{escaped(title(point))}</summary>", ""]
        if point.link == "up" and point.status != UNAVAILABLE:
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


def headline(result: PairResult) -> str:
    """Return in one sentence what was run and how many points agree."""
    measured = [point for point in result.points if point.status != UNAVAILABLE]
    agreed = sum(point.agrees for point in measured)
    how = f"{result.kernel_source}, {result.accelerator}"
    how += "" if result.deterministic else ", not deterministic"
    text = f"Linux {result.kernel} ({how}): the model agrees in {agreed} of "
    text += plural(len(measured), "point")
    missing = len(result.points) - len(measured)
    text += f"; {missing} unavailable" if missing else ""
    return text if result.complete else f"{text}; not finished"


def verdict(point: PairPoint) -> str:
    """Return what the comparison says of a point."""
    if point.status == UNAVAILABLE:
        return "unavailable"
    if not point.agrees:
        return "DISAGREES"
    return "in bounds" if any(point.difference_per_qp) else "agrees"


def driver_name(name: str) -> str:
    """Return a driver's name without the folders of its path."""
    return PurePath(name).name if "/" in name else name


def title(point: PairPoint) -> str:
    """Return what a point is of, in one line."""
    setting = (
        f"{point.direction}, EP {driver_name(point.ep_driver)}, RC {driver_name(point.rc_driver)}, "
        f"{point.ep_slots} slots, {plural(point.mw_count, 'window')}, {point.doorbell}"
    )
    if point.queues is not None:
        setting += f", max_num_clients {point.queues}"
    if point.status == UNAVAILABLE or point.link == "down":
        return f"{setting}: {verdict(point)}"
    sent = f"{plural(point.flows, 'flow')} of {plural(point.packets, 'packet')}"
    return f"{setting}: {sent}, {point.gap_us} us apart: {verdict(point)}"


def patches_text(patches: list[int]) -> str:
    """Return patch numbers as a person writes them: none, 9-11, 1-7, 2,3,7."""
    if not patches:
        return "none"
    runs: list[list[int]] = []
    for number in sorted(patches):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in runs)


def _summary(point: PairPoint) -> list[str]:
    names = (point.ep_driver, point.rc_driver)
    shown = [short_name(ascii_only(driver_name(name))) for name in names]
    if point.status == UNAVAILABLE:
        return [point.direction, *shown, "-", *["-"] * 5, verdict(point)]
    counts = (
        point.doorbells_rung,
        point.msis_raised,
        point.events,
        sum(point.runs_per_qp),
        sum(point.predicted_runs_per_qp),
    )
    texts = ["-" if point.link == "down" else str(count) for count in counts]
    if point.direction == "rc-to-ep":
        texts[1] = "-"
    return [point.direction, *shown, point.link, *texts, verdict(point)]


def warned(point: PairPoint) -> list[str]:
    """Return what the kernel complained of, each line once with how often it came."""
    return [
        f"the kernel warned{f' {count} times' if count > 1 else ''}: {line}"
        for line, count in Counter(point.warnings).items()
    ]


def short_name(name: str) -> str:
    """Return a driver's name cut to what a table of 80 columns holds; titles have it whole."""
    return name if len(name) <= NAME_WIDTH else f"{name[: NAME_WIDTH - 2]}.."


def _block(point: PairPoint) -> Iterator[str]:
    yield folded(title(point))
    if point.link == "up" and point.status != UNAVAILABLE:
        table = tabulate(list(_rows(point)), HEADERS, "simple", colalign=("left", *["right"] * 3))
        yield from ("  " + line for line in table.splitlines())
    for line in [*_facts(point), *point.notes]:
        yield folded(line, "  ")
    for line in warned(point):
        yield folded(line, "  ")


def _facts(point: PairPoint) -> Iterator[str]:
    yield (
        f"patches found: EP {patches_text(point.ep_patches)}, RC {patches_text(point.rc_patches)}"
    )
    if point.cause:
        yield point.cause
    if point.status == UNAVAILABLE:
        return
    predicted = point.predicted_ep_qp_count, point.predicted_rc_qp_count
    measured = point.ep_qp_count, point.rc_qp_count
    counts = f"qp_count: EP {measured[0]}, RC {measured[1]}"
    counts += " (as predicted)" if measured == predicted else f" (predicted {predicted})"
    yield f"link {point.link} (predicted {point.predicted_link}); {counts}"
    if point.link == "down":
        return
    for side, links in (("EP", point.ep_qp_links), ("RC", point.rc_qp_links)):
        yield f"QP links of {side}: {_links(links)}"
    for name, counted in (
        ("MSIs by number", point.msis_per_number),
        ("predicted by number", point.predicted_msis_per_number if point.spaced else {}),
        ("events by vector", point.events_per_vector),
        ("predicted by vector", point.predicted_events_per_vector if point.spaced else {}),
    ):
        if counted:
            yield f"{name}: {', '.join(f'{key}: {count}' for key, count in counted.items())}"
    if not point.spaced:
        bounds = zip(point.least_runs_per_qp, point.most_runs_per_qp, strict=True)
        told = ", ".join(f"QP {qp}: {low} .. {high}" for qp, (low, high) in enumerate(bounds))
        yield f"runs that any order of these callbacks allows: {told}"


def _links(links: list[str]) -> str:
    if links and all(link == links[0] for link in links):
        return f"all {len(links)} {links[0]}"
    return ", ".join(f"{qp_num} {link}" for qp_num, link in enumerate(links)) or "none"


def _rows(point: PairPoint) -> Iterator[list[str]]:
    yield _row("packets sent", point.packets_sent, None)
    # Where a ring is lost its packet waits for what wakes the QP next, if anything does.
    arrive = point.packets_sent if point.predicted_verdict != "missed" else None
    yield _row("packets received", point.packets_received, arrive)
    yield _row("doorbells rung", point.doorbells_rung, None)
    exact = point.spaced
    if point.direction == "ep-to-rc":
        yield _row("MSIs raised", point.msis_raised, point.predicted_msis if exact else None)
    yield _row("doorbell events", point.events, point.predicted_events if exact else None)
    yield _row("tasklet runs", sum(point.runs_per_qp), sum(point.predicted_runs_per_qp))
    for qp_num, runs in enumerate(point.runs_per_qp):
        rung = point.doorbells_per_qp[qp_num] if qp_num < len(point.doorbells_per_qp) else 0
        name = f"  runs of QP {qp_num} ({plural(rung, 'ring')})"
        yield _row(name, runs, point.predicted_runs_per_qp[qp_num])


def _row(name: str, measured: int, predicted: int | None) -> list[str]:
    if predicted is None:
        return [name, str(measured), "", ""]
    difference = measured - predicted
    return [name, str(measured), str(predicted), f"{difference:+d}" if difference else "0"]


def _flat(value: object) -> object:
    """Return a value as one CSV cell: a list joined by blanks, a count by key as `key:count`."""
    if isinstance(value, list):
        return " ".join(map(str, value))
    if isinstance(value, dict):
        return " ".join(f"{key}:{count}" for key, count in value.items())
    return "" if value is None else value


def folded(text: str, indent: str = "") -> str:
    """Return `text` in lines of at most WIDTH columns of ASCII, the first one indented less."""
    lines = wrap(
        ascii_only(text), WIDTH, initial_indent=indent, subsequent_indent=indent + "  ",
        break_on_hyphens=False,
    )  # fmt: skip
    return "\n".join(lines)
