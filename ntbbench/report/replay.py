# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench replay` in every format: recorded and predicted side by side."""

import csv
import io
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from textwrap import wrap

import msgspec
from tabulate import tabulate

from ntbbench.capture.replay.records import (
    AGREES,
    DISAGREES,
    EXPLAINED,
    Difference,
    Replay,
    ReplayPoint,
    Side,
    points_of,
)
from ntbbench.report.markdown import escaped
from ntbbench.report.wording import ascii_only, plural

WIDTH = 80
NAME_MIN = 10  # of a recording in the summary; its block has the whole name
GAP = 2  # tabulate puts two spaces between columns
ALIGN = ("left", "right", "right", "right")
HEADERS = ("", "recorded", "predicted", "difference")
SUMMARY_TOPS = ("", "inter-", "wakeups", "", "runs", "", "")
SUMMARY_HEADERS = ("recording", "rupts", "rec.", "pred.", "rec.", "pred.", "verdict")
VERDICTS = {
    AGREES: "agrees",
    EXPLAINED: "explained",
    DISAGREES: "DISAGREES",
}
NOTE = """\
wakeups: tasklets put on a list, by any cause. schedule calls: of the doorbell
callback; merged ones met SCHED set and leave no trace, so what is recorded is
derived. race check: a run that finds its bit in db_read() schedules itself."""


def render_text(replay: Replay) -> str:
    """Return the replay as plain ASCII of at most 80 columns."""
    points = points_of(replay)
    blocks = [_summary(points)] if len(points) > 1 else []
    blocks += ["\n".join(_block(point)) for point in points]
    return "\n\n".join([*blocks, NOTE]) + "\n"


def render_markdown(replay: Replay) -> str:
    """Return the replay as Markdown: one table a recording, its differences below it."""
    return "\n".join(line for point in points_of(replay) for line in _markdown(point))


