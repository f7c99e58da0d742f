# SPDX-License-Identifier: BSD-3-Clause
"""Changes and their way back: written down first, put back in the right order, verified."""

from pathlib import Path
from typing import Any

import pytest
from fake_host import FakeHost
from hypothesis import given
from hypothesis import strategies as st

from ntbbench.board.board_records import BoardJournal
from ntbbench.board.changes import Changer, load_journal
from ntbbench.board.hosts import CommandFailed, HostLost
from ntbbench.board.restoring import by_hand, differences, restore
from ntbbench.board.settings import Board, parsed
from ntbbench.board.survey import survey

SIDE = {"host": "local", "netdev": "eth1", "address": "192.0.2.1"}
MODULE = "/root/after/ntb_netdev.ko"
TABLE: dict[str, Any] = {
    "rc": SIDE,
    "ep": SIDE,
    "how": {"boot": 10, "patience": "1s"},
    "variants": [
        {"name": "before"},
        {"name": "after", "modules": [MODULE]},
        {"name": "next", "rc": "reboot 6.20.0", "kernel": "6.20.0"},
    ],
    "restore": {"rc": "reboot 6.19.0"},
}


class Same(Changer):
    """A changer whose hosts need no new connection."""

    def reconnect(self, side: str) -> None:
        self.look(side)


def changer(folder: Path, *, reboots: bool = False, **options: Any) -> Changer:
    table = TABLE if reboots else {**TABLE, "variants": TABLE["variants"][:2], "restore": {}}
    board = parsed(table, "")
    hosts = {side: FakeHost(side, **options) for side in ("rc", "ep")}
    now = {side: survey(host, board) for side, host in hosts.items()}
    journal = BoardJournal(
        token="12ab",
        board=board.plain(),
        found={side: one.settings() for side, one in now.items()},
        lines={side: dict(one.lines) for side, one in now.items()},
        drivers={side: one.drivers() for side, one in now.items()},
        touched={},
    )
    return Same(folder / "board.toml.journal.json", board, dict(hosts), journal, now)


def host(of: Changer, side: str = "rc") -> FakeHost:
    found = of.hosts[side]
    assert isinstance(found, FakeHost)
    return found


def variant(board: Board, name: str):
    return next(one for one in board.variants if one.name == name)


STEPS = st.one_of(
    st.tuples(
        st.just("cell"), st.sampled_from([0, 1, 2, 4]),
        st.sampled_from(["found", "single", "spread", "1,0", "irqbalance"]),
    ),
    st.tuples(st.just("load"), st.sampled_from(["before", "after"]), st.just("")),
    st.tuples(st.just("governor"), st.just(""), st.just("")),
)  # fmt: skip


@given(
    steps=st.lists(STEPS, max_size=8),
    irqbalance=st.booleans(),
    lost=st.integers(0, 60),
    refused=st.sampled_from(["", "rmmod", "insmod", "combined 2", "echo 0", "stop", "performance"]),
)
def test_whatever_was_done_and_wherever_it_broke_all_is_put_back(
    tmp_path_factory: pytest.TempPathFactory, steps, irqbalance: bool, lost: int, refused: str
) -> None:
    one = changer(tmp_path_factory.mktemp("board"), irqbalance=irqbalance)
    before = {side: host(one, side).state() for side in ("rc", "ep")}
    host(one).count, host(one).lost_at = 0, lost
    host(one, "ep").refuses = refused
    try:
        one.lock("ada@here")
        for kind, first, second in steps:
            for side in ("rc", "ep"):
                if kind == "cell":
                    one.arrange(side, first, second)
                elif kind == "governor":
                    one.set(side, "governor cpu0", "performance")
            if kind == "load":
                one.load(variant(one.board, first), lambda: False)
    except (HostLost, CommandFailed):
        pass
    touched = bool(one.journal.touched)
    assert one.path.exists() == touched  # what is changed is written down
    host(one).lost_at, host(one, "ep").refuses = 0, ""
    for side in ("rc", "ep"):
        assert restore(one, side) == []
        ours, found = host(one, side).state(), before[side]
        if irqbalance:  # it places the lines anew
            ours, found = ours[:1] + ours[2:], found[:1] + found[2:]
        assert ours == found
    assert not one.path.exists()


def test_what_is_not_as_it_was_is_told_and_kept(tmp_path: Path) -> None:
    one = changer(tmp_path)
    one.lock("ada@here")
    one.arrange("rc", 2, "single")
    host(one).refuses = "combined 4"
    wrong = restore(one, "rc")
    assert wrong[0] == "rc: exit code 1 of ethtool -L eth1 combined 4: refused"
    assert "rc: channels combined was '4' and is '2'" in wrong
    assert one.path.exists()
    assert host(one).locked
    told = [*by_hand(one.journal)]
    assert "rc: ethtool -L eth1 combined 4" in told
    assert "rc: echo 0-1 > /proc/irq/40/smp_affinity_list" in told
    host(one).refuses = ""
    assert restore(one, "rc") == []
    assert not host(one).locked


def test_the_journal_is_read_back(tmp_path: Path) -> None:
    one = changer(tmp_path)
    one.lock("ada@here")
    one.arrange("rc", 2, "found")
    read = load_journal(tmp_path / "board.toml")
    assert read == one.journal
    assert load_journal(tmp_path / "other.toml") is None


def test_the_other_driver_comes_back_before_its_queues(tmp_path: Path) -> None:
    one = changer(tmp_path)
    one.load(variant(one.board, "after"), lambda: False)
    assert one.now["rc"].drivers()["ntb_netdev"] == "NEW"
    one.arrange("rc", 2, "single")
    host(one).lines.clear()
    assert restore(one, "rc") == []
    assert host(one).lines[:2] == [
        "[ ! -d /sys/module/ntb_netdev ] || rmmod ntb_netdev", "modprobe ntb_netdev"
    ]  # fmt: skip
    assert host(one).modules == {"ntb_netdev": "AAA"}


def test_a_reboot_into_another_kernel_and_back(tmp_path: Path) -> None:
    one = changer(tmp_path, reboots=True)
    before = host(one).state()
    one.lock("ada@here")
    one.load(variant(one.board, "next"), lambda: False)
    assert one.now["rc"].get("kernel") == "6.20.0"
    assert host(one).locked
    assert restore(one, "rc") == []
    assert host(one).state() == before


def test_a_reboot_that_nobody_asked_for_leaves_nothing_to_put_back(tmp_path: Path) -> None:
    one = changer(tmp_path)
    one.lock("ada@here")
    one.arrange("rc", 2, "spread")
    with pytest.raises(HostLost):
        host(one)._rebooted("6.19.0")
    assert restore(one, "rc") == []


def test_a_clock_that_jumps_changes_nothing(tmp_path: Path) -> None:
    one = changer(tmp_path)
    one.arrange("rc", 2, "found")
    host(one).clock -= 10**8
    assert restore(one, "rc") == []
    assert not [*differences(one.journal, "rc", survey(host(one), one.board))]
