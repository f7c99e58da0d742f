# SPDX-License-Identifier: BSD-3-Clause
"""Runs whose QP words change on the way."""

from itertools import pairwise

import numpy as np
from engine_cases import Case, cases, drains, mask_lists, qp_words, segments, words
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ntbbench.dispatch.engine import SegmentedRun, count

SEQUENTIAL = ("reference", "scan", "bitset")


class Receivers(RuleBasedStateMachine):
    """One receiver a kernel, all of them fed alike, always with the same counts."""

    @initialize(masks=mask_lists(), drain=drains, qp_bitmap=qp_words, active=qp_words)
    def start(self, masks: list[int], drain: int, qp_bitmap: int, active: int) -> None:
        self.vector_count = len(masks)
        self.words = {"qp_bitmap": qp_bitmap, "qp_bitmap_free": 0, "active": active}
        array = np.array(masks, np.uint64)
        self.runs = [SegmentedRun(kernel, array, drain=drain) for kernel in SEQUENTIAL]
        self.fed = 0

    @rule(active=qp_words)
    def links_change(self, active: int) -> None:
        self.words["active"] = active

    @rule(qp_bitmap=qp_words, qp_bitmap_free=words)
    def queues_change(self, qp_bitmap: int, qp_bitmap_free: int) -> None:
        self.words |= {"qp_bitmap": qp_bitmap, "qp_bitmap_free": qp_bitmap_free}

    @rule(data=st.data())
    def interrupts_come(self, data: st.DataObject) -> None:
        vectors, rung = data.draw(segments(self.vector_count, max_interrupts=20))
        self.fed += len(vectors)
        for run in self.runs:
            run.feed(vectors, rung, **self.words)

    @rule()
    def stream_ends(self) -> None:
        for run in self.runs:
            run.finish()
        counts = self.runs[0].counts()
        assert counts.useful_wakeups + counts.spurious_wakeups == counts.wakeups

    @invariant()
    def all_kernels_agree(self) -> None:
        if not hasattr(self, "runs"):
            return
        expected, *others = [run.counts() for run in self.runs]
        assert expected.interrupts == self.fed
        for counts in others:
            assert counts == expected


TestReceivers = Receivers.TestCase
TestReceivers.settings = settings(max_examples=60, stateful_step_count=15, deadline=None)


@given(case=cases(), cuts=st.lists(st.integers(0, 70), max_size=4))
@settings(max_examples=150, deadline=None)
def test_where_a_run_is_cut_does_not_matter(case: Case, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(case.vectors)) for cut in cuts), len(case.vectors)]
    for kernel in SEQUENTIAL:
        run = SegmentedRun(kernel, case.masks, drain=case.drain)
        for start, stop in pairwise(edges):
            run.feed(case.vectors[start:stop], case.rung[start:stop], **case.words)
        run.finish()
        assert run.counts() == count(kernel, *case.positional, **case.keywords)


def test_a_qp_that_goes_inactive_still_runs_its_tasklet() -> None:
    for kernel in SEQUENTIAL:
        run = SegmentedRun(kernel, np.array([1], np.uint64), drain=2)
        vectors, rung = np.zeros(1, np.uint8), np.ones(1, np.uint64)
        run.feed(vectors, rung, qp_bitmap=1, active=1)
        run.feed(vectors, rung, qp_bitmap=1, active=0)
        counts = run.counts()
        assert (counts.schedule_calls, counts.wakeups, counts.useful_wakeups) == (1, 1, 1)


def test_a_missed_packet_outlives_the_end_of_a_stream() -> None:
    for kernel in SEQUENTIAL:
        run = SegmentedRun(kernel, np.array([0, 1], np.uint64), drain=2)
        run.feed(np.array([0], np.uint8), np.array([1], np.uint64), qp_bitmap=1, active=1)
        run.finish()
        run.feed(np.array([1], np.uint8), np.array([0], np.uint64), qp_bitmap=1, active=1)
        run.finish()
        counts = run.counts()
        assert (counts.missed, counts.useful_wakeups, counts.spurious_wakeups) == (1, 1, 0)
