# SPDX-License-Identifier: BSD-3-Clause
"""The files of a pair's point: every event once, whose QPs are whose, which slot each bit rang."""

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from captures import FOUR, PCI, set_counters
from hypothesis import example, given
from hypothesis import strategies as st

from ntbbench.capture.readers.doorbell_point import read_point
from ntbbench.core.errors import InputError
from ntbbench.lab.commands import GuestError
from ntbbench.lab.pair.boot.left import DriverSource
from ntbbench.lab.pair.plan import PairSetup
from ntbbench.lab.pair.point_files import read_sides, read_words, write_point, write_state
from ntbbench.lab.pair.predict import measured_verdict
from ntbbench.lab.pair.ring_trace_file import (
    NO_SLOT,
    WORDS,
    Addresses,
    PairTrace,
    WireSlots,
    read_pair_trace,
)
from ntbbench.pair.drivers.kernel_around import slot_of
from ntbbench.pair.flow import POLL, Raised, Told
from ntbbench.pair.setting import Traffic

CONTEXTS = {0x1000: "ep", 0x2000: "rc"}
QPS = {0x10000 + n * 0x268: ("ep", n) for n in range(4)} | {
    0x20000 + n * 0x268: ("rc", n) for n in range(4)
}
DEVICES = {0x3000: "ep", 0x4000: "rc"}
ADDRESSES = Addresses(qps=QPS, contexts=CONTEXTS, devices=DEVICES)

LINE = "    kworker/0:1H-51      [000] d..1.     1.{:06d}: {}\n"
Event = tuple[str, str, int]  # kind, side, number
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("ring"), st.sampled_from(["ep", "rc"]), st.integers(0, 3)),
        st.tuples(st.just("event"), st.sampled_from(["ep", "rc"]), st.integers(0, 31)),
        st.tuples(st.just("run"), st.sampled_from(["ep", "rc"]), st.integers(0, 3)),
        st.tuples(st.just("msi"), st.just("ep"), st.integers(1, 16)),
        st.tuples(st.just("poll"), st.just("ep"), st.just(0)),
        st.tuples(st.just("other"), st.just("ep"), st.integers(0, 9)),
    ),
    min_size=1,
)


def line_of(number: int, event: Event) -> str:
    kind, side, value = event
    context = next(address for address, owner in CONTEXTS.items() if owner == side)
    ntb = next(address for address, owner in DEVICES.items() if owner == side)
    qp = next((a for a, owner in QPS.items() if owner == (side, value)), 0)
    body = {
        "ring": f"peer_db_set: (anything+0x0/0x60 [m]) ntb={ntb:#x} bits={1 << value:#x}",
        "event": f"db_event: (f+0x0/0x1 [ntb_transport]) ctx={context:#x} vector={value}",
        "run": f"rxc_db: (ntb_transport_rxc_db+0x0/0x4e0 [ntb_transport]) qp={qp:#x}",
        "msi": f"raise_irq: (pci_epc_raise_irq+0x0/0xd0) msi={value}",
        "poll": "poll: (epf_ntb_cmd_handler+0x0/0x1c0 [pci_epf_vntb])",
        "other": f"isr: (ntb_epf_vec_isr+0x0/0xe0 [ntb_hw_epf]) irq={value}",
    }[kind]
    return LINE.format(number, body)


def read(folder: Path, events: list[Event], direction: str, *, polled: bool = True):
    path = folder / "trace"
    path.write_text("".join(line_of(n, event) for n, event in enumerate(events)))
    return read_pair_trace(path, Traffic(direction), ADDRESSES, polled=polled)


@given(events=EVENTS, direction=st.sampled_from(["ep-to-rc", "rc-to-ep"]), polled=st.booleans())
def test_every_event_is_counted_once_on_its_side(tmp_path_factory, events, direction, polled):
    sender, receiver = direction.split("-to-")
    trace = read(tmp_path_factory.mktemp("t"), events, direction, polled=polled)

    def numbers(kind: str, side: str) -> list[int]:
        return [value for k, s, value in events if (k, s) == (kind, side)]

    assert sorted(trace.doorbells.elements()) == sorted(numbers("ring", sender))
    assert trace.backward == len(numbers("ring", receiver))
    assert sorted(trace.vectors.elements()) == sorted(numbers("event", receiver))
    assert sorted(trace.runs.elements()) == sorted(numbers("run", receiver))
    assert sorted(trace.msis.elements()) == sorted(numbers("msi", "ep") if sender == "ep" else [])
    kept = []
    for kind, side, value in events:
        if (kind, side) == ("ring", sender):
            kept.append(1 << value)
        elif (kind, side) == ("event", receiver):
            kept.append(Told(value))
        elif kind == "msi" and sender == "ep":
            kept.append(Raised(value))
        elif kind == "poll":
            kept.append(POLL)
    assert trace.items == kept
    assert sum(len(wake.rung) for wake in trace.wakes) <= trace.rings
    if not polled:
        assert len(trace.wakes) == trace.rings


