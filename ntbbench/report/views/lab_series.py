# SPDX-License-Identifier: BSD-3-Clause
"""A series: a row a commit, what it costs with each peer, and which prefixes do not fit."""

from collections.abc import Iterator, Sequence

from ntbbench.core.fields import declared
from ntbbench.lab.pair.records import PairFinding
from ntbbench.lab.series.judge import (
    WORKS,
    broken_prefixes,
    by_peers,
    by_prefix,
    is_sound,
    per_doorbell,
    state_of,
)
from ntbbench.lab.series.records import SeriesCommit, SeriesPoint, SeriesResult
from ntbbench.report.document import (
    Cell,
    Check,
    Column,
    Document,
    Notes,
    Revision,
    Table,
    Tone,
    column,
    words,
)
from ntbbench.report.views import lab_pair_points as pair
from ntbbench.report.views.lab_pair_check import place
from ntbbench.report.wording import plural

LABELS = declared(SeriesCommit)
FACTS = ("kernel", "kernel_source", "accelerator", "deterministic", "base", "whole", "checks")
BUILT = ("applies", "builds")
ANSWERS = ("applies", "builds", "works", "peers", "api", "agrees")
DIRECTIONS = ("ep-to-rc", "rc-to-ep")
EACH_WAY = "runs per doorbell, ep to rc / rc to ep"
SUBJECT_MAX = 18  # characters, on a terminal
YES: dict[bool | None, str] = {True: "yes", False: "NO", None: "-"}


def document(result: SeriesResult) -> Document:
    """Return the report of a series."""
    titles = declared(SeriesResult)
    facts = {titles[name].title: getattr(result, name) for name in FACTS}
    return Document(
        title="ntbbench lab series",
        verdict=_verdict(result),
        record=result,
        lines=[*_lines(result)],
        blocks=[
            _brief(result),
            *_findings(result),
            _wide(result),
            _prefixes(result),
            _changes(result),
            *_more(result),
        ],
        tone=_tone(result),
        warnings=[(warning, ()) for warning in result.warnings],
        facts=facts | result.environment,
        ran=True,
        sheet=lambda: pair.sheet(result.points, SeriesPoint),
        checks=lambda: [*_checks(result)],
        revisions=lambda: [*_revisions(result)],
    )


def _tone(result: SeriesResult) -> Tone:
    if not result.complete:
        return "fair"
    return "good" if is_sound(result) else "bad"


def _own(result: SeriesResult) -> list[SeriesCommit]:
    return [commit for commit in result.commits if commit.number]


def _verdict(result: SeriesResult) -> str:
    """Return in one sentence whether the series is sound, or the first commit that is not."""
    own = _own(result)
    count = plural(len(own), "commit")
    if not own:
        return "No commit changes what runs here: nothing was tested"
    first = next((commit for commit in own if _wrong(commit)), None)
    if not result.complete:
        done = sum(commit.works is not None for commit in own)
        return f"Not finished: {done} of {count} ran{_first_wrong(first)}"
    if first is not None:
        how = "bisectable, but commit" if result.bisectable else "not bisectable: commit"
        return f"{count}, {how} {_named(first)}: {_wrong(first)}"
    if broken := broken_prefixes(result):
        ep, rc, state = broken[0]
        more = f" and {len(broken) - 1} more" if len(broken) > 1 else ""
        return f"{count}, bisectable, but EP up to {ep} with RC up to {rc}: {state}{more}"
    return f"{count}, bisectable: each works with itself, old peers and the base"


def _first_wrong(commit: SeriesCommit | None) -> str:
    return "" if commit is None else f"; commit {_named(commit)}: {_wrong(commit)}"


def _named(commit: SeriesCommit) -> str:
    return f"{commit.number} ({_cut(commit.subject)})"


def _cut(subject: str) -> str:
    short = subject.removeprefix("NTB: ").removeprefix("PCI: endpoint: ")
    return short if len(short) <= SUBJECT_MAX else f"{short[: SUBJECT_MAX - 3]}..."