def render_csv(replay: Replay) -> str:
    """Return one row a quantity: name, quantity, qp_num (empty: all QPs), recorded, predicted."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow(["name", "quantity", "qp_num", "recorded", "predicted"])
    for point in points_of(replay):
        for quantity, recorded, predicted in _numbers(point):
            writer.writerow([point.name, quantity, None, recorded, predicted])
        for quantity, recorded_list, predicted_list in _lists(point):
            for qp_num, pair in enumerate(zip(recorded_list, predicted_list, strict=True)):
                writer.writerow([point.name, quantity, qp_num, *pair])
    return out.getvalue()


def render_json(replay: Replay) -> str:
    """Return the replay as JSON of schema `ntbbench.replay/1`, indented."""
    record = msgspec.to_builtins(replay)
    ordered = {"schema": record.pop("schema"), **record}
    return msgspec.json.format(msgspec.json.encode(ordered), indent=2).decode() + "\n"


# `--format NAME` of replay.
FORMATS: Mapping[str, Callable[[Replay], str]] = {
    "text": render_text,
    "md": render_markdown,
    "csv": render_csv,
    "json": render_json,
}


def _summary(points: Sequence[ReplayPoint]) -> str:
    """Return one line a recording, below what their verdicts sum up to."""
    rows = [
        (
            str(point.recorded.interrupts),
            str(point.recorded.wakeups),
            str(point.predicted.wakeups),
            str(point.recorded.runs),
            str(point.predicted.runs),
            VERDICTS[point.verdict],
        )
        for point in points
    ]
    columns = zip(*rows, SUMMARY_TOPS[1:], SUMMARY_HEADERS[1:], strict=True)
    room = WIDTH - sum(GAP + max(map(len, column)) for column in columns)
    names = [_short(point.name, max(room, NAME_MIN)) for point in points]
    named = [(name, *row) for name, row in zip(names, rows, strict=True)]
    lines = tabulate(
        [SUMMARY_TOPS, SUMMARY_HEADERS, *named],
        tablefmt="plain",  # its header would pad every column by two more
        disable_numparse=True,
        colalign=("left", *["right"] * 5, "left"),
    ).splitlines()
    lines.insert(2, "-" * max(map(len, lines)))
    counts = [
        f"{sum(point.verdict == verdict for point in points)} {told}"
        for verdict, told in (
            (AGREES, "agree"),
            (EXPLAINED, "differ and are explained"),
            (DISAGREES, "disagree"),
        )
    ]
    head = f"{plural(len(points), 'recording')}: {', '.join(counts)}"
    return "\n".join([head, "", *(line.rstrip() for line in lines)])


def _block(point: ReplayPoint) -> Iterator[str]:
    """Yield the lines of one recording: what it is, the numbers, the differences, the cautions."""
    yield from wrap(f"{ascii_only(point.name)}: {VERDICTS[point.verdict]}", WIDTH)
    yield from _folded(_setup(point), "  ")
    rows = [[label, r, p, f"{r - p:+d}" if r != p else ""] for label, r, p in _rows(point)]
    table = tabulate(rows, HEADERS, "simple", colalign=ALIGN)
    yield from ("  " + line for line in table.splitlines())
    for line in _told(point.differences):
        yield from _folded(line, "  ")
    for caution in point.cautions:
        yield from _folded(f"caution: {ascii_only(caution)}", "  ")
    yield from _folded(f"prediction uses {'; '.join(point.prediction_uses)}", "  ")


def _markdown(point: ReplayPoint) -> Iterator[str]:
    yield f"### {escaped(point.name)}: {VERDICTS[point.verdict]}\n"
    yield escaped(_setup(point)) + "\n"
    rows = [[label, r, p, f"{r - p:+d}" if r != p else ""] for label, r, p in _rows(point)]
    yield tabulate(rows, HEADERS, "github", colalign=ALIGN) + "\n"
    notes = [*_told(point.differences), *(f"caution: {c}" for c in point.cautions)]
    notes.append(f"prediction uses {'; '.join(point.prediction_uses)}")
    yield "\n".join(f"- {escaped(note)}" for note in notes) + "\n"


def _setup(point: ReplayPoint) -> str:
    """Return what the recording is of, in one sentence."""
    asked = point.point
    vectors = plural(asked.vectors, "vector") if asked.vectors else "no vector callbacks (fallback)"
    latched = "latched" if asked.db_read_latched else "always 0"
    kernel = "" if point.kernel is None else f", kernel {ascii_only(point.kernel)}"
    return (
        f"{vectors}, db_read {latched}; {plural(point.rings, 'ring')} by QP "
        f"{_numbers_told(asked.sending_qps)}, {asked.gap_us} us apart; port "
        f"{point.receiving_port} receives on QP {_numbers_told(point.active_qps)}{kernel}"
    )


def _numbers_told(numbers: Sequence[int]) -> str:
    return ",".join(map(str, numbers)) or "none"


def _numbers(point: ReplayPoint) -> list[tuple[str, int, int]]:
    """Return every quantity of all QPs together: its key, recorded, predicted."""
    pairs = [
        (key, getattr(point.recorded, key), getattr(point.predicted, key))
        for key in Side.__struct_fields__
        if isinstance(getattr(point.recorded, key), int)
    ]
    causes = [
        (
            f"wakeups_{key}",
            getattr(point.recorded.wakeups_by_cause, key),
            getattr(point.predicted.wakeups_by_cause, key),
        )
        for key in type(point.recorded.wakeups_by_cause).__struct_fields__
    ]
    return pairs + causes


def _lists(point: ReplayPoint) -> list[tuple[str, list[int], list[int]]]:
    """Return every quantity by QP: its key, recorded, predicted."""
    recorded, predicted = point.recorded, point.predicted
    return [
        ("wakeups", recorded.wakeups_per_qp, predicted.wakeups_per_qp),
        ("runs", recorded.runs_per_qp, predicted.runs_per_qp),
    ]


def _rows(point: ReplayPoint) -> Iterator[tuple[str, int, int]]:
    """Yield the rows of one recording's table; what does not occur is left out where it is rare."""
    numbers = {key: (recorded, predicted) for key, recorded, predicted in _numbers(point)}
    parts = [key for key in numbers if key.startswith("wakeups_")]
    for key in ("interrupts", "coalesced", "schedule_calls", "merged", "wakeups", *parts, "runs"):
        if any(numbers[key]) or key not in {"coalesced", "merged", *parts}:
            yield key.replace("wakeups_", "- by ").replace("_", " "), *numbers[key]
    pairs = zip(point.recorded.runs_per_qp, point.predicted.runs_per_qp, strict=True)
    for qp_num, (recorded, predicted) in enumerate(pairs):
        yield f"- of QP {qp_num}", recorded, predicted


def _told(differences: Sequence[Difference]) -> Iterator[str]:
    """Yield one line a cause: the QPs summed up, quantities that it changes alike together."""
    counts: defaultdict[tuple[str, str], int] = defaultdict(int)
    qps: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
    for difference in differences:
        for cause in difference.causes:
            key = (cause.text, difference.quantity)
            counts[key] += cause.count
            qps[key] |= set() if difference.qp_num is None else {difference.qp_num}
    quantities: defaultdict[tuple[str, int, tuple[int, ...]], list[str]] = defaultdict(list)
    for (text, quantity), count in counts.items():
        quantities[text, count, tuple(sorted(qps[text, quantity]))].append(quantity)
    for (text, count, qp_nums), names in quantities.items():
        where = f" (QP {_numbers_told(qp_nums)})" if qp_nums else ""
        yield f"{' and '.join(names)} {count:+d}{where}: {text}"


def _folded(text: str, indent: str) -> list[str]:
    return wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent + "  ")


def _short(name: str, limit: int) -> str:
    """Return a name for a column; of a long one the end, where recordings of a folder differ."""
    shown = ascii_only(name)
    return shown if len(shown) <= limit else "..." + shown[3 - limit :]