def test_rings_before_one_poll_are_one_wake(tmp_path: Path) -> None:
    events = [("ring", "rc", 0), ("ring", "rc", 1), ("poll", "ep", 0), ("event", "ep", 0)]
    trace = read(tmp_path, [*events, ("run", "ep", 0), ("ring", "rc", 2)], "rc-to-ep")
    assert [(wake.rung, wake.ran) for wake in trace.wakes] == [({0, 1}, {0}), ({2}, set())]


def test_runs_of_the_poll_before_are_not_those_of_a_ring_since(tmp_path: Path) -> None:
    """The ring of bit 1 comes when the tasklets of bit 0 are still to run."""
    first = [("ring", "rc", 0), ("poll", "ep", 0), ("event", "ep", 0), ("ring", "rc", 1)]
    late = [("run", "ep", 0), ("poll", "ep", 0), ("event", "ep", 1), ("run", "ep", 1)]
    apart = [("ring", "rc", 0), ("poll", "ep", 0), ("event", "ep", 0), ("run", "ep", 0)]
    trace = read(tmp_path, [*first, *late, *apart], "rc-to-ep")
    assert [wake.doubtful for wake in trace.wakes] == [True, True, False]
    assert measured_verdict(trace, 2) == ""


@pytest.mark.parametrize(
    "events",
    [
        # a slot that a poll finds behind its start; a ring that no poll followed
        [("ring", "rc", 0), ("event", "ep", 0), ("run", "ep", 0), ("poll", "ep", 0)],
        [("ring", "rc", 0)],
    ],
)
def test_a_wake_without_a_poll_of_its_own_is_doubtful(tmp_path: Path, events: list[Event]) -> None:
    trace = read(tmp_path, [("poll", "ep", 0), *events], "rc-to-ep")
    assert [wake.doubtful for wake in trace.wakes] == [True]


@given(
    moves=st.lists(st.one_of(st.integers(0, 2), st.sampled_from(["poll", "run"])), min_size=1),
    fallback=st.booleans(),
)
def test_no_order_of_a_correct_driver_is_missed(tmp_path_factory, moves, fallback) -> None:
    """Rings land anywhere between a poll and its tasklets, which run before the next poll."""
    events: list[Event] = []
    waiting: set[int] = set()
    scheduled: list[int] = []

    def run(count: int) -> None:
        events.extend(("run", "ep", qp_num) for qp_num in scheduled[:count])
        del scheduled[:count]

    for move in [*moves, "poll"]:
        if isinstance(move, int):
            waiting.add(move)
            events.append(("ring", "rc", move))
        elif move == "run":
            run(1)
        else:
            run(len(scheduled))
            events.append(("poll", "ep", 0))
            for bit in sorted(waiting):
                events.append(("event", "ep", bit))
                woken = range(3) if fallback else [bit]
                scheduled.extend(qp_num for qp_num in woken if qp_num not in scheduled)
            waiting.clear()
    run(len(scheduled))
    trace = read(tmp_path_factory.mktemp("t"), events, "rc-to-ep")
    works = "fallback" if fallback else "per-vector"
    assert measured_verdict(trace, 3) in {"", "works", works}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("qp=0x20000", "qp=0x5"),
        ("ctx=0x2000", "ctx=0x5"),
        ("vector=3", "vector=-1"),
        ("ntb=0x3000", "ntb=0x5"),
        ("bits=0x1", "bits=none"),
    ],
)
def test_a_line_that_is_nobodys_is_named(tmp_path: Path, old: str, new: str) -> None:
    read(tmp_path, [("ring", "ep", 0), ("event", "rc", 3), ("run", "rc", 0)], "ep-to-rc")
    path = tmp_path / "trace"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(InputError, match=r"trace:\d"):
        read_pair_trace(path, Traffic("ep-to-rc"), ADDRESSES, polled=False)


# --- slots of the wire ---------------------------------------------------------------------------

