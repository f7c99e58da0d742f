# SPDX-License-Identifier: BSD-3-Clause
"""Known programs: what each side runs, and the numbers in what it leaves."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from board_records import BOARD, CELLS
from msgspec.structs import replace

from ntbbench.board.one_run.built_in import BUILT_IN, ProgramOutput, flow_rate
from ntbbench.board.one_run.programs import numbers, program_of
from ntbbench.board.settings import PROGRAMS, parsed
from ntbbench.core.errors import InputError

BOARD_OF_ALL = parsed({**BOARD, "axes": {"programs": list(PROGRAMS)}}, "")
PERF = """\
    Peer 0 test statistics:
0: copied 1073741824 bytes in 1000000 usecs, 1073 MBytes/s
1: copied 1073741824 bytes in 2000000 usecs, 536 MBytes/s
"""
SOCKPERF = """\
sockperf: ====> avg-latency=31.250 (std-dev=2.000)
sockperf: Summary: Latency is 31.250 usec
sockperf: ---> percentile 99.000 =   90.000
sockperf: ---> percentile 50.000 =   30.000
"""


def cell(program: str, **changes: Any):
    return replace(CELLS[1], program=program, **changes)


def left(text: str, before: Any = None, after: Any = None) -> ProgramOutput:
    return ProgramOutput(text, before or {"rc": {}, "ep": {}}, after or {"rc": {}, "ep": {}})


def told(program: str, output: ProgramOutput, **changes: Any) -> dict[str, float]:
    found = numbers(BOARD_OF_ALL, cell(program, **changes), output)
    return {one.name: one.value for one in found}


def test_every_program_that_can_be_asked_for_is_there() -> None:
    assert tuple(BUILT_IN) == PROGRAMS


@pytest.mark.parametrize(
    ("program", "server", "client"),
    [
        ("iperf3", "exec iperf3 -s -1 -p 5201 >/dev/null",
         "iperf3 -c 192.0.2.2 -p 5201 -t 10 -J -P 4 -B 192.0.2.1"),
        ("ping", "", "ping -n -c 500 -i 0.02 192.0.2.2"),
        ("sockperf", "exec sockperf server -i 192.0.2.2 -p 5201 >/dev/null",
         "sockperf ping-pong -i 192.0.2.2 -p 5201 -t 10"),
        ("netperf", "exec netserver -D -L 192.0.2.2 -p 5201 >/dev/null",
         "netperf -H 192.0.2.2 -p 5201 -l 10 -t TCP_RR -P 0 -j -- -k P50_LATENCY,P99_LATENCY"),
        ("ntb_pingpong", "", "exec sleep 10"),
    ],
)  # fmt: skip
def test_what_each_side_runs(program: str, server: str, client: str) -> None:
    lines = program_of(BOARD_OF_ALL, cell(program))
    assert (lines.server, lines.client) == (server, client)


def test_flows_share_the_rate_of_udp() -> None:
    assert flow_rate("1G", 4) == 250_000_000
    assert flow_rate("3", 4) == 1
    line = program_of(BOARD_OF_ALL, cell("iperf3", protocol="udp")).client
    assert line.endswith("-u -b 250000000")


def test_latencies_are_named_for_what_they_are() -> None:
    times = "".join(
        f"64 bytes from 192.0.2.2: icmp_seq={n} time=0.{n:03d} ms\n" for n in range(101)
    )
    assert told("ping", left(times)) == pytest.approx(
        {"round trip p50": 50e-6, "round trip p99": 99e-6}
    )
    assert told("sockperf", left(SOCKPERF)) == pytest.approx(
        {"half round trip p50": 30e-6, "half round trip p99": 90e-6}
    )
    assert told("netperf", left("P50_LATENCY=41\nP99_LATENCY=97.5\n")) == pytest.approx(
        {"round trip p50": 41e-6, "round trip p99": 97.5e-6}
    )


def test_the_threads_of_ntb_perf_copy_at_once() -> None:
    rate = 1073741824 * 8 * 1.5
    assert told("ntb_perf", left(PERF)) == pytest.approx({"copy throughput": rate})


@pytest.mark.parametrize(
    ("program", "text", "why"),
    [
        ("ntb_perf", "0: error status -110\n", "ntb_perf: 'thread 0: error -110'.*ETIMEDOUT"),
        ("ntb_perf", "Test status: idle\n", "ntb_perf: 'Test status: idle'"),
        ("netperf", "P50_LATENCY=41\n", "netperf: 'P50_LATENCY=41': P50_LATENCY and P99"),
        ("ping", "connect: Network is unreachable\n", "ping: 'connect: Network is unreach"),
        ("sockperf", "sockperf: Summary: Latency is 31.250 usec\n", "its percentiles"),
        ("iperf3", json.dumps({"start": {}, "end": {}, "error": "refused"}), "refused"),
        ("ntb_pingpong", "", "ntb_pingpong: 'None and None doorbells': a count that grows"),
    ],
)  # fmt: skip
def test_what_has_no_number_says_so(program: str, text: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        told(program, left(text))


@pytest.mark.parametrize(
    ("delays", "name"),
    [((0, 0), "ping-pong round trip"), ((0, 1), "ping-pong period"), ((1, 1), "ping-pong period")],
)
def test_a_ping_pong_is_a_round_trip_where_neither_side_waits(
    delays: tuple[int, int], name: str
) -> None:
    before = {"rc": {"uptime": 100.0, "ping-pong count": 7}, "ep": {}}
    after = {
        "rc": {"uptime": 110.0, "ping-pong count": 100_007, "ping-pong delay": delays[0]},
        "ep": {"ping-pong delay": delays[1]},
    }
    assert told("ntb_pingpong", left("", before, after)) == pytest.approx({name: 1e-4})


def test_ntb_perf_is_run_in_debugfs(tmp_path: Path) -> None:
    """The line as a shell runs it, in a folder that stands for debugfs."""
    line = program_of(BOARD_OF_ALL, cell("ntb_perf")).client
    line = line.replace("/sys/kernel/debug", str(tmp_path))
    ran = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (1, "no ntb_perf in debugfs: is it loaded?\n")
    device = tmp_path / "ntb_perf" / "0000:01:00.0"
    device.mkdir(parents=True)
    (device / "run").write_text("before")
    ran = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, "0\n")
