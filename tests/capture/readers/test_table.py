# SPDX-License-Identifier: BSD-3-Clause
"""Every reader: what tools of Debian printed, foreign files, and real ones that were damaged."""

import json
import os
from pathlib import Path

import pytest
from captures import FOUR, PCI, TOOLS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutations import check, damaged_file, damaged_folder, folders, single_files

from ntbbench.capture.ingest import READERS, ingest


def test_each_reader_is_found_one_way_and_sources_say_what_they_cannot_tell() -> None:
    for reader in READERS:
        assert sum(map(bool, (reader.snapshots, reader.file, reader.begins))) == 1, reader.name
        assert bool(reader.gives) == bool(reader.cannot_tell), reader.name
    assert len({reader.name for reader in READERS}) == len(READERS)


def test_bpftrace_maps_of_the_programs_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "ntb.json"
    path.write_text(
        '{"type": "attached_probes", "data": {"probes": 3}}\n'
        '{"type": "map", "data": {"@events": 40}}\n'
        '{"type": "map", "data": {"@wake": {"18446612682070000000": 40, "7": 120}}}\n'
    )
    (ratio,) = ingest([path]).amplification
    assert (ratio.quantity, ratio.low, ratio.high) == ("doorbell wakeups", 4.0, 4.0)
    path.write_text(path.read_text() + '{"type": "lost_events", "data": {"events": 5}}\n')
    assert "lost" in ingest([path]).errors[0]


# Of each run: what, bit/s that arrived, retransmits, % lost, and whether the other host is known.
IPERF3 = {
    "tcp": [("TCP, 2 streams", 25103905923.56, 0, None, True)],
    "udp": [("UDP, 1 streams", 10222041.805561943, None, 0.0, True)],
    # the sender sent 22 Gbit/s, of which 85 % were lost; `end.sum` is the sender's
    "udp-lossy": [("UDP, 1 streams", 2940962029.3188834, None, 85.2580308477328, True)],
    "udp-server": [("UDP, 1 streams", 2940962029.3188834, None, 86.6222075596192, False)],
    "bidir": [
        ("TCP, 1 streams", 6798597711.363872, 6, None, True),
        ("TCP, 1 streams, reverse", 6738679968.27633, 3, None, True),
    ],
}


@pytest.mark.parametrize("name", IPERF3)
def test_iperf3_is_what_arrived_each_way_whichever_end_tells(name: str) -> None:
    found = ingest([TOOLS / f"iperf3-{name}.json"]).throughput
    for row, (what, rate, retransmits, lost, has_remote) in zip(found, IPERF3[name], strict=True):
        assert (row.what, row.retransmits) == (what, retransmits)
        assert (row.bits_per_second, row.lost_percent) == pytest.approx((rate, lost))
        assert (row.cpu_remote_percent is not None) == has_remote


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("refused", "unable to connect to server"),
        ("server-reverse", "the client's iperf3 -J"),  # it prints 0 for what the client received
    ],
)
def test_iperf3_that_says_nothing_of_what_arrived(name: str, told: str) -> None:
    measured = ingest([TOOLS / f"iperf3-{name}.json"])
    assert measured.throughput == [] and told in measured.errors[0]


def test_iperf3_without_sum_received_is_named_as_sent(tmp_path: Path) -> None:
    record = json.loads((TOOLS / "iperf3-udp-lossy.json").read_text())
    del record["end"]["sum_received"]
    path = tmp_path / "old.json"
    path.write_text(json.dumps(record))
    (row,) = ingest([path]).throughput
    assert row.what == "UDP, 1 streams, as sent"
    assert row.bits_per_second == pytest.approx(22352849912.881477)