def _wrong(commit: SeriesCommit) -> str:
    """Return what is wrong with a commit in a few words; empty: nothing is."""
    checks = (
        ("does not apply", not commit.applies),
        ("does not build", commit.builds is False),
        ("does not work", commit.works is False),
        ("breaks a peer", commit.peers is False),
        ("fails the API probe", commit.api is False),
        ("is not what the model says", commit.agrees is False),
        ("the debug kernel complains", bool(commit.checked)),
    )
    return next((told for told, found in checks if found), "")


def _lines(result: SeriesResult) -> Iterator[str]:
    stack = "" if result.whole else ", NTB core and transport of the kernel"
    yield f"On {result.base}{stack}"
    yield f"Linux {result.kernel} ({result.kernel_source}), {plural(result.boots, 'boot')}"


def _brief(result: SeriesResult) -> Table:
    """Return a row a commit that fits a terminal; amplification is with its own drivers."""
    columns = (
        Column("commit", head="#"),
        Column("subject", align="left"),
        *_answers_heads(),
        *(Column(f"runs per doorbell {w}", head=w.replace("-to-", "\nto ")) for w in DIRECTIONS),
    )
    notes = ["ep to rc, rc to ep: runs per doorbell, with its own drivers on both sides"]
    rows = [_row(result, commit) for commit in result.commits]
    return Table("Commits", columns, rows, notes=notes, keys=2, shown="plain")


def _row(result: SeriesResult, commit: SeriesCommit) -> tuple[Cell, ...]:
    own = {point.direction: per_doorbell(point) for point in _itself(result, commit)}
    return (
        *words(commit.number),
        Cell(_cut(commit.subject)),
        *_answers(commit),
        *(Cell(own.get(way, "-")) for way in DIRECTIONS),
    )


def _answers_heads() -> Iterator[Column]:
    for name in ANSWERS:
        yield Column(LABELS[name].title, LABELS[name].definition, align="left")


def _answers(commit: SeriesCommit) -> Iterator[Cell]:
    return (_answer(YES[getattr(commit, name)]) for name in ANSWERS)


def _answer(text: str) -> Cell:
    bad = text.isupper()
    return Cell(text, strong=bad, tone="bad" if bad else "good" if text == YES[True] else "")


def _itself(result: SeriesResult, commit: SeriesCommit) -> Sequence[SeriesPoint]:
    own = "new" if commit.number else "base"
    return by_peers(result.points, commit.number).get((own, own), [])


def _wide(result: SeriesResult) -> Table:
    """Return a row a commit with every peer: what works, and runs per doorbell each way."""
    met = list(dict.fromkeys((p.ep_driver, p.rc_driver) for p in result.points if p.commit))
    columns = [
        Column("commit", head="#"),
        column(SeriesCommit, "subject"),
        column(SeriesCommit, "files"),
        *_answers_heads(),
        *(Column(f"EP {ep}, RC {rc}", EACH_WAY, align="left") for ep, rc in met),
        column(SeriesCommit, "checked"),
    ]
    rows = []
    for commit in result.commits:
        points = by_peers(result.points, commit.number)
        rows.append(
            [
                *words(commit.number, commit.subject),
                Cell(", ".join(name.rpartition("/")[2] for name in commit.files)),
                *_answers(commit),
                *(_met(points.get(_role(pairs, commit), [])) for pairs in met),
                Cell(str(len(commit.checked)) if commit.check_boot else "-"),
            ]
        )
    return Table("Commits and peers", columns, rows, keys=2, shown="marked")


def _role(peers: tuple[str, str], commit: SeriesCommit) -> tuple[str, str]:
    """Return who the base met where a commit met `peers`."""
    if commit.number:
        return peers
    ep, rc = ("base" if who == "new" else who for who in peers)
    return ep, rc


def _met(points: Sequence[SeriesPoint]) -> Cell:
    state = state_of(points)
    if state != WORKS:
        return Cell(state or "-", tone="bad" if state else "")
    wrong = any(point.agrees is False for point in points)
    told = " / ".join(per_doorbell(point) for point in points)
    return Cell(f"{told} DISAGREES" if wrong else told, tone="bad" if wrong else "good")


