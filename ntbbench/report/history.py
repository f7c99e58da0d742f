# SPDX-License-Identifier: BSD-3-Clause
"""The outputs of the history: text and JSON."""

import msgspec

from ntbbench.compare.history.check import Checked
from ntbbench.compare.history.store import Track
from ntbbench.compare.statistics.changepoints import FEWEST
from ntbbench.report.comparison.wording import (
    counted,
    figure,
    percent,
    probability,
    scale_of,
    visible,
)

SHOWN = 12  # commits of a metric on a terminal


def render_tracks(tracks: list[Track]) -> str:
    """Return the last values of each metric."""
    lines = []
    for track in tracks:
        lines.append(
            f"{visible(track.metric)} ({track.kind}, {counted(len(track.values), 'commit(s)')})"
        )
        if len(track.values) > SHOWN:
            lines.append(f"  the last {SHOWN}; --format json has all")
        numbers = [v for v in track.values if not isinstance(v, str)]
        factor, unit = scale_of(numbers, track.unit)
        for label, value in list(zip(track.labels, track.values, strict=True))[-SHOWN:]:
            noisy = track.kind == "noisy" and not isinstance(value, str)
            shown = f"{figure(value, factor)} {unit}" if noisy else visible(str(value))  # type: ignore[arg-type]
            lines.append(f"  {visible(label)[:40]:<42}{shown[:36]}")
    return "\n".join(lines) + "\n" if lines else "no metric has such a name\n"


def render_json(record: Checked | list[Track]) -> str:
    """Return a record as JSON."""
    return msgspec.json.format(msgspec.json.encode(record), indent=1).decode() + "\n"


def render_checked(checked: Checked) -> str:
    """Return the findings, the worse ones first."""
    lines = [counted(checked.metrics, "metric(s)")]
    for finding in sorted(checked.changes, key=lambda f: not f.change.worse):
        c = finding.change
        lines.append(f"{'regressed' if c.worse else 'improved'}: {visible(c.metric)}")
        where = "at" if c.kind == "step" else "by"
        lines.append(
            f"  {c.kind} of {percent(c.ratio)} {where} {visible(finding.commit)}, "
            f"adjusted p {probability(c.p_adjusted)}"
        )
    for step in checked.exact:
        lines.append(f"{step.verdict}: {visible(step.metric)}")
        before, after = (visible(str(v))[:30] for v in (step.before, step.after))
        lines.append(f"  {before} -> {after} at {visible(step.commit)}")
    if not checked.checked:
        lines.append(f"nothing to check: a noisy metric takes {FEWEST} commits, an exact one 2")
    elif not checked.changes and not checked.exact:
        lines.append("no change found")
    if checked.too_short:
        lines.append(
            counted(checked.too_short, "noisy metric(s) has|have too few commits to say anything")
            + f": it takes {FEWEST}"
        )
    lines += [f"note: {visible(note)}" for note in checked.notes]
    return "\n".join(lines) + "\n"
