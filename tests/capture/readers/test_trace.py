# SPDX-License-Identifier: BSD-3-Clause
"""Traces of three printers and output of tools, as Debian's programs printed them; and damaged."""

import json
import os
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest
from captures import FOUR, TOOLS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ntbbench.capture.ingest import ingest
from ntbbench.capture.measured import Traced
from ntbbench.capture.readers.file_kind import kind_of
from ntbbench.capture.readers.trace import read_traced
from ntbbench.capture.readers.trace_events import TraceText, read_events

PRINTED = {
    "ftrace.txt": ("ftrace text", "trace"),
    "trace-cmd.txt": ("trace-cmd report", "trace"),
    "perf-script.txt": ("perf script", "trace"),
}
FILES = [p for p in sorted(TOOLS.iterdir()) if p.is_file()]
REAL = [*FILES, FOUR / "trace", FOUR / "state", FOUR / "point"]


def traced(path: Path) -> Traced:
    return read_traced(path, "here", (), [])


@pytest.mark.parametrize("name", PRINTED)
def test_ordinary_interrupts_where_trace_cmd_can_report_but_not_record(name: str) -> None:
    """Counted by a plain search: handlers and softirqs are the same."""
    path = TOOLS / name
    text = path.read_text()
    result = traced(path)
    assert result.format == PRINTED[name][0]
    assert kind_of(path).name == "trace"
    expected = Counter(re.findall(r"softirq_entry:\s+vec=\d+ \[action=(\w+)\]", text))
    assert result.softirqs == dict(sorted(expected.items()))
    assert expected
    handlers = Counter(re.findall(r"irq_handler_entry:\s+irq=(\d+) name=(\S+)", text))
    assert {(str(h.irq), h.name): sum(h.per_cpu.values()) for h in result.handlers} == handlers
    assert handlers
    assert result.events == sum(": " in x and "#" not in x for x in text.splitlines())


def test_trace_cmd_names_a_cpu_without_events(tmp_path: Path) -> None:
    path, printed = tmp_path / "t.txt", TOOLS / "trace-cmd.txt"
    path.write_text(f"CPU 1 is empty\n{printed.read_text()}")
    assert traced(path) == traced(printed)


def as_perf(line: str) -> str:
    """Print an event of a recording as perf script prints a probe."""
    match = re.match(r"\s*(\S+)-(\d+)\s+\[(\d+)\] \S+\s+([\d.]+): (\w+): (?:\([^)]*\) )?(.*)", line)
    if match is None:
        return line
    event = {
        "db_event": "probe:ntb_transport_doorbell_callback",
        "tasklet_schedule": "probe:__tasklet_schedule",
        "rxc_db": "probe:ntb_transport_rxc_db",
    }.get(match[5], f"irq:{match[5]}")
    return f"{match[1]:>16} {match[2]} [{match[3]}] {match[4]}: {event}: {match[6]}"


def test_a_recording_printed_by_perf_gives_the_same_counts(tmp_path: Path) -> None:
    lines = (FOUR / "trace").read_text().splitlines()
    path = tmp_path / "perf.txt"
    path.write_text("\n".join(as_perf(x) for x in lines if not x.startswith("#")) + "\n")
    theirs, ours = traced(path), traced(FOUR / "trace")
    assert theirs.format == "perf script"
    assert theirs.db_events == ours.db_events == 160
    assert theirs.woken == ours.woken
    assert theirs.db_events_per_vector == {str(v): 40 for v in range(4)}


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("3520/3520", "3520/3900", "overwritten"),
        ("3520/3520", "3530/3530", "cut off"),
        (
            "              sh-459     [000] .....     4.8",
            "CPU:0 [LOST 7 EVENTS]\n",
            "lost 7 events",
        ),
        ("db_event: ", "db_event\n", "a line of ftrace"),
    ],
)
def test_a_trace_that_lacks_events_is_refused(
    tmp_path: Path, old: str, new: str, told: str
) -> None:
    path = tmp_path / "t.txt"
    path.write_text((FOUR / "trace").read_text().replace(old, new, 1))
    measured = ingest([path])
    assert told in measured.errors[0]
    assert measured.traces == []


