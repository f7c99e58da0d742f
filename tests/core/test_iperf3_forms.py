# SPDX-License-Identifier: BSD-3-Clause
"""iperf3's text for people, its event stream, and several runs in a file, as every reader has them.

The texts are of iperf3 3.12, shortened as people shorten them.
"""

import json
from pathlib import Path

import pytest
from captures import CASES, TOOLS

from ntbbench.capture.ingest import ingest
from ntbbench.core.errors import InputError
from ntbbench.core.iperf3 import read
from ntbbench.core.iperf3_forms import documents

TABLE = "[ ID] Interval           Transfer     Bitrate         Retr  Cwnd\n"
HEAD = (
    "Connecting to host 10.0.0.2, port 5201\n"
    "[  5] local 10.0.0.1 port {} connected to 10.0.0.2 port 5201\n"
)
RULE = "- - - - - - - - - - - - - - - - - - - - - - - - -\n"
TCP = (
    HEAD.format(40000) + TABLE + "[  5]   0.00-1.00   sec   992 MBytes  8.31 Gbits/sec    0\n"
    "[  5]   1.00-2.00   sec   523 MBytes  4.40 Gbits/sec    0\n" + RULE + TABLE
    + "[  5]   0.00-2.00   sec  1.48 GBytes  6.31 Gbits/sec   24             sender\n"
    "[  5]   0.00-2.02   sec  1.48 GBytes  6.35 Gbits/sec                  receiver\n"
    "\niperf Done.\n"
)  # fmt: skip
UDP = (
    HEAD.format(40001)
    + "[ ID] Interval           Transfer     Bitrate         Total Datagrams\n"
    "[  5]   0.00-1.00   sec  2.41 MBytes  20184 Kbits/sec  77\n"
    "[  7]   0.00-1.00   sec  2.41 MBytes  20184 Kbits/sec  77\n"
    "[SUM]   0.00-1.00   sec  4.81 MBytes  40367 Kbits/sec  154\n" + RULE
    + "[ ID] Interval           Transfer     Bitrate         Jitter    Lost/Total Datagrams\n"
    "[  5]   0.00-1.00   sec  4.78 MBytes  20011 Kbits/sec  0.000 ms  0/153 (0%)  sender\n"
    "[  5]   0.00-1.00   sec  4.78 MBytes  20008 Kbits/sec  0.008 ms  9/153 (5.9%)  receiver\n"
    "[  7]   0.00-1.00   sec  4.78 MBytes  20011 Kbits/sec  0.000 ms  0/153 (0%)  sender\n"
    "[  7]   0.00-1.00   sec  4.78 MBytes  20008 Kbits/sec  0.008 ms  0/153 (0%)  receiver\n"
    "[SUM]   0.00-1.00   sec  9.56 MBytes  40021 Kbits/sec  0.000 ms  0/306 (0%)  sender\n"
    "[SUM]   0.00-1.00   sec  9.56 MBytes  40016 Kbits/sec  0.008 ms  9/306 (2.9%)  receiver\n"
)  # fmt: skip
BIDIR = (
    HEAD.format(40002)
    + "[ ID][Role] Interval           Transfer     Bitrate         Retr\n"
    "[  5][TX-C]   0.00-2.00   sec   544 MBytes  2.28 Gbits/sec    3             sender\n"
    "[  5][TX-C]   0.00-2.01   sec   523 MBytes  2.18 Gbits/sec                  receiver\n"
    "[  7][TX-C]   0.00-2.00   sec   540 MBytes  2.26 Gbits/sec    3             sender\n"
    "[  7][TX-C]   0.00-2.01   sec   516 MBytes  2.15 Gbits/sec                  receiver\n"
    "[  9][RX-C]   0.00-2.00   sec   342 MBytes  1.43 Gbits/sec   30             sender\n"
    "[  9][RX-C]   0.00-2.01   sec   339 MBytes  1.41 Gbits/sec                  receiver\n"
)  # fmt: skip
BACK = TCP.replace("[  5] local", "Reverse mode, remote host 10.0.0.2 is sending\n[  5] local")
OLD_UDP = (
    HEAD.format(40003)
    + "[ ID] Interval           Transfer     Bandwidth       Total Datagrams\n"
    "[  4]   0.00-10.00  sec  1.25 MBytes  1.05 Mbits/sec  159\n" + RULE
    + "[ ID] Interval           Transfer     Bandwidth       Jitter    Lost/Total Datagrams\n"
    "[  4]   0.00-10.00  sec  1.25 MBytes  1.05 Mbits/sec  0.011 ms  16/160 (10%)\n"
    "[  4] Sent 159 datagrams\n"
)  # fmt: skip
SERVER_SENT = (
    "Server listening on 5201\nAccepted connection from 10.0.0.1, port 1\n" + TABLE
    + "[  5]   0.00-2.02   sec  1.48 GBytes  6.31 Gbits/sec   24             sender\n"
)  # fmt: skip

