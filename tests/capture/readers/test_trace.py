# SPDX-License-Identifier: BSD-3-Clause
"""Traces of three printers, counted; of a trace whose buffer was full, its beginning."""

import re
from collections import Counter
from pathlib import Path

import pytest
from captures import FOUR, TOOLS

from ntbbench.capture.ingest import ingest, reader_of
from ntbbench.capture.readers import Known
from ntbbench.capture.readers.trace import TRACE
from ntbbench.capture.records import Traced

PRINTED = {
    "ftrace.txt": "ftrace text",
    "trace-cmd.txt": "trace-cmd report",
    "perf-script.txt": "perf script",
}


def traced(path: Path) -> Traced:
    (found,) = TRACE.read(path, Known()).traces
    return found


@pytest.mark.parametrize("name", PRINTED)
def test_ordinary_interrupts_where_trace_cmd_can_report_but_not_record(name: str) -> None:
    """Counted by a plain search: handlers and softirqs are the same."""
    path = TOOLS / name
    text = path.read_text()
    result = traced(path)
    assert result.format == PRINTED[name]
    assert reader_of(path) is TRACE
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
    assert traced(path).softirqs == traced(printed).softirqs


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