RING = {
    "ep-to-rc": "peer_db_set: (vntb_epf_peer_db_set+0x0/0x60 [m]) ntb=0x3000 bits={:#x}",
    "rc-to-ep": "peer_db_set: (ntb_epf_peer_db_set+0x0/0x80 [m]) ntb=0x4000 bits={:#x}",
}
MSI = "raise_irq: (pci_epc_raise_irq+0x0/0xd0) msi={}"
SLOT = "slot: (epc_loop_rung+0x0/0x10 [epc_loop]) slot={}"
RUNG = "rung: (f+0x74/0x130 [ntb_transport] <- ntb_epf_peer_db_set) slots={{{}}}"
SERVED = "served: (f+0x1e7/0x2f4 <- epf_ntb_cmd_handler) slots={{{}}}"
Slots = Callable[[int], Iterable[int]]


def words(slots: Iterable[int]) -> str:
    held = set(slots)
    return ",".join(hex((slot + 1) * (slot in held)) for slot in range(32))


def read_bodies(folder: Path, bodies: Iterable[str], direction: str) -> PairTrace:
    path = folder / "trace"
    path.write_text("".join(LINE.format(number, body) for number, body in enumerate(bodies)))
    return read_pair_trace(path, Traffic(direction), ADDRESSES, polled=True)


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
    trace = read_bodies(tmp_path_factory.mktemp("t"), bodies, "rc-to-ep")
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
    trace = read_bodies(
        tmp_path_factory.mktemp("t"),
        polled(moves, lambda bit: [bit + 2 + shift], served),
        "rc-to-ep",
    )
    for bit in {bit for bit in moves if bit is not None}:
        assert trace.slots.of_bits()[bit] == [bit + 2 + shift]


def test_a_word_that_stays_set_does_not_hide_the_doorbells_that_follow(tmp_path: Path) -> None:
    bodies = polled([0, None] * 5, lambda _: [1], lambda _: range(2, 8))
    slots = read_bodies(tmp_path, bodies, "rc-to-ep").slots
    assert (slots.rung, slots.absent) == (Counter({(0, 1): 1}), Counter({0: 4}))


def test_a_doorbell_that_no_word_shows_is_absent(tmp_path: Path) -> None:
    bodies = polled([3, None], lambda _: [], lambda _: range(2, 8))
    slots = read_bodies(tmp_path, bodies, "rc-to-ep").slots
    assert (slots.rung, slots.absent) == (Counter(), Counter({3: 1}))


def test_what_a_poll_emptied_was_served(tmp_path: Path) -> None:
    bodies = polled([0, 2, None, 0, None], lambda bit: [bit + 2], lambda _: [2])
    assert read_bodies(tmp_path, bodies, "rc-to-ep").slots.served == Counter({2: 2})


@pytest.mark.parametrize(("direction", "body"), [("ep-to-rc", MSI), ("rc-to-ep", SLOT)])
def test_an_interrupt_is_that_of_the_ring_before_it(tmp_path, direction, body) -> None:
    """MSI n is slot n - 1."""
    number = {"ep-to-rc": lambda slot: slot + 1, "rc-to-ep": lambda slot: slot}[direction]
    swapped = {0: 3, 1: 2, 4: 6}
    bodies = []
    for bit in (0, 1, 4, 1):
        bodies += [RING[direction].format(1 << bit), body.format(number(swapped[bit]))]
    slots = read_bodies(tmp_path, bodies, direction).slots
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
    trace = read_bodies(tmp_path_factory.mktemp("t"), bodies, "ep-to-rc")
    assert all(slot == slot_of(bit) for bit, slot in trace.slots.rung)


def test_rings_the_other_way_are_none(tmp_path: Path) -> None:
    bodies = polled([0, None], lambda bit: [bit + 2], lambda _: range(2, 8))
    slots = read_bodies(tmp_path, [*bodies, SLOT.format(3)], "ep-to-rc").slots
    assert (slots.rung, slots.absent, slots.served) == (Counter(),) * 3


@pytest.mark.parametrize("text", ["slots={}", "slots={0x1,}", "slots={1,2}", "slots=0x1"])
def test_words_that_cannot_be_read_are_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match=r"trace:1: .*slots=\{NUMBER"):
        read_bodies(tmp_path, [f"rung: (f <- ntb_epf_peer_db_set) {text}"], "rc-to-ep")


