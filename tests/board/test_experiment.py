# SPDX-License-Identifier: BSD-3-Clause
"""The whole experiment on two hosts by ssh: real programs, real queues, a change that is known.

A namespace each, an asyncssh server in one and OpenSSH's in the other. What the variants change is
a token bucket of 10 Mbit/s (sch_tbf) before the link: nobody doubts what it does.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from board_sessions import QUICK, a_board, check_left, write
from machine_apart import MachineApart
from ssh_machine import Machine
from ssh_servers import openssh_server

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("in_an_empty_folder")]
OPEN = "tc qdisc replace dev link0 root handle 1: mq"
LIMITED = "tc qdisc replace dev link0 root tbf rate 10mbit burst 20k latency 20ms"
UNTESTED = 3  # exit code: two pairs decide nothing, whatever they show
ASKED = 20e6  # bit/s of UDP, all flows
CELLS = ["iperf3 tcp 2q 2f rc-ep", "iperf3 udp 2q 2f rc-ep", "ping 2q rc-ep", "sockperf 2q rc-ep"]


@pytest.fixture
def two_hosts(
    sides: dict[str, Any],
    pair: tuple[str, str],
    machine: Machine,
    apart: Callable[..., MachineApart],
    tmp_path: Path,
) -> Iterator[dict[str, Any]]:
    """Both sides by ssh; rc is a machine of its own."""
    machine.before = apart().before
    sides["rc"] |= {"host": "ssh:board", "ssh_config": str(machine.config)}
    folder = tmp_path / "sshd"
    folder.mkdir()
    with openssh_server(folder, ("ip", "netns", "exec", pair[1])) as config:
        sides["ep"] |= {"host": "ssh:board", "ssh_config": str(config)}
        yield sides


def medians(saved: dict[str, Any]) -> dict[tuple[str, str, str], float]:
    """Return the median of each number of each variant and cell."""
    found: dict[tuple[str, str, str], list[float]] = {}
    for one in saved["runs"]:
        for measure in one["measures"]:
            key = (one["variant"], CELLS[one["cell"]], measure["name"])
            found.setdefault(key, []).append(measure["value"])
    return {key: float(np.median(values)) for key, values in found.items()}


def test_from_check_to_gate(two_hosts: dict[str, Any], ntbbench) -> None:
    board = a_board(
        two_hosts,
        axes={
            "queues": [2],
            "protocol": ["tcp", "udp"],
            "flows": [2],
            "programs": ["iperf3", "ping", "sockperf"],
        },
        how={**QUICK, "rate": "20M", "placement": 3},
        variants=[{"name": "limited", "rc": LIMITED}, {"name": "open", "rc": OPEN}],
        restore={"rc": OPEN},
    )
    before = write(board)
    for words in ("check", "plan"):
        ran = ntbbench("board", words, "board.toml")
        assert ran.code == 0, ran.out + ran.err
    check_left(board, before, "they only read")
    ran = ntbbench("board", "run", "board.toml", "-o", "r.json", "--gate")
    assert ran.code == UNTESTED, ran.err
    check_left(board, before, ran.err)
    check_runs(json.loads(Path("r.json").read_text()))
    assert ntbbench("gate", "r.json").code == UNTESTED
    mail = ntbbench("show", "r.json", "--format", "mail")
    assert mail.code == 0
    assert max(map(len, mail.out.splitlines())) <= 75


def check_runs(saved: dict[str, Any]) -> None:
    """Every run has its numbers, its place on the queues and its captures; the numbers are so."""
    assert (saved["schema"], saved["stopped"], saved["restored"]) == (
        "ntbbench.board/1", "until", True,
    )  # fmt: skip
    assert len(saved["runs"]) == 2 * len(CELLS) * 2
    for one in saved["runs"]:
        is_open = one["variant"] == "open"
        queues = one["packets_per_queue"]
        assert (sum(queues) > 10) == is_open  # the bucket counts by no queue
        assert not any(queues[2:])  # mq counts the queues that `ethtool -L` took away, too
        assert {path.name for path in (Path("r") / one["capture"]).iterdir()} == {"rc", "ep"}
    found = medians(saved)
    tcp, udp, ping, sockperf = CELLS
    assert found["open", tcp, "throughput"] > ASKED
    assert found["limited", tcp, "throughput"] < 11e6
    assert found["open", udp, "throughput"] == pytest.approx(ASKED, rel=0.15)
    assert found["limited", udp, "throughput"] == pytest.approx(ASKED / 2, rel=0.2)
    assert found["limited", udp, "lost"] > 30 > found["open", udp, "lost"]
    for variant in ("limited", "open"):
        assert 0 < found[variant, ping, "round trip p50"] <= found[variant, ping, "round trip p99"]
        assert found[variant, sockperf, "half round trip p50"] > 0
        assert found[variant, tcp, "receiver CPU"] > 0
