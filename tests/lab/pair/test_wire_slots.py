# SPDX-License-Identifier: BSD-3-Clause
"""Which slot each doorbell bit rings, from the traces of either direction and doorbell mode."""

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntbbench.core.errors import InputError
from ntbbench.lab.pair.point_files import read_words
from ntbbench.lab.pair.ring_trace_file import (
    NO_SLOT,
    WORDS,
    Addresses,
    PairTrace,
    SlotTrace,
    read_pair_trace,
)
from ntbbench.pair.drivers.slots import slot_of
from ntbbench.pair.setting import Traffic

RING = {
    "ep-to-rc": "peer_db_set: (vntb_epf_peer_db_set+0x0/0x60 [m]) ntb=0xee bits={:#x}",
    "rc-to-ep": "peer_db_set: (ntb_epf_peer_db_set+0x0/0x80 [m]) ntb=0xff bits={:#x}",
}
MSI = "raise_irq: (pci_epc_raise_irq+0x0/0xd0) msi={}"
SLOT = "slot: (epc_loop_rung+0x0/0x10 [epc_loop]) slot={}"
RUNG = "rung: (f+0x74/0x130 [ntb_transport] <- ntb_epf_peer_db_set) slots={{{}}}"
SERVED = "served: (f+0x1e7/0x2f4 <- epf_ntb_cmd_handler) slots={{{}}}"
Slots = Callable[[int], Iterable[int]]


def words(slots: Iterable[int]) -> str:
    held = set(slots)
    return ",".join(hex((slot + 1) * (slot in held)) for slot in range(32))


def read(folder: Path, bodies: Iterable[str], direction: str) -> PairTrace:
    path = folder / "trace"
    line = "    kworker/0:1H-51      [000] d..1.     1.{:06d}: {}\n"
    path.write_text("".join(line.format(number, body) for number, body in enumerate(bodies)))
    return read_pair_trace(
        path, Traffic(direction), Addresses({}, {}, {0xEE: "ep", 0xFF: "rc"}), polled=True
    )


def polled(moves: Iterable[int | None], slots: Slots, looks: Slots) -> list[str]:
    """Return the trace of rings (bits) and polls (None) of an endpoint that empties some slots."""
    held: set[int] = set()
    bodies = []
    for bit in moves:
        if bit is None:
            held -= set(looks(0))
            bodies.append(SERVED.format(words(held)))
        else:
            held |= set(slots(bit))
            bodies += [RING["rc-to-ep"].format(1 << bit), RUNG.format(words(held))]
    return bodies


MOVES = st.lists(st.one_of(st.integers(0, 5), st.none()), min_size=1, max_size=40)


@given(moves=MOVES)
def test_no_order_of_rings_and_polls_puts_a_right_doorbell_elsewhere(tmp_path_factory, moves):
    bodies = polled(moves, lambda bit: [bit + 2], lambda _: range(2, 8))
    trace = read(tmp_path_factory.mktemp("t"), bodies, "rc-to-ep")
    assert all(slot == slot_of(bit) for bit, slot in trace.slots.rung)
    assert not trace.slots.absent
    first = {bit for bit in moves if bit is not None}
    assert set(trace.slots.of_bits()) == first


@given(moves=MOVES, shift=st.sampled_from([-2, -1, 1, 3]), looks=st.booleans())
def test_every_bit_of_a_shifted_driver_is_seen_where_it_rang(
    tmp_path_factory, moves, shift, looks
) -> None:
    """Also where the endpoint never looks at that slot, whose word then stays set."""
    served: Slots = lambda _: range(2 + shift, 8 + shift) if looks else range(2, 8)  # noqa: E731
    trace = read(
        tmp_path_factory.mktemp("t"),
        polled(moves, lambda bit: [bit + 2 + shift], served),
        "rc-to-ep",
    )
    for bit in {bit for bit in moves if bit is not None}:
        assert trace.slots.of_bits()[bit] == [bit + 2 + shift]


def test_a_word_that_stays_set_does_not_hide_the_doorbells_that_follow(tmp_path: Path) -> None:
    bodies = polled([0, None] * 5, lambda _: [1], lambda _: range(2, 8))
    slots = read(tmp_path, bodies, "rc-to-ep").slots
    assert (slots.rung, slots.absent) == (Counter({(0, 1): 1}), Counter({0: 4}))