SETUP_TRACE = """\
  ln-50  [000] ..Zff  0.57: set_ctx: (x [ntb]) ntb=0xa8 ctx=0xc0 dev="0000:10:00.0"
  kworker/0:1-10  [000] ..Zff  0.58: set_ctx: (x [ntb]) ntb=0xb8 ctx=0xd0 dev="0010:00:00.0"
  insmod-60  [000] .....  0.67: create_queue: (y [ntb_transport]) dev="0000:10:00.0"
  insmod-60  [000] .....  0.67: queue_created: (z <- y) qp=0x100
  insmod-60  [000] .....  0.67: create_queue: (y [ntb_transport]) dev="0010:00:00.0"
  insmod-60  [000] .....  0.67: queue_created: (z <- y) qp=0x200
  ntb_flow-69  [000] .....  0.69: create_queue: (y [ntb_transport]) dev="0000:10:00.0"
  ntb_flow-69  [000] .....  0.69: queue_created: (z <- y) qp=0x140
  ntb_flow-69  [000] .....  0.69: create_queue: (y [ntb_transport]) dev="0000:10:00.0"
  ntb_flow-69  [000] .....  0.69: queue_created: (z <- y) qp=0x0
"""


def write_stats(folder: Path, packets: dict[tuple[str, str], tuple[int, int]]) -> None:
    for (device, qp), (sent, received) in packets.items():
        place = folder / device
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(FOUR / "after-stats" / PCI / "qp0", place / qp)
        set_counters(place / qp, rx_pkts=received, tx_pkts=sent)


def test_sides_and_qps_come_from_the_trace_of_the_setup(tmp_path: Path) -> None:
    (tmp_path / "trace").write_text(SETUP_TRACE)
    sides = read_sides(tmp_path / "trace")
    assert sides["ep"].ctx == 0xC0 and sides["ep"].qps == (0x100, 0x140)
    assert sides["rc"].ntb == 0xB8 and sides["rc"].qps == (0x200,)
    point = tmp_path / "point"
    write_stats(point / "before-stats", {("0000:10:00.0", "qp1"): (2, 0)})
    write_stats(
        point / "after-stats", {("0000:10:00.0", "qp1"): (7, 0), ("0010:00:00.0", "qp0"): (0, 5)}
    )
    (point / "after-stats" / "0000:10:00.0" / "qp0").touch()  # without a link
    write_state(point, sides)
    assert (point / "state").read_text().splitlines() == [
        "port 0 qp 0 up 0 tx 0 rx 0 bad 0 ptr 0x100",
        "port 0 qp 1 up 1 tx 7 rx 0 bad 0 ptr 0x140",
        "port 1 qp 0 up 1 tx 0 rx 5 bad 0 ptr 0x200",
    ]
    sides_of = {
        side: DriverSource(side, "after", "", tmp_path, patches)
        for side, patches in (("ep", (1, 2)), ("rc", (9, 11, 12)))
    }
    write_point(point, PairSetup(), Traffic(), sides_of)
    told = dict(line.split("=", 1) for line in (point / "point").read_text().splitlines())
    assert (
        told["sending_qps"] == "1" and told["vectors"] == "14" and told["rc_patches"] == "9 11 12"
    )


@given(st.lists(st.integers(1, 255), min_size=1).map(bytes))
@example(b"my driver queues=3.c")
@example(b"a\nvectors=1")
@example(b"\xff.c")
def test_no_name_of_a_driver_changes_what_replay_reads(name: bytes) -> None:
    with TemporaryDirectory() as folder:
        write_stats(Path(folder) / "before-stats", {("0000:10:00.0", "qp1"): (2, 0)})
        write_stats(Path(folder) / "after-stats", {("0000:10:00.0", "qp1"): (7, 0)})
        found = []
        for spec in ("after", f"/tmp/{os.fsdecode(name)}"):
            sides = {side: DriverSource(side, spec, "", Path(), (12,)) for side in ("ep", "rc")}
            write_point(Path(folder), PairSetup(), Traffic(), sides)
            found.append(read_point(Path(folder) / "point"))
        assert found[0] == found[1]


def test_a_qp_that_no_one_created_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "trace").write_text(SETUP_TRACE)
    write_stats(tmp_path / "after-stats", {("0010:00:00.0", "qp1"): (1, 1)})
    with pytest.raises(GuestError, match="that no one created"):
        write_state(tmp_path, read_sides(tmp_path / "trace"))


def test_words_are_the_slots_that_the_endpoint_published(tmp_path: Path) -> None:
    path = tmp_path / "doorbells"
    assert read_words(path) == WORDS
    path.write_text("words 0xffa0000018001000\n")
    assert read_words(path) == WORDS
    lines = (f"slot {slot} offset {8 * slot} data {slot + 1:#x}\n" for slot in range(16))
    path.write_text("".join(lines))
    apart = WireSlots(read_words(path))
    for bit, word in ((0, 4), (1, 6), (2, 7)):
        apart.ring(1 << bit)
        apart.rang([int(number == word) for number in range(32)])
    assert apart.of_bits() == {0: [2], 1: [3], 2: [NO_SLOT]}
