# SPDX-License-Identifier: BSD-3-Clause
"""What no point of a run tried, in words."""

from typing import Any

import msgspec
import pytest
from pair_recordings import evaluated

from ntbbench.lab.pair.disagreements import not_exercised
from ntbbench.lab.pair.records import UNAVAILABLE, PairPoint


def apart(boot: str) -> list[PairPoint]:
    return [point for point in evaluated(boot) if point.gap_us or point.link == "down"]


def changed(points: list[PairPoint], **fields: Any) -> list[PairPoint]:
    return [msgspec.structs.replace(point, **fields) for point in points]


# Four QPs, eight slots, both directions, polled, and the slots seen, which that lab did not.
AFTER = changed(apart("after-after"), slots_per_number={"2": 5, "3": 5, "4": 5, "5": 5})
BITS, MEET = "doorbell bits 4-5 that no QP has (--queues)", "doorbells that meet (--gap 0)"
MODES = "the endpoint's doorbell modes msi and embedded (--doorbell)"
TO_RC, TO_EP = AFTER


def test_both_directions_of_every_qp_leave_bits_modes_and_meeting() -> None:
    assert not_exercised(AFTER) == [BITS, MEET, MODES]


@pytest.mark.parametrize(
    ("points", "told"),
    [
        ([TO_RC], ["doorbells towards the endpoint (--direction rc-to-ep)", BITS, MEET]),
        ([TO_EP], ["doorbells towards the root complex (--direction ep-to-rc)", BITS, MEET, MODES]),
        (changed(AFTER, ep_slots=6), [MEET, MODES]),
        (changed(AFTER, ep_slots=7), ["doorbell bit 4 that no QP has (--queues)", MEET, MODES]),
        (
            [*AFTER, *changed(AFTER, ep_slots=9)],
            ["doorbell bits that no QP has (--queues)", MEET, MODES],
        ),
        (
            [TO_RC, *changed([TO_EP], doorbells_per_qp=[5, 0, 5, 0])],
            ["rc-to-ep: the doorbell of QP 1, 3 (--flows)", BITS, MEET, MODES],
        ),
        (changed(AFTER, gap_us=0), [BITS, "doorbells that do not meet (--gap)", MODES]),
        ([TO_RC, *changed([TO_EP], gap_us=0)], [BITS, MODES]),
        (
            [*AFTER, *changed(AFTER, doorbell="msi"), *changed(AFTER, doorbell="embedded")],
            [BITS, MEET],
        ),
        (
            changed(AFTER, slots_per_number={}),
            [
                "ep-to-rc: which slots its doorbells rang",
                "rc-to-ep: which slots its doorbells rang",
                *(BITS, MEET, MODES),
            ],
        ),
        (changed(AFTER, status=UNAVAILABLE), []),
        ([], []),
    ],
)
def test_what_is_left(points: list[PairPoint], told: list[str]) -> None:
    assert not_exercised(points) == told


def test_a_link_that_is_down_exercises_no_doorbell() -> None:
    told = not_exercised(apart("after-after-slots-4"))
    assert told[:2] == [
        "doorbells ep-to-rc where the link is down",
        "doorbells rc-to-ep where the link is down",
    ]
