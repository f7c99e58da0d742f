# SPDX-License-Identifier: BSD-3-Clause
"""Results of successive commits: the values of each metric, and what changed."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from ntbbench.compare.history import Checked, ExactStep, Finding
from ntbbench.compare.history_store import Track
from ntbbench.compare.statistics.changepoints import FEWEST
from ntbbench.compare.statistics.segments import SMALLEST_SEGMENT
from ntbbench.report.document import (
    Cell,
    Column,
    Document,
    Notes,
    Section,
    Sheet,
    Table,
    words,
)
from ntbbench.report.views.comparison_words import (
    counted,
    figure,
    percent,
    probability,
    scale_of,
)

SHOWN = 12  # commits of a metric on a terminal
VALUE = 60  # characters of a value in words
COMMIT = Column("commit", align="left")
FOUND = (
    *("metric", "kind", "verdict", "commit", "before", "after", "ratio", "p_adjusted"),
    *("fixed", "accepted", "why"),
)
Change = Finding | ExactStep


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
        figures=lambda: _curves(found),
        sheet=lambda: Sheet(
            ["metric", "kind", "unit", "better", "commit", "value"],
            (
                [track.metric, track.kind, track.unit, track.better, label, value]
                for track in found
                for label, value in zip(track.labels, track.values, strict=True)
            ),
        ),
    )


def _curves(found: Sequence[Track], checked: Checked | None = None) -> list[Section]:
    from ntbbench.report.figures.history import track_sections  # noqa: PLC0415 -- loads plotly

    return track_sections(found, [] if checked is None else checked.changes)


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


def document(checked: Checked, found: Sequence[Track] = ()) -> Document:
    """Return what changed, what fails first.

    Parameters
    ----------
    found : the values, whose curves a page shows where something changed.
    """
    changed = {_metric(change) for change in _changes(checked)}
    return Document(
        title="ntbbench history check",
        verdict=_answer(checked),
        record=checked,
        indent=1,
        tone="bad" if checked.fails() else "good" if checked.checked else "fair",
        blocks=[
            Notes("Changes", [*_told(checked)]),
            Notes("Notes", [(note, ()) for note in (*checked.notes, *_limits(checked))]),
        ],
        figures=lambda: _curves([t for t in found if t.metric in changed], checked),
        sheet=lambda: Sheet(FOUND, [_row(change) for change in _changes(checked)]),
    )


def _changes(checked: Checked) -> list[Change]:
    return [*checked.changes, *checked.exact]


def _metric(change: Change) -> str:
    return change.change.metric if isinstance(change, Finding) else change.metric


def _verdict(change: Change) -> str:
    if isinstance(change, ExactStep):
        return change.verdict
    return "regressed" if change.change.worse else "improved"


def _gravity(change: Change) -> tuple[bool, bool, float]:
    """Return what sorts changes: what fails, then what is worse, then the larger."""
    size = abs(math.log(change.change.ratio)) if isinstance(change, Finding) else math.inf
    return not change.fails(), _verdict(change) != "regressed", -size


def _by_metric(checked: Checked) -> list[list[Change]]:
    """Return the changes of each metric, the gravest metric first."""
    found: dict[str, list[Change]] = {}
    for change in _changes(checked):
        found.setdefault(_metric(change), []).append(change)
    return sorted(found.values(), key=lambda changes: min(map(_gravity, changes)))


def _answer(checked: Checked) -> str:
    """Return how many metrics changed, and what became of the gravest."""
    if not checked.checked:
        return f"nothing to check: a noisy metric takes {FEWEST} commits, an exact one 2"
    grouped = _by_metric(checked)
    size = counted(checked.metrics, "metric(s)")
    if not grouped:
        return f"no change found in {size} of {counted(checked.commits, 'commit(s)')}"
    worst = min(grouped[0], key=_gravity)
    others = Counter(_status(min(changes, key=_gravity)) for changes in grouped[1:])
    rest = "".join(f"; {count} more {status}" for status, count in others.items())
    return f"{len(grouped)} of {size} changed; {_metric(worst)} {_story(worst)}{rest}"


def _status(change: Change) -> str:
    """Return the verdict on a change, and what became of it."""
    outcome = ", fixed" if change.fixed else ", accepted" if change.accepted else ""
    return f"{_verdict(change)}{outcome}"


def _story(change: Change) -> str:
    """Return `regressed 7.1 % at abc123, and was fixed at def456`."""
    if isinstance(change, ExactStep):
        size = f" from {_shown(change.before)} to {_shown(change.after)}"
    else:
        size = f" {percent(change.change.ratio).lstrip('+-')}"
        size += " by drift" if change.change.kind == "drift" else ""
    where = "by" if isinstance(change, Finding) and change.change.kind == "drift" else "at"
    return f"{_verdict(change)}{size} {where} {change.commit}{_outcome(change)}"


def _outcome(change: Change) -> str:
    why = f" ({change.why})" if change.why else ""
    accepted = f", which is accepted{why}" if change.accepted else ""
    return accepted + (f", and was fixed at {change.fixed}" if change.fixed else "")


def _shown(value: float | str) -> str:
    return str(value)[:VALUE]


def _told(checked: Checked) -> Iterator[tuple[str, list[str]]]:
    """Yield each metric that changed, with its changes in the order of commits."""
    for changes in _by_metric(checked):
        gravest = min(changes, key=_gravity)
        lines = []
        for change in changes:
            line = _story(change)
            if isinstance(change, Finding):
                line += f"; adjusted p {probability(change.change.p_adjusted)}"
            lines.append(line)
        yield f"{_status(gravest)}: {_metric(gravest)}", lines


def _limits(checked: Checked) -> list[str]:
    """Return what so few commits cannot show."""
    notes = []
    if checked.too_short:
        short = counted(checked.too_short, "noisy metric(s) has|have too few commits")
        notes.append(f"{short} to say anything: it takes {FEWEST}")
    if checked.noise:
        notes.append(f"one commit is no step: a noisy metric needs {SMALLEST_SEGMENT} on its level")
    return notes


def _row(change: Change) -> list[object]:
    end = [change.fixed, change.accepted, change.why]
    verdict, commit = _verdict(change), change.commit
    if isinstance(change, ExactStep):
        known = [change.before, change.after, None, None]
        return [change.metric, "exact", verdict, commit, *known, *end]
    c = change.change
    return [c.metric, c.kind, verdict, commit, c.before, c.after, c.ratio, c.p_adjusted, *end]


def otava(found: Sequence[Track]) -> Document:
    """Return a table for Otava's CSV importer: a commit a row, a metric a column.

    Values in words are left out. Where a commit lacks a metric, the value before it stands (else
    the one after it), as in Otava itself, whose CSV has no gaps. Times are those of storing, a
    second apart at least; Otava needs an order.
    """
    numbers = [track for track in found if not any(isinstance(v, str) for v in track.values)]
    commits = {
        place: (label, stored)
        for track in numbers
        for place, label, stored in zip(track.results, track.labels, track.times, strict=True)
    }
    columns = [_without_gaps(track, sorted(commits)) for track in numbers]
    times = _in_order([commits[place][1] for place in sorted(commits)])
    labels = [commits[place][0] for place in sorted(commits)]
    return Document(
        title="ntbbench history export",
        verdict=f"{counted(len(numbers), 'metric(s)')} of {counted(len(commits), 'commit(s)')}",
        record=found,
        sheet=lambda: Sheet(
            ["time", "commit", *(track.metric for track in numbers)],
            [list(row) for row in zip(times, labels, *columns, strict=True)],
            quoting="needed",
        ),
    )


def _without_gaps(track: Track, places: Sequence[int]) -> list[object]:
    known = dict(zip(track.results, track.values, strict=True))
    value: object = track.values[0]
    return [value := known.get(place, value) for place in places]


def _in_order(stored: Sequence[int]) -> list[str]:
    """Return rising times; those that are not known stand before the first one that is.

    None is later than it was, for Otava reads nothing from the future.
    """
    times: list[int] = []
    for time in reversed(stored):
        before = times[-1] - 1 if times else len(stored)
        times.append(min(before, time) if time and times else time or before)
    return [datetime.fromtimestamp(time, UTC).isoformat(" ") for time in reversed(times)]
