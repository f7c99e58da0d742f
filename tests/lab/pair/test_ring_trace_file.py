# SPDX-License-Identifier: BSD-3-Clause
"""The reader of a pair's trace: every event counted once, on its side, in order."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntbbench.core.errors import InputError
from ntbbench.lab.pair.predict import measured_verdict
from ntbbench.lab.pair.ring_trace_file import Addresses, read_pair_trace
from ntbbench.pair.flow import POLL, Raised, Told
from ntbbench.pair.setting import Traffic

CONTEXTS = {0x1000: "ep", 0x2000: "rc"}
QPS = {0x10000 + n * 0x268: ("ep", n) for n in range(4)} | {
    0x20000 + n * 0x268: ("rc", n) for n in range(4)
}
DEVICES = {0x3000: "ep", 0x4000: "rc"}
ADDRESSES = Addresses(qps=QPS, contexts=CONTEXTS, devices=DEVICES)

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
    return f"    kworker/0:1H-51      [000] d..1.     1.{number:06d}: {body}\n"


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


def test_a_slot_that_a_poll_finds_behind_its_start_is_doubtful(tmp_path: Path) -> None:
    events = [("poll", "ep", 0), ("ring", "rc", 0), ("event", "ep", 0), ("run", "ep", 0)]
    trace = read(tmp_path, [*events, ("poll", "ep", 0)], "rc-to-ep")
    assert [wake.doubtful for wake in trace.wakes] == [True]


def test_a_ring_that_no_poll_followed_is_doubtful(tmp_path: Path) -> None:
    trace = read(tmp_path, [("poll", "ep", 0), ("ring", "rc", 0)], "rc-to-ep")
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
