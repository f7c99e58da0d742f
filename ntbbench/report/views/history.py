# SPDX-License-Identifier: BSD-3-Clause
"""Results of successive commits: the values of each metric, and what changed."""

from collections.abc import Iterator, Sequence

from ntbbench.compare.history import Checked
from ntbbench.compare.history_store import Track
from ntbbench.compare.statistics.changepoints import FEWEST, SMALLEST_SEGMENT
from ntbbench.report.document import (
    Cell,
    Column,
    Document,
    Notes,
    Section,
    Sheet,
    Table,
    Tone,
    words,
)
from ntbbench.report.views.comparison_words import counted, figure, percent, probability, scale_of

SHOWN = 12  # commits of a metric on a terminal
VALUE = 60  # characters of a value in words
COMMIT = Column("commit", align="left")
FOUND = ("metric", "kind", "verdict", "commit", "before", "after", "ratio", "p_adjusted")


def tracks(found: Sequence[Track]) -> Document:
    """Return the stored values of each metric, the last of many on a terminal."""
    commits = len({label for track in found for label in track.labels})
    what = f"{counted(len(found), 'metric(s)')} of {counted(commits, 'commit(s)')}"
    return Document(
        title="ntbbench history show",
        verdict=what if found else "no metric has such a name",
        record=found,
        indent=1,
        blocks=[_values(found, SHOWN), _values(found, 0)],
        figures=lambda: _figures(found),
        sheet=lambda: Sheet(
            ["metric", "kind", "unit", "better", "commit", "value"],
            (
                [track.metric, track.kind, track.unit, track.better, label, value]
                for track in found
                for label, value in zip(track.labels, track.values, strict=True)
            ),
        ),
    )


def _figures(found: Sequence[Track]) -> list[Section]:
    from ntbbench.report.figures.history import track_sections  # noqa: PLC0415 -- loads plotly

    return track_sections(found)


def _values(found: Sequence[Track], last: int) -> Table:
    """Return the last values of each metric, of which a terminal shows no more; 0: all."""
    rows: list[tuple[Cell, ...]] = []
    groups = []
    for track in found:
        values = list(zip(track.labels, track.values, strict=True))
        shown = values[-last:]
        name = f"{track.metric} ({track.kind}, {counted(len(values), 'commit(s)')}"
        left = f"; the last {last}, --format json has all" if len(shown) < len(values) else ""
        groups.append((f"{name}{left})", len(shown)))
        rows += [(*words(label), _value(track, value)) for label, value in shown]
    return Table(
        "Values", [COMMIT, Column("value")], rows, groups=groups,
        shown="terminal" if last else "page",
    )  # fmt: skip


def _value(track: Track, value: float | str) -> Cell:
    if isinstance(value, str) or track.kind == "exact":
        return Cell(str(value)[:VALUE], None if isinstance(value, str) else value)
    factor, unit = scale_of([v for v in track.values if not isinstance(v, str)], track.unit)
    return Cell(f"{figure(value, factor)} {unit}".rstrip(), value)


def document(checked: Checked) -> Document:
    """Return what changed, the worse first."""
    return Document(
        title="ntbbench history check",
        verdict=_answer(checked),
        record=checked,
        indent=1,
        tone=_tone(checked),
        blocks=[
            Notes("Changes", [*_changes(checked)]),
            Notes("Notes", [(note, ()) for note in checked.notes]),
        ],
        sheet=lambda: Sheet(FOUND, _rows(checked)),
    )


def _tone(checked: Checked) -> Tone:
    worse = any(f.change.worse for f in checked.changes)
    worse = worse or any(step.verdict == "regressed" for step in checked.exact)
    return "bad" if worse else "good" if checked.checked else "fair"


def _answer(checked: Checked) -> str:
    if not checked.checked:
        found = f"nothing to check: a noisy metric takes {FEWEST} commits, an exact one 2"
    elif not checked.changes and not checked.exact:
        found = "no change found"
    else:
        verdicts = [_verdict(f.change.worse) for f in checked.changes]
        verdicts += [step.verdict for step in checked.exact]
        counts = ((verdict, verdicts.count(verdict)) for verdict in ("regressed", "improved"))
        found = ", ".join(f"{counted(count, 'change(s)')} {verdict}" for verdict, count in counts)
    short = ""
    if checked.too_short:
        short = counted(checked.too_short, "noisy metric(s) has|have too few commits")
        short = f"; {short} to say anything: it takes {FEWEST}"
    open_end = ""
    if checked.checked and checked.too_short < checked.metrics:
        last = SMALLEST_SEGMENT - 1
        open_end = f"; a noisy step in the last {last} commits would not show yet"
    return f"{found} in {counted(checked.metrics, 'metric(s)')}{short}{open_end}"


def _verdict(worse: bool) -> str:
    return "regressed" if worse else "improved"


def _changes(checked: Checked) -> Iterator[tuple[str, list[str]]]:
    for finding in sorted(checked.changes, key=lambda f: not f.change.worse):
        c = finding.change
        where = "at" if c.kind == "step" else "by"
        line = f"{c.kind} of {percent(c.ratio)} {where} {finding.commit}"
        line += f", adjusted p {probability(c.p_adjusted)}"
        yield f"{_verdict(c.worse)}: {c.metric}", [line]
    for step in checked.exact:
        before, after = (str(value)[:VALUE] for value in (step.before, step.after))
        yield f"{step.verdict}: {step.metric}", [f"{before} -> {after} at {step.commit}"]


def _rows(checked: Checked) -> Iterator[list[object]]:
    for finding in checked.changes:
        c = finding.change
        verdict = _verdict(c.worse)
        yield [c.metric, c.kind, verdict, finding.commit, c.before, c.after, c.ratio, c.p_adjusted]
    for step in checked.exact:
        yield [step.metric, "exact", step.verdict, step.commit, step.before, step.after, None, None]
