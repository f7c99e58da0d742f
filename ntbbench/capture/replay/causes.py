# SPDX-License-Identifier: BSD-3-Clause
"""Why a recording differs from its prediction: each difference as a sum of named causes."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ntbbench.capture.replay.records import Cause, Difference
from ntbbench.capture.replay.wakeup_causes import Story
from ntbbench.ntb.softirq import Tally


class Term(NamedTuple):
    """A cause: what there is more or fewer of, what one of it adds, what it adds to one QP.

    `explained`: the kernel's rules and the trace's own order give it. `count_of` is signed as
    recorded minus predicted; `sign` is -1 where one more of it is one wakeup or run fewer.
    """

    text: str
    explained: bool
    sign: int
    count_of: Callable[[Story, Tally, int], int]


WAKEUP_TERMS: tuple[Term, ...] = (
    Term(
        "doorbell calls, as there were interrupts",
        True,
        1,
        lambda story, tally, q: story.schedule_calls[q] - tally.schedule_calls[q],
    ),
    Term(
        "doorbell calls merged with the tasklet that its own run had put back for ksoftirqd to run",
        True,
        -1,
        lambda story, tally, q: -_merged_repost(story, tally, q),
    ),
    Term(
        "doorbell calls merged with an earlier doorbell's",
        True,
        -1,
        lambda story, tally, q: _merged_repost(story, tally, q) - story.merged[q] + tally.merged[q],
    ),
    Term(
        "race checks merged with a doorbell that came during the run",
        True,
        -1,
        lambda story, _, q: -story.race_merged[q],
    ),
    Term(
        "race checks: one serves all rings of its bit since the last one",
        True,
        1,
        lambda story, tally, q: (
            story.race_check[q] + story.race_merged[q] + story.skipped[q] - tally.race_check[q]
        ),
    ),
    Term(
        "runs that consumed rx_max_entry packets and went on the list again",
        True,
        1,
        lambda story, tally, q: story.budget[q] - tally.budget[q],
    ),
    Term(
        "race checks that are due and not in the trace (did the probe miss them?)",
        False,
        -1,
        lambda story, _, q: -story.skipped[q],
    ),
    Term(
        "doorbell calls of an idle tasklet that are not in the trace (did the probe miss them?)",
        False,
        -1,
        lambda story, _, q: -story.unmet[q],
    ),
    Term(
        "schedules: the doorbell callback scheduled a QP whose bit is not under its vector",
        False,
        1,
        lambda story, _, q: story.beyond_vector[q],
    ),
    Term(
        "schedules without a doorbell or a race check (does the client post buffers?)",
        False,
        1,
        lambda story, _, q: story.other[q] - story.beyond_vector[q],
    ),
)
RUN_TERMS: tuple[Term, ...] = (
    *WAKEUP_TERMS,
    Term(
        "runs whose schedule is not in the trace (did the probe miss it?)",
        False,
        1,
        lambda story, _, q: story.unseen_schedules[q],
    ),
    Term(
        "runs that are not in the trace between two schedules (did the probe miss them?)",
        False,
        -1,
        lambda story, _, q: -story.unseen_runs[q],
    ),
    Term(
        "tasklets on a list when the recording ends",
        False,
        -1,
        lambda story, _, q: -story.in_flight[q],
    ),
)
INTERRUPT_TERMS: tuple[Term, ...] = (
    Term(
        "rings that met their interrupt still pending",
        True,
        -1,
        lambda story, tally, _: tally.coalesced - story.coalesced,
    ),
    Term(
        "doorbell events that nothing rang (did the probe miss a ring?)",
        False,
        1,
        lambda story, _tally, _qp: story.unasked,
    ),
    Term(
        "doorbell events that only their schedules show (did the probe miss them?)",
        False,
        -1,
        lambda story, _tally, _qp: -story.unseen_events,
    ),
    Term(
        "rings with no doorbell event (did the probe miss it?)",
        False,
        -1,
        lambda story, _tally, _qp: -story.undelivered,
    ),
)


def _merged_repost(story: Story, tally: Tally, qp_num: int) -> int:
    """Return how many more calls than predicted met a tasklet that its own run had put back."""
    more = story.merged[qp_num] - tally.merged[qp_num]
    return max(min(more, story.merged_repost[qp_num]), 0) if more > 0 else more


def wakeups_of(tally: Tally) -> list[int]:
    """Return the wakeups by qp_num, 64 long; those of a `Story` include what no rule explains."""
    by_rule = zip(tally.doorbell, tally.race_check, tally.budget, strict=True)
    wakeups = [sum(causes) for causes in by_rule]
    if isinstance(tally, Story):
        wakeups = [a + b for a, b in zip(wakeups, tally.other, strict=True)]
    return wakeups


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
    qps = range(qp_count)
    counts = [
        (term.text, sum(abs(term.count_of(story, tally, q)) for q in (qps if per_qp else [0])))
        for terms, per_qp in ((INTERRUPT_TERMS, False), (RUN_TERMS, True))
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