def test_a_doorbell_that_no_word_shows_is_absent(tmp_path: Path) -> None:
    bodies = polled([3, None], lambda _: [], lambda _: range(2, 8))
    slots = read(tmp_path, bodies, "rc-to-ep").slots
    assert (slots.rung, slots.absent) == (Counter(), Counter({3: 1}))


def test_what_a_poll_emptied_was_served(tmp_path: Path) -> None:
    bodies = polled([0, 2, None, 0, None], lambda bit: [bit + 2], lambda _: [2])
    assert read(tmp_path, bodies, "rc-to-ep").slots.served == Counter({2: 2})


@pytest.mark.parametrize(("direction", "body"), [("ep-to-rc", MSI), ("rc-to-ep", SLOT)])
def test_an_interrupt_is_that_of_the_ring_before_it(
    tmp_path: Path, direction: str, body: str
) -> None:
    """MSI n is slot n - 1."""
    number = {"ep-to-rc": lambda slot: slot + 1, "rc-to-ep": lambda slot: slot}[direction]
    swapped = {0: 3, 1: 2, 4: 6}
    bodies = []
    for bit in (0, 1, 4, 1):
        bodies += [RING[direction].format(1 << bit), body.format(number(swapped[bit]))]
    slots = read(tmp_path, bodies, direction).slots
    assert slots.of_bits() == {0: [3], 1: [2], 4: [6]}
    assert slots.served == Counter({3: 1, 2: 2, 6: 1})


@given(data=st.data())
def test_no_snapshot_of_a_burst_puts_a_right_msi_elsewhere(tmp_path_factory, data) -> None:
    """The endpoint's work takes what is pending at any time and raises each bit of it once."""
    pending = {0}
    in_hand: list[int] = []
    bodies = [RING["ep-to-rc"].format(1)]
    for move in data.draw(st.lists(st.sampled_from(["ring", "take", "raise"]), min_size=1)):
        if move == "ring":
            bit = data.draw(st.integers(0, 2))
            pending.add(bit)
            bodies.append(RING["ep-to-rc"].format(1 << bit))
        elif move == "take" and not in_hand:
            in_hand, pending = sorted(pending), set()
        elif in_hand:
            bodies.append(MSI.format(in_hand.pop(0) + 3))
    bodies += [MSI.format(bit + 3) for bit in [*in_hand, *sorted(pending)]]
    trace = read(tmp_path_factory.mktemp("t"), bodies, "ep-to-rc")
    assert all(slot == slot_of(bit) for bit, slot in trace.slots.rung)


def test_rings_the_other_way_are_none(tmp_path: Path) -> None:
    bodies = polled([0, None], lambda bit: [bit + 2], lambda _: range(2, 8))
    slots = read(tmp_path, [*bodies, SLOT.format(3)], "ep-to-rc").slots
    assert (slots.rung, slots.absent, slots.served) == (Counter(),) * 3


def test_words_are_the_slots_that_the_endpoint_published(tmp_path: Path) -> None:
    path = tmp_path / "doorbells"
    assert read_words(path) == WORDS
    path.write_text("words 0xffa0000018001000\n")
    assert read_words(path) == WORDS
    lines = (f"slot {slot} offset {8 * slot} data {slot + 1:#x}\n" for slot in range(16))
    path.write_text("".join(lines))
    apart = SlotTrace(read_words(path))
    for bit, word in ((0, 4), (1, 6), (2, 7)):
        apart.ring(1 << bit)
        apart.rang([int(number == word) for number in range(32)])
    assert apart.of_bits() == {0: [2], 1: [3], 2: [NO_SLOT]}


@pytest.mark.parametrize("text", ["slots={}", "slots={0x1,}", "slots={1,2}", "slots=0x1"])
def test_words_that_cannot_be_read_are_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match=r"trace:1: .*slots=\{NUMBER"):
        read(tmp_path, [f"rung: (f <- ntb_epf_peer_db_set) {text}"], "rc-to-ep")