Row = tuple[str, float, int | None, float | None, str]  # what, Mbit/s, retransmits, % lost, way
FORWARD, REVERSE = "forward", "reverse"
TEXTS: dict[str, tuple[str, list[Row]]] = {
    "tcp": (TCP, [("TCP, 1 streams", 6350, 24, None, FORWARD)]),
    "quoted in a mail": (
        "".join(f"> {line}\n" for line in TCP.split("\n")),
        [("TCP, 1 streams", 6350, 24, None, FORWARD)],
    ),
    "with a prompt": (
        f"root@board:~# iperf3 -c 10.0.0.2\n{TCP}root@board:~# ",
        [("TCP, 1 streams", 6350, 24, None, FORWARD)],
    ),
    "timestamps": (
        "".join(f"Mon Nov 30 04:46:29 2026 {line}\n" for line in TCP.split("\n")),
        [("TCP, 1 streams", 6350, 24, None, FORWARD)],
    ),
    "bytes": (
        TCP.replace("6.35 Gbits/sec", " 757 MBytes/sec"),
        [("TCP, 1 streams", 757 * 8 * 1.048576, 24, None, FORWARD)],
    ),
    "bits": (
        TCP.replace("6.35 Gbits/sec", "0.00 bits/sec"),
        [("TCP, 1 streams", 0, 24, None, FORWARD)],
    ),
    "totals alone": (
        TCP[TCP.index(TABLE, 200) :],
        [("TCP, 1 streams", 6350, 24, None, FORWARD)],
    ),
    "udp": (UDP, [("UDP, 2 streams", 40.016, None, 100 * 9 / 306, FORWARD)]),
    "old udp": (OLD_UDP, [("UDP, 1 streams, as sent", 1.05, None, 10.0, FORWARD)]),
    "both ways": (
        BIDIR,
        [
            ("TCP, 2 streams", 4330, 6, None, FORWARD),
            ("TCP, 2 streams, reverse", 1410, 30, None, REVERSE),
        ],
    ),
    "sum first": (
        BIDIR.replace("[  5][TX-C]   0.00-2.01", "[SUM][TX-C]   0.00-2.01"),
        [
            ("TCP, 2 streams", 2180, 6, None, FORWARD),
            ("TCP, 2 streams, reverse", 1410, 30, None, REVERSE),
        ],
    ),
    "reverse": (BACK, [("TCP, 1 streams", 6350, 24, None, REVERSE)]),
    "two runs": (
        TCP + UDP,
        [
            ("TCP, 1 streams", 6350, 24, None, FORWARD),
            ("UDP, 2 streams", 40.016, None, 100 * 9 / 306, FORWARD),
        ],
    ),
}


