# SPDX-License-Identifier: BSD-3-Clause
"""The analytic law agrees with the kernels, and notices when they are wrong."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ntbbench.core.errors import ExitCode, ModelDisagreement
from ntbbench.dispatch import cell as cells
from ntbbench.dispatch import engine
from ntbbench.ntb.catalogue import generic
from ntbbench.ntb.vectormap import VectorMap
from ntbbench.ntb.workload import make_stream, parse_workload
from ntbbench.ntb.workload.stream import Stream

WORKLOADS = (
    "uniform",
    "round-robin",
    "hot:queue=0,share=0.9",
    "hot:queue=0,share=1",
    "zipf:s=1.1",
    "flows:k=5",
    "burst:size=3,of=uniform",
    "burst:size=5,of=round-robin",
    "burst:size=4,of=zipf:s=2",
)


def counted(
    workload: str, vector_map: VectorMap, queues: int, drain: int, interrupts: int, seed: int = 1
) -> tuple[Stream, tuple[int, ...], engine.DispatchCounts]:
    active = (1 << queues) - 1
    stream = make_stream(parse_workload(workload), vector_map, queues, interrupts, seed)
    counts = engine.count(
        "reference" if interrupts < 500 else "scan",
        stream.vectors,
        stream.rung,
        np.array(vector_map.db_vector_masks, dtype=np.uint64),
        codes=stream.codes,
        qp_bitmap=active,
        active=active,
        drain=drain,
    )
    return stream, cells.fan_outs(vector_map.db_vector_masks, active), counts


@settings(max_examples=60, deadline=None)
@given(
    workload=st.sampled_from(WORKLOADS),
    doorbells=st.integers(1, 64),
    vectors=st.integers(1, 64),
    queues=st.integers(1, 32),
    fallback=st.booleans(),
    drain=st.integers(1, 5),
    interrupts=st.integers(1, 200),
    seed=st.integers(0, 2**64 - 1),
)
def test_right_counts_pass(
    workload: str, doorbells: int, vectors: int, queues: int, fallback: bool,
    drain: int, interrupts: int, seed: int,
) -> None:  # fmt: skip
    vector_map = generic(doorbells, vectors).vector_map
    vector_map = vector_map.as_fallback() if fallback else vector_map
    queues = min(queues, doorbells)
    stream, fan_out, counts = counted(workload, vector_map, queues, drain, interrupts, seed)
    expected = cells.check_law(stream, fan_out, drain, counts)
    if fallback:
        assert expected == queues
    if stream.exact:
        assert expected == Fraction(counts.schedule_calls, counts.interrupts)


def test_the_law_by_hand() -> None:
    """Four bits on two vectors, three of them active: 2 QPs under vector 0, 1 under vector 1."""
    vector_map = generic(4, 2).vector_map
    assert cells.fan_outs(vector_map.db_vector_masks, 0b0111) == (2, 1)
    assert cells.expected_amplification([Fraction(2, 3), Fraction(1, 3)], (2, 1)) == Fraction(5, 3)
    assert cells.expected_amplification([2.0, 1.0], (2, 1)) == Fraction(5, 3)
    mixed = cells.expected_amplification([Fraction(1, 7), 0.5], (64, 1))
    assert mixed == (Fraction(64, 7) + Fraction(1, 2)) / (Fraction(1, 7) + Fraction(1, 2))


def test_equal_fan_outs_leave_no_room_for_chance() -> None:
    """Whatever floats the rates are: every interrupt schedules one QP, so the law is exact."""
    stream, fan_out, _ = counted("zipf:s=1.1", generic(7, 7).vector_map, 7, 1, 300)
    assert not stream.exact
    assert cells.expected_amplification(stream.rates, fan_out) == 1
    assert cells.chance(stream, fan_out) == 0


@pytest.mark.parametrize("workload", ["uniform", "zipf:s=1.1", "burst:size=4,of=uniform"])
def test_chance_shrinks_with_the_draws_and_holds_over_many_seeds(workload: str) -> None:
    vector_map = generic(16, 3).vector_map  # 6, 6 and 4 bits
    widths = []
    for interrupts in (100, 10_000):
        far = []
        for seed in range(40):
            stream, fan_out, counts = counted(workload, vector_map, 16, 1, interrupts, seed)
            expected = cells.check_law(stream, fan_out, 1, counts)
            far.append(abs(Fraction(counts.schedule_calls, interrupts) - expected))
        widths.append(cells.chance(stream, fan_out))
        assert 0 < max(far) < widths[-1]
    assert widths[1] < widths[0] / 9


def wrong(counts: engine.DispatchCounts, **more: object) -> engine.DispatchCounts:
    """Return the counts with integers that are off by so much, and lists put in their place."""
    off = {key: getattr(counts, key) + by for key, by in more.items() if isinstance(by, int)}
    return replace(counts, **(more | off))


# 300 interrupts, 200 from vector 0 with two QPs and 100 from vector 1 with one: 500 calls.
ALL_LESS = {"schedule_calls": -1, "wakeups": -1, "spurious_wakeups": -1}
WRONG: dict[str, dict[str, object]] = {
    "interrupts:": {"interrupts": 1},
    "wakeups [+] merged:": {"wakeups": -1},
    "useful [+] spurious wakeups:": {"useful_wakeups": 1},
    "merged, with the softirq after": {"wakeups": -1, "spurious_wakeups": -1, "merged": 1},
    "schedule calls by source:": {"vector_schedule_calls": [399, 101]},
    "schedule calls:": ALL_LESS,
    "interrupts by source:": ALL_LESS
    | {"vector_interrupts": [199, 101], "vector_schedule_calls": [398, 101]},
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_counts_are_a_defect_of_the_tool(what: str) -> None:
    stream, fan_out, counts = counted("round-robin", generic(4, 2).vector_map, 3, 1, 300)
    with pytest.raises(ModelDisagreement, match=f"^defect of ntbbench: {what}") as caught:
        cells.check_law(stream, fan_out, 1, wrong(counts, **WRONG[what]))
    assert caught.value.exit_code == ExitCode.INTERNAL


def test_a_biased_stream_is_noticed() -> None:
    """The counts balance, but the draws do not follow the rates they were promised to follow."""
    stream, fan_out, counts = counted("uniform", generic(4, 2).vector_map, 3, 1, 20_000)
    biased = replace(stream, rates=(Fraction(1, 2), Fraction(1, 2)))
    with pytest.raises(ModelDisagreement, match="farther apart than 20000 draws can be"):
        cells.check_law(biased, fan_out, 1, counts)


@pytest.mark.parametrize(
    ("rates", "fan_out", "trials", "span"),
    [
        # Single draws: A = 3/4 * 1 + 1/4 * 5 = 2, so the terms are -1 and 3.
        ((Fraction(3, 4), Fraction(1, 4)), (1, 5), 100, 4),
        # Bursts of several sources: three of term -1, one of term 3.
        ((Fraction(1, 4),) * 4, (1, 1, 1, 5), 50, 6),
    ],
)
def test_chance_by_hand(rates, fan_out, trials: int, span: int) -> None:
    stream = Stream(np.zeros(100, np.uint8), np.zeros(100, np.uint64), 100, rates, False, trials)
    deviation = math.sqrt(math.log(2 / cells.FALSE_ALARM) / 200) + 1 / 100
    assert float(cells.chance(stream, fan_out)) == pytest.approx(span * deviation)


def test_too_few_calls_are_noticed_too() -> None:
    stream, fan_out, counts = counted("uniform", generic(4, 2).vector_map, 3, 1, 20_000)
    biased = replace(stream, rates=(Fraction(9, 10), Fraction(1, 10)))
    with pytest.raises(ModelDisagreement, match="farther apart than 20000 draws"):
        cells.check_law(biased, fan_out, 1, counts)