@pytest.mark.parametrize(
    ("text", "rates", "told"),
    [
        ("0: copied 4294967296 bytes in 2000000 usecs, 2147 MBytes/s\n", [17179869184.0], ""),
        ("0: copied 100 bytes in 10 usecs, 11 MBytes/s\n", [], "damaged"),
        ("0: copied 100 bytes in 0 usecs, 11 MBytes/s\n", [], "damaged"),
        ("0: copied 100 bytes in 10 usecs, 10 MBytes/s\nxyz\n", [], "copied B bytes"),
    ],
)
def test_ntb_perf(tmp_path: Path, text: str, rates: list[float], told: str) -> None:
    path = tmp_path / "perf"
    path.write_text(text)
    measured = ingest([path])
    assert [row.bits_per_second for row in measured.throughput] == rates
    assert [told in error for error in measured.errors] == [True] * bool(told)


def test_single_numbers(tmp_path: Path) -> None:
    """Of ethtool's two sections the second is current; ntb_pingpong prints one number."""
    (tmp_path / "count").write_text("17\n")
    counts = ingest([TOOLS / "ethtool-l.txt", tmp_path / "count"]).counts
    assert [(c.name, c.value) for c in counts] == [
        ("combined_max", 1), ("combined", 1), ("pingpong", 17),
    ]  # fmt: skip


@pytest.mark.parametrize("data", [b"", b"\n", b"\0" * 50, b"PERFILE2\x68\0", b"\x7fELF\x02", b"x"])
def test_foreign_files_are_one_line(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "f"
    path.write_bytes(data)
    (error,) = ingest([path]).errors
    assert "\n" not in error


@pytest.mark.parametrize(
    ("data", "told"), [(b"\x17\x08Dtracing6\0", "trace-cmd report"), (b"PERFILE2", "perf script")]
)
def test_a_binary_trace_names_its_printer(tmp_path: Path, data: bytes, told: str) -> None:
    path = tmp_path / "f"
    path.write_bytes(data)
    assert told in ingest([path]).errors[0]


def test_a_lone_snapshot_says_what_it_needs() -> None:
    for path in (FOUR / "after-interrupts", FOUR / "after-stats" / PCI / "qp0"):
        (error,) = ingest([path]).errors
        assert "before- and after-" in error


def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "no regular file" in ingest([tmp_path / "pipe"]).errors[0]


@pytest.mark.parametrize("text", ["x" + " " * 2000, "x -1 " * 400, "x-1 [" * 400, "1 [0] " * 330])
def test_hostile_lines_take_no_time(tmp_path: Path, text: str) -> None:
    path = tmp_path / "f"
    path.write_text((text + "!\n") * 2000)
    assert len(ingest([path]).errors) == 1


@pytest.mark.parametrize("text", ["ntb_hw_x ", "ntb_perf 0: ", "1: ", "switchtec a: dbs mask "])
def test_hostile_lines_of_a_log_take_no_time(tmp_path: Path, text: str) -> None:
    path = tmp_path / "f"
    path.write_text("[    1.000000] x\n" + ((text * 2000)[:16000] + "\n") * 300)
    assert ingest([path]).errors == []


def test_a_line_without_an_end_costs_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("x" * (1 << 22))
    assert "characters" in ingest([path]).errors[0]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(source=st.sampled_from(single_files()), draw=st.randoms(use_true_random=False))
def test_mutated_real_files_never_crash(source, draw, tmp_path_factory) -> None:
    """Only InputError may escape a reader, and `ingest` turns it into a line."""
    measured = ingest([damaged_file(source, tmp_path_factory.mktemp("fuzz") / "file", draw)])
    check(measured)
    assert len(measured.errors) <= 1
    if measured.errors:
        assert (measured.traces, measured.throughput, measured.latencies) == ([], [], [])


@settings(max_examples=100, deadline=None)
@given(source=st.sampled_from(folders()), draw=st.randoms(use_true_random=False))
def test_mutated_folders_never_crash(source, draw, tmp_path_factory) -> None:
    check(ingest([damaged_folder(source, tmp_path_factory.mktemp("fuzz") / "capture", draw)]))