def test_a_trace_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    text = (FOUR / "trace").read_text()
    for keep in (len(text) - 1, len(text) // 2, text.rindex("\n", 0, len(text) - 1) + 1):
        path = tmp_path / "t.txt"
        path.write_text(text[:keep])
        assert len(ingest([path]).errors) == 1


def split_by_cpu(folder: Path, gone: set[int]) -> None:
    """Give each second doorbell of a recording to CPU 1, and drop what the CPUs `gone` saw late."""
    lines = (FOUR / "trace").read_text().splitlines()
    cpu, doorbells, kept = 0, 0, []
    for line in lines:
        if "peer_db_set:" in line:
            doorbells += 1
            cpu = doorbells % 2
        late = doorbells > 100
        if line.startswith("#") or not (late and cpu in gone):
            kept.append(line.replace("[000]", f"[00{cpu}]"))
    events = sum(not line.startswith("#") for line in kept)
    text = "\n".join(kept).replace("3520/3520", f"{events}/{events}") + "\n"
    folder.mkdir()
    (folder / "trace").write_text(text)


def test_a_trace_whose_buffer_was_full_is_counted_up_to_there(tmp_path: Path) -> None:
    """CPU 1 recorded no more after its 50th doorbell; CPU 0 went on to its 80th."""
    folder = tmp_path / "c"
    split_by_cpu(folder, {1})
    (folder / "trace-full").write_text("CPU1 dropped 660\n")
    measured = ingest([folder])
    assert measured.errors == []
    (trace,) = measured.traces
    assert trace.db_events == 99  # 49 of CPU 0 and 50 of CPU 1
    assert [woken.doorbell for woken in trace.woken] == [99] * 4
    assert sum(woken.runs or 0 for woken in trace.woken) == 99 * 5
    assert any("CPU1 was full" in caution for caution in measured.cautions)
    assert {row.low for row in measured.amplification} == {4.0, 5.0}


@pytest.mark.parametrize("text", ["CPU1 dropped\n", "x\n", "CPU7 dropped 3\n"])
def test_a_bad_list_of_full_buffers_is_one_line(tmp_path: Path, text: str) -> None:
    folder = tmp_path / "c"
    split_by_cpu(folder, set())
    (folder / "trace-full").write_text(text)
    measured = ingest([folder])
    assert measured.traces == []
    assert len(measured.errors) == 2  # and that nothing usable is left


def test_bpftrace_maps_of_tracepoints_as_kprobes_do_not_run_on_that_kernel(tmp_path: Path) -> None:
    counts = ingest([TOOLS / "bpftrace.json"]).counts
    assert {c.key: c.value for c in counts if c.name == "@irq"} == {
        "41,virtio3-rx": 1,
        "42,virtio3-tx": 2,
    }
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


def test_iperf3() -> None:
    tcp, udp = ingest([TOOLS / "iperf3-tcp.json", TOOLS / "iperf3-udp.json"]).throughput
    assert tcp.what == "TCP, 2 streams"
    assert tcp.bits_per_second == pytest.approx(25103905923.56)
    assert tcp.retransmits == 0
    assert (udp.what, udp.lost_percent) == ("UDP, 1 streams", 0.0)
    (error,) = ingest([TOOLS / "iperf3-refused.json"]).errors
    assert "unable to connect to server" in error


def test_iperf3_udp_is_what_arrived_whichever_end_tells() -> None:
    """The sender sent 22 Gbit/s, of which 85 % were lost; `end.sum` is the sender's."""
    names = ("iperf3-udp-lossy.json", "iperf3-udp-server.json")
    client, server = ingest([TOOLS / name for name in names]).throughput
    assert client.bits_per_second == server.bits_per_second == pytest.approx(2940962029.3188834)
    assert client.lost_percent == pytest.approx(85.2580308477328)
    assert client.cpu_remote_percent is not None
    assert server.cpu_remote_percent is None


def test_iperf3_of_both_directions_is_two_rates() -> None:
    there, back = ingest([TOOLS / "iperf3-bidir.json"]).throughput
    assert (there.what, back.what) == ("TCP, 1 streams", "TCP, 1 streams, reverse")
    assert there.bits_per_second == pytest.approx(6798597711.363872)
    assert back.bits_per_second == pytest.approx(6738679968.27633)
    assert (there.retransmits, back.retransmits) == (6, 3)


def test_iperf3_server_that_only_sent_gives_no_rate() -> None:
    """It prints 0 for what the client received."""
    measured = ingest([TOOLS / "iperf3-server-reverse.json"])
    assert measured.throughput == []
    assert "the client's iperf3 -J" in measured.errors[0]


def test_iperf3_without_sum_received_is_named_as_sent(tmp_path: Path) -> None:
    record = json.loads((TOOLS / "iperf3-udp-lossy.json").read_text())
    del record["end"]["sum_received"]
    path = tmp_path / "old.json"
    path.write_text(json.dumps(record))
    (row,) = ingest([path]).throughput
    assert row.what == "UDP, 1 streams, as sent"
    assert row.bits_per_second == pytest.approx(22352849912.881477)


@pytest.mark.parametrize(
    "line",
    [
        "sh 459 [000] 4.8: probe:ntb_transport_doorbell_callback__return: (ffffc050 <- ffffc040)",
        "sh-459 [000] d.h1. 4.8: db_event: (ntb_db_event+0x4a/0x70 [ntb] <- "
        "ntb_transport_doorbell_callback)",
    ],
)
def test_a_return_probe_is_no_second_event(line: str, tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_text(f"{line}\n")
    assert traced(path).db_events is None


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


def test_ethtool_gives_the_second_combined_as_current() -> None:
    counts = ingest([TOOLS / "ethtool-l.txt"]).counts
    assert [(c.name, c.value) for c in counts] == [("combined_max", 1), ("combined", 1)]


@pytest.mark.parametrize("data", [b"", b"\n", b"\0" * 50, b"PERFILE2\x68\0", b"\x7fELF\x02", b"x"])
def test_foreign_files_are_one_line(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "f"
    path.write_bytes(data)
    (error,) = ingest([path]).errors
    assert "\n" not in error


def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "no regular file" in ingest([tmp_path / "pipe"]).errors[0]


@pytest.mark.parametrize("text", ["x" + " " * 2000, "x -1 " * 400, "x-1 [" * 400, "1 [0] " * 330])
def test_hostile_lines_take_no_time(tmp_path: Path, text: str) -> None:
    path = tmp_path / "f"
    path.write_text((text + "!\n") * 2000)
    assert len(ingest([path]).errors) == 1


def test_a_line_without_an_end_costs_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("x" * (1 << 22))
    assert "characters" in ingest([path]).errors[0]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_mutated_real_files_never_crash(data: st.DataObject, tmp_path_factory: object) -> None:
    """Only InputError may escape a reader, and `ingest` turns it into a line."""
    source = data.draw(st.sampled_from(REAL))
    text = bytearray(source.read_bytes()[: data.draw(st.sampled_from([2000, 8000]))])
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, max(len(text) - 1, 0)))
        end = at + data.draw(st.integers(0, 40))
        text[at:end] = data.draw(
            st.one_of(
                st.binary(max_size=12), st.sampled_from([b"\n", b"-1", b"9" * 30, b"{", b"0x"])
            )
        )
    folder = tmp_path_factory.mktemp("fuzz")  # type: ignore[attr-defined]
    path = folder / "file"
    path.write_bytes(bytes(text))
    measured = ingest([path])
    assert len(measured.errors) <= 1
    assert all("\n" not in error for error in measured.errors)
    if measured.errors:
        assert measured.traces == []
        assert measured.throughput == []


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_mutated_folders_never_crash(data: st.DataObject, tmp_path_factory: object) -> None:
    folder = tmp_path_factory.mktemp("fuzz") / "c"  # type: ignore[attr-defined]
    shutil.copytree(FOUR, folder, ignore=shutil.ignore_patterns("trace"))
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    path = data.draw(st.sampled_from(files))
    text = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, max(len(text) - 1, 0)))
    text[at : at + data.draw(st.integers(0, 400))] = data.draw(st.binary(max_size=6))
    path.write_bytes(bytes(text))
    measured = ingest([folder])
    assert all(qp.runs_low is None or 0 <= qp.runs_low < 2**64 for qp in measured.qps)
    assert all("\n" not in line for line in (*measured.errors, *measured.cautions))


def test_events_carry_cpu_and_pid() -> None:
    facts = TraceText()
    first = next(read_events(TOOLS / "perf-script.txt", facts))
    assert first.pid >= 0
    assert first.context == ""
    assert first.name.startswith(("softirq", "irq_handler"))
