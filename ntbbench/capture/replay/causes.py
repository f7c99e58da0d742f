# SPDX-License-Identifier: BSD-3-Clause
"""Why a recording differs from its prediction: each difference as a sum of named causes."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ntbbench.capture.replay.records import Cause, Difference
from ntbbench.capture.replay.wakeup_causes import Story
from ntbbench.ntb.softirq import Tally


class Term(NamedTuple):
    """A cause: what there is more or fewer of, what one of it adds, what it adds to one QP.

    `count_of` is signed as recorded minus predicted; `sign` is -1 where one more of it is one
    wakeup or run fewer. `explained`: the kernel's rules and the trace's own order give it.
    """

    text: str
    sign: int
    count_of: Callable[[Story, Tally, int], int]
    explained: bool = True


def _unexplained(text: str, sign: int, name: str) -> Term:
    """Return a cause that no rule gives: a count of the story, by QP or of all QPs together."""

    def count_of(story: Story, _tally: Tally, qp_num: int) -> int:
        found = getattr(story, name)
        return sign * int(found[qp_num] if isinstance(found, list) else found)

    return Term(text, sign, count_of, explained=False)


def _merged_repost(story: Story, tally: Tally, qp_num: int) -> int:
    """Return how many more calls than predicted met a tasklet that its own run had put back."""
    more = story.merged[qp_num] - tally.merged[qp_num]
    return max(min(more, story.merged_repost[qp_num]), 0) if more > 0 else more


WAKEUP_TERMS: tuple[Term, ...] = (
    Term(
        "doorbell calls, as there were interrupts",
        1,
        lambda story, tally, q: story.schedule_calls[q] - tally.schedule_calls[q],
    ),
    Term(
        "doorbell calls merged with the tasklet that its own run had put back for ksoftirqd to run",
        -1,
        lambda story, tally, q: -_merged_repost(story, tally, q),
    ),
    Term(
        "doorbell calls merged with an earlier doorbell's",
        -1,
        lambda story, tally, q: _merged_repost(story, tally, q) - story.merged[q] + tally.merged[q],
    ),
    Term(
        "race checks merged with a doorbell that came during the run",
        -1,
        lambda story, _, q: -story.race_merged[q],
    ),
    Term(
        "race checks: one serves all rings of its bit since the last one",
        1,
        lambda story, tally, q: (
            story.race_check[q] + story.race_merged[q] + story.skipped[q] - tally.race_check[q]
        ),
    ),
    Term(
        "runs that consumed rx_max_entry packets and went on the list again",
        1,
        lambda story, tally, q: story.budget[q] - tally.budget[q],
    ),
    _unexplained(
        "race checks that are due and not in the trace (did the probe miss them?)", -1, "skipped"
    ),
    _unexplained(
        "doorbell calls of an idle tasklet that are not in the trace (did the probe miss them?)",
        -1,
        "unmet",
    ),
    _unexplained(
        "schedules: the doorbell callback scheduled a QP whose bit is not under its vector",
        1,
        "beyond_vector",
    ),
    Term(
        "schedules without a doorbell or a race check (does the client post buffers?)",
        1,
        lambda story, _, q: story.other[q] - story.beyond_vector[q],
        explained=False,
    ),
)
RUN_TERMS: tuple[Term, ...] = (
    *WAKEUP_TERMS,
    _unexplained(
        "runs whose schedule is not in the trace (did the probe miss it?)", 1, "unseen_schedules"
    ),
    _unexplained(
        "runs that are not in the trace between two schedules (did the probe miss them?)",
        -1,
        "unseen_runs",
    ),
    _unexplained("tasklets on a list when the recording ends", -1, "in_flight"),
)
INTERRUPT_TERMS: tuple[Term, ...] = (
    Term(
        "rings that met their interrupt still pending",
        -1,
        lambda story, tally, _: tally.coalesced - story.coalesced,
    ),
    _unexplained("doorbell events that nothing rang (did the probe miss a ring?)", 1, "unasked"),
    _unexplained(
        "doorbell events that only their schedules show (did the probe miss them?)",
        -1,
        "unseen_events",
    ),
    _unexplained("rings with no doorbell event (did the probe miss it?)", -1, "undelivered"),
)


def wakeups_of(tally: Tally) -> list[int]:
    """Return the wakeups by qp_num, 64 long; those of a `Story` include what no rule explains."""
    other = tally.other if isinstance(tally, Story) else [0] * len(tally.doorbell)
    by_cause = zip(tally.doorbell, tally.race_check, tally.budget, other, strict=True)
    return [sum(causes) for causes in by_cause]


def find_differences(story: Story, tally: Tally, qp_count: int) -> list[Difference]:
    """Return every quantity that differs, by QP where it is counted by QP."""
    rows: list[tuple[str, int | None, tuple[Term, ...], int, int]] = [
        ("interrupts", None, INTERRUPT_TERMS, story.interrupts + story.unasked, tally.interrupts)
    ]
    wakeups = wakeups_of(story), wakeups_of(tally)
    for q in range(qp_count):
        rows.append(("wakeups", q, WAKEUP_TERMS, wakeups[0][q], wakeups[1][q]))
        rows.append(("runs", q, RUN_TERMS, story.runs[q], tally.runs[q]))
    return [
        Difference(
            quantity=quantity,
            qp_num=qp_num,
            recorded=recorded,
            predicted=predicted,
            causes=_causes(terms, story, tally, qp_num or 0),
        )
        for quantity, qp_num, terms, recorded, predicted in rows
        if recorded != predicted
    ]


def find_doubts(story: Story, tally: Tally, qp_count: int) -> list[str]:
    """Return what the rules and the trace do not bring together, whether totals differ or not."""
    counts = [
        (term.text, sum(abs(term.count_of(story, tally, q)) for q in range(qps)))
        for terms, qps in ((INTERRUPT_TERMS, 1), (RUN_TERMS, qp_count))
        for term in terms
        if not term.explained
    ]
    return [f"{count} {text}" for text, count in counts if count]


def _causes(terms: Sequence[Term], story: Story, tally: Tally, qp_num: int) -> list[Cause]:
    counts = [(term, term.count_of(story, tally, qp_num)) for term in terms]
    return [
        Cause(
            count=count,
            text=f"{'more' if count * term.sign > 0 else 'fewer'} {term.text}",
            explained=term.explained,
        )
        for term, count in counts
        if count
    ]