@pytest.mark.parametrize("name", TEXTS)
def test_texts(name: str, tmp_path: Path) -> None:
    text, rows = TEXTS[name]
    (tmp_path / "a.txt").write_text(text)
    measured = ingest([tmp_path / "a.txt"])
    assert measured.errors == []
    found = measured.throughput
    assert [(r.what, r.retransmits, r.direction) for r in found] == [
        (what, again, way) for what, _, again, _, way in rows
    ]
    assert [r.bits_per_second / 1e6 for r in found] == pytest.approx([row[1] for row in rows])
    assert [r.lost_percent for r in found] == pytest.approx([row[3] for row in rows])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (TCP[: TCP.index(RULE)], "no line of a total"),
        (SERVER_SENT, "the client's iperf3 -J"),
        ("iperf3: error - unable to connect to server: Connection refused\n", "refused"),
        (HEAD.format(1) + "iperf3: error - control socket has closed unexpectedly\n", "closed"),
        (TCP + "x" * 5000, "at most"),
    ],
)
def test_texts_that_tell_no_throughput(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(text)
    (error,) = ingest([tmp_path / "a.txt"]).errors
    assert told in error


def test_samples_of_a_text_are_its_intervals_unless_some_are_left_out(ntbbench, tmp_path) -> None:
    path = tmp_path / "a.txt"
    for text, samples in ((TCP, [8310e6, 4400e6]), ((CASES / "iperf3.txt").read_text(), [584e6])):
        path.write_text(text)
        ran = ntbbench("compare", path, path, "--format", "json")
        found = ran.comparisons["throughput"]
        assert (found["n_base"], found["base_summary"]["median"]) == (
            len(samples), pytest.approx(sum(samples) / len(samples)),
        )  # fmt: skip


def test_equal_texts_of_two_connections_are_two_runs(tmp_path: Path) -> None:
    """Three digits are soon the same."""
    (tmp_path / "a.txt").write_text(TCP + TCP.replace("40000", "40009") + TCP)
    measured = ingest([tmp_path / "a.txt"])
    assert len(measured.throughput) == 2 and "counts once" in measured.cautions[0]


@pytest.mark.parametrize("case", ["iperf3.txt", "iperf3-stream.json", "iperf3-i0.json"])
def test_cases_of_one_run(case: str, ntbbench, tmp_path: Path) -> None:
    rate = {"iperf3.txt": 584.0, "iperf3-stream.json": 500.4, "iperf3-i0.json": 500.1}[case]
    path = CASES / case
    (row,) = ingest([path]).throughput
    assert row.bits_per_second / 1e6 == pytest.approx(rate, abs=0.05)
    found = ntbbench("compare", path, path, "--format", "json").comparisons["throughput"]
    samples = {"iperf3-stream.json": 10}.get(case, 1)
    assert found["n_base"] == samples
    assert found["base_summary"]["median"] / 1e6 == pytest.approx(rate, rel=0.01)
    board = tmp_path / "board.toml"
    args = ("--set", "run.duration=5ms", "-o", board)
    assert ntbbench("fit", "--iperf3", path, *args).code == 0


def test_case_of_two_runs_in_a_file() -> None:
    rows = ingest([CASES / "iperf3-two.json"]).throughput
    assert [row.bits_per_second / 1e6 for row in rows] == pytest.approx([498.3, 499.7], abs=0.05)


def test_case_of_each_run_twice(ntbbench) -> None:
    sides = [CASES / "iperf3-twice" / side for side in ("a", "b")]
    found = ntbbench("compare", *sides, "--format", "json").comparisons["throughput"]
    assert (found["n_base"], found["n_candidate"], found["verdict"]) == (4, 4, "inconclusive")
    assert found["p_value"] == pytest.approx(0.0286, abs=0.0001)


@pytest.mark.parametrize("more", ["iperf Done.\n", "\nroot@board:~# \n", "iperf3: interrupt\n\n"])
def test_a_line_of_text_after_a_document(more: str, ntbbench, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(f"{(TOOLS / 'iperf3-tcp.json').read_text()}\n{more}")
    assert len(ingest([path]).throughput) == 1
    assert "throughput" in ntbbench("compare", path, path, "--format", "json").comparisons


@pytest.mark.parametrize(
    ("form", "runs"),
    [
        ("[{0}, {1}]", 2),  # as `jq -s` prints
        ("[\n  {0},\n  {1}\n]\n", 2),
        ("warning: Ignoring nonsense TCP MSS 0\n{0}", 1),
        ("root@board:~# iperf3 -c host -J\n{0}\nroot@board:~# iperf3 -c host -J\n{1}\n", 2),
    ],
)
def test_documents_in_a_list_or_behind_other_lines(form: str, runs, ntbbench, tmp_path) -> None:
    record = json.loads((TOOLS / "iperf3-tcp.json").read_text())
    other = record | {"title": "another run"}
    path = tmp_path / "a.txt"
    path.write_text(form.format(json.dumps(record), json.dumps(other, indent=1)))
    assert len(ingest([path]).throughput) == runs
    found = ntbbench("compare", path, path, "--format", "json").comparisons["throughput"]
    assert found["n_base"] == runs or runs == 1


STREAM = [
    {"event": "start", "data": {"test_start": {"protocol": "TCP", "num_streams": 1}}},
    {"event": "interval", "data": {"sum": {"seconds": 1, "bits_per_second": 1e9}}},
    {"event": "end", "data": {"sum_received": {"seconds": 1, "bits_per_second": 9e8}}},
]


def printed(*events: object) -> str:
    return "".join(f"{json.dumps(event)}\n" for event in events)


@pytest.mark.parametrize(
    ("text", "rates"),
    [
        (printed(*STREAM), [9e8]),
        (printed(*STREAM, *STREAM), [9e8, 9e8]),
        (printed(*STREAM) + "iperf Done.\n", [9e8]),
        (printed(STREAM[0], {"event": "error", "data": "refused"}), ["refused"]),
        (printed(STREAM[0], {"event": "server_output_text", "data": "x"}, *STREAM[1:]), [9e8]),
    ],
)
def test_streams(text: str, rates: list[object]) -> None:
    runs = [read(run, "a") for run in documents(text, "a")]
    assert [run.error or run.arrived("")[0] for run in runs] == rates


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (printed(*STREAM[:2]), "without its end"),
        (printed(*STREAM)[:-9], "an event"),
        (printed(STREAM[0], {"event": 1}), "an object with its event"),
    ],
)
def test_streams_that_are_cut_off(text: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        documents(text, "a")
