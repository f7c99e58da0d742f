# SPDX-License-Identifier: BSD-3-Clause
"""The receive tasklets against laws and against an oracle that shares no code with them."""

from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ntbbench.core.errors import InputError
from ntbbench.ntb.loopback import LoopDevice, Ring, predict_spaced
from ntbbench.ntb.softirq import Receiver
from ntbbench.ntb.vectormap import bits_of

QPS = (0, 1, 31, 32, 62, 63)
MASKS = st.sets(st.sampled_from(QPS)).map(lambda qps: sum(1 << qp for qp in qps))


class Oracle:
    """Sets and lists, one CPU, no bit of arithmetic: SCHED is membership of the list."""

    def __init__(self, active: set[int], latched: bool, limit: int | None) -> None:
        self.active, self.latched, self.limit = active, latched, limit
        self.list: list[int] = []
        self.packets: dict[int, int] = {}
        self.latch: set[int] = set()
        self.log: list[tuple[str, int]] = []

    def ring(self, bits: set[int]) -> None:
        for bit in bits:
            self.packets[bit] = self.packets.get(bit, 0) + 1
        self.latch |= bits

    def interrupt(self, mask: set[int]) -> None:
        for qp in sorted(mask & self.active):
            self.log.append(("merged" if qp in self.list else "doorbell", qp))
            if qp not in self.list:
                self.list.append(qp)

    def softirq_pass(self) -> None:
        taken, self.list = self.list, []
        for qp in taken:
            have = self.packets.get(qp, 0)
            eaten = have if self.limit is None else min(have, self.limit)
            self.packets[qp] = have - eaten
            self.log.append(("runs", qp))
            if eaten:
                self.log.append(("useful", qp))
            if self.limit is not None and eaten == self.limit:
                self.log.append(("budget", qp))
                self.list.append(qp)
            elif self.latched and qp in self.latch:
                self.latch.remove(qp)
                self.log.append(("race_check", qp))
                self.list.append(qp)

    def count(self, what: str, qp: int) -> int:
        return self.log.count((what, qp))


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ring"), MASKS),
        st.tuples(st.just("interrupt"), MASKS),
        st.tuples(st.just("pass"), st.just(0)),
    ),
    max_size=40,
)


@given(
    active=MASKS, latched=st.booleans(), limit=st.one_of(st.none(), st.integers(1, 3)), steps=STEPS
)
@settings(max_examples=150, deadline=None)
def test_receiver_agrees_with_the_oracle(active, latched, limit, steps) -> None:
    receiver = Receiver(active_mask=active, db_read_latched=latched, rx_max_entry=limit)
    oracle = Oracle(set(bits_of(active)), latched, limit)
    for step, mask in steps:
        if step == "ring":
            receiver.ring(mask)
            oracle.ring(set(bits_of(mask)))
        elif step == "interrupt":
            receiver.interrupt(mask)
            oracle.interrupt(set(bits_of(mask)))
        else:
            assert receiver.waiting() == len(oracle.list)
            receiver.softirq_pass()
            oracle.softirq_pass()
    tally = receiver.tally
    for what in ("merged", "doorbell", "runs", "useful", "budget", "race_check"):
        counted = getattr(tally, what)
        assert [counted[qp] for qp in QPS] == [oracle.count(what, qp) for qp in QPS], what
    assert tally.schedule_calls == [
        a + b for a, b in zip(tally.merged, tally.doorbell, strict=True)
    ]
    assert sum(tally.runs) + receiver.waiting() == (
        sum(tally.doorbell) + sum(tally.race_check) + sum(tally.budget)
    )


@given(active=MASKS.filter(bool), vectors=st.integers(0, 64), latched=st.booleans(), data=st.data())
@settings(max_examples=100, deadline=None)
def test_runs_a_spaced_doorbell(active, vectors, latched, data) -> None:
    """|db_vector_mask & active QPs| runs a doorbell, and one more where db_read is latched."""
    qp = data.draw(st.sampled_from(bits_of(active)))
    count = data.draw(st.integers(1, 5))
    device = LoopDevice(64, vectors, active, latched, rx_max_entry=15)
    rings = [
        Ring(time=i * 1e-3, cpu=0, pid=1, db_bits=1 << qp, need_resched=False) for i in range(count)
    ]
    tally = predict_spaced(device, rings)
    mates = {q for q in bits_of(active) if not vectors or q % vectors == qp % vectors}
    assert tally.interrupts == count
    assert [tally.runs[q] for q in QPS] == [
        count * ((q in mates) + (latched and q == qp)) for q in QPS
    ]
    assert sum(tally.schedule_calls) == count * len(mates)
    assert sum(tally.merged) == 0
    assert sum(tally.useful) == count


def test_a_doorbell_that_meets_a_race_check_is_merged() -> None:
    receiver = Receiver(active_mask=0b1, db_read_latched=True)
    receiver.ring(1)
    receiver.interrupt(1)
    receiver.softirq_pass()
    receiver.ring(1)
    receiver.interrupt(1)
    receiver.drain()
    assert receiver.tally.merged[0] == 1
    assert receiver.tally.runs[0] == 3  # one less than two doorbells apart
    assert receiver.tally.useful[0] == 2


def test_a_tasklet_is_on_one_list_of_all_cpus() -> None:
    receiver = Receiver(active_mask=0b1, db_read_latched=False)
    receiver.ring(1)
    receiver.interrupt(1, cpu=3)
    receiver.interrupt(1, cpu=5)
    assert (receiver.waiting(3), receiver.waiting(5)) == (1, 0)
    receiver.drain(5)
    assert receiver.tally.runs[0] == 0
    receiver.drain(3)
    assert receiver.tally.runs[0] == 1


@pytest.mark.parametrize(
    "make",
    [
        *(partial(Receiver, active_mask=mask, db_read_latched=True) for mask in (1 << 64, -1)),
        partial(Receiver, active_mask=1, db_read_latched=True, rx_max_entry=0),
        partial(Receiver(active_mask=1, db_read_latched=True).ring, 1 << 64),
        *(partial(LoopDevice, *sizes, 1, True) for sizes in ((65, 0), (0, 0), (16, -1), (16, 65))),
    ],
)
def test_what_is_no_device_is_refused(make) -> None:
    with pytest.raises(InputError):
        make()