def _findings(result: SeriesResult) -> Iterator[Notes]:
    told = [
        (commit, text)
        for commit in result.commits
        for text in (*commit.findings, *(_complaint(found) for found in commit.checked))
    ]
    broken = [f"EP up to {ep} with RC up to {rc}: {how}" for ep, rc, how in broken_prefixes(result)]
    first = {commit.number: f"{commit.number}: {text}" for commit, text in reversed(told)}
    worst = [*reversed(first.values()), *broken]
    every = [*(f"{commit.number} {commit.subject}: {text}" for commit, text in told), *broken]
    yield Notes("Findings", [(line, ()) for line in worst], shown="brief")
    yield Notes("Findings", [(line, ()) for line in every], detail=True)


def _complaint(found: PairFinding) -> str:
    return f"the debug kernel: {place(found)}: {found.line}"


def _prefixes(result: SeriesResult) -> Table:
    """Return a row a prefix of EP, a column a prefix of RC."""
    met = by_prefix(result)
    eps, rcs = (list(dict.fromkeys(prefix[side] for prefix in met)) for side in (0, 1))
    of_rc = (Column(f"RC up to {rc}", head=f"RC\n{rc}", align="left") for rc in rcs)
    rows = [[*words(int(ep)), *(_met(met.get((ep, rc), [])) for rc in rcs)] for ep in eps]
    notes = ["0: no commit of that half; runs per doorbell, ep to rc / rc to ep"]
    return Table("Prefixes", [Column("EP up to"), *of_rc], rows, notes=notes, detail=True)


def _changes(result: SeriesResult) -> Notes:
    ran = [commit for commit in _own(result) if commit.works is not None]
    rows = [(f"{c.number} {c.subject}", c.changes or ["nothing"]) for c in ran]
    return Notes("Changes against the commit before", rows, detail=True)


def _more(result: SeriesResult) -> Iterator[Notes]:
    kernels = {commit.kernel: commit for commit in reversed(result.commits) if commit.kernel}
    if kernels:
        rows = [(f"{c.number} {c.subject}: {c.kernel[:12]}", ()) for c in [*kernels.values()][::-1]]
        yield Notes("Kernels of this tree, each from a commit on", rows, detail=True)
    left = dict.fromkeys(name for commit in result.commits for name in commit.left_out)
    yield Notes("Left out: no code that runs here", [(name, ()) for name in left], detail=True)
    yield Notes(
        "Mails and commits that change nothing here",
        [(name, ()) for name in result.no_patch],
        detail=True,
    )


def _checks(result: SeriesResult) -> Iterator[Check]:
    """Yield a test a commit: what is asked of it, and each point."""
    for commit in _own(result):
        yield Check(f"{commit.number} {commit.subject}", None, checks=_tests(result, commit))
    for (ep, rc), points in by_prefix(result).items():
        state = state_of(points)
        reason = "" if state == WORKS else state
        yield Check(f"EP up to {ep}, RC up to {rc}", state == WORKS, reason=reason)


def _revisions(result: SeriesResult) -> Iterator[Revision]:
    for commit in _own(result):
        reason = "" if commit.builds else "; ".join(commit.findings[:1])
        tests = _tests(result, commit)[len(BUILT) :]
        yield Revision(commit.subject, commit.commit, commit.applies, commit.builds, reason, tests)


def _tests(result: SeriesResult, commit: SeriesCommit) -> list[Check]:
    """Return what is asked of a commit, each of its points, and the debug kernel."""
    points = [point for point in result.points if point.commit == commit.number]
    asked = [
        Check(LABELS[name].title, getattr(commit, name), reason=_reason(commit, name))
        for name in (*BUILT, "works", "peers", "api")
    ]
    met = [pair.check(point, _name(point)) for point in points]
    found = [_complaint(finding) for finding in commit.checked]
    debug = Check("debug kernel", not found if commit.check_boot else None, diagnostics=found)
    return [*asked, *met, debug]


def _name(point: SeriesPoint) -> str:
    return f"EP {point.ep_driver}, RC {point.rc_driver}, {point.direction}"


def _reason(commit: SeriesCommit, name: str) -> str:
    return "" if getattr(commit, name) else "; ".join(commit.findings[:1])
