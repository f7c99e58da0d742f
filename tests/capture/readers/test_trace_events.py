# SPDX-License-Identifier: BSD-3-Clause
"""Traces as kernels and recorders print them, line by line and counted; cut ones are refused."""

import re
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from captures import CASES, FOUR, TOOLS

from ntbbench.capture.ingest import ingest, reader_of
from ntbbench.capture.readers import Known
from ntbbench.capture.readers.probe_hits import EventKind, TraceEvent, read_trace
from ntbbench.capture.readers.trace import TRACE
from ntbbench.capture.readers.trace_events import TraceText
from ntbbench.capture.recording import read_recording
from ntbbench.capture.records import Traced
from ntbbench.core.errors import InputError
from ntbbench.ntb.loopback import Context

HEAD = "              sh-459     [000] "
RING = "4.889202: peer_db_set: (l_peer_db_set+0x4/0x100 [ntb_loop]) ntb=0xff3c3b5481f8e028 bits=0x4"


def read(tmp_path: Path, text: str) -> tuple[list[TraceEvent], TraceText]:
    path = tmp_path / "trace"
    path.write_text(text)
    facts = TraceText()
    return list(read_trace(path, facts)), facts


def refusals(tmp_path: Path, text: str) -> Iterator[str]:
    """Yield what the readers of a recording and of a capture say of a trace."""
    with pytest.raises(InputError) as caught:
        read(tmp_path, text)
    yield str(caught.value)
    yield from ingest([tmp_path / "trace"]).errors


def test_a_ring(tmp_path: Path) -> None:
    (event,), facts = read(tmp_path, f"# tracer: nop\n#\n\n{HEAD}..... {RING}\n")
    assert event == TraceEvent(
        line=4,
        time=4.889202,
        cpu=0,
        pid=459,
        context=Context.TASK,
        need_resched=False,
        kind=EventKind.RING,
        value=4,
        owner=0xFF3C3B5481F8E028,
    )
    assert (facts.lines, facts.has_flags, facts.entries) == (1, True, None)


@pytest.mark.parametrize(
    ("flags", "context", "need_resched"),
    [
        (".....", Context.TASK, False),
        ("d.h2.", Context.HARDIRQ, False),
        ("dNh2.", Context.HARDIRQ, True),
        ("dnH1", Context.SOFTIRQ, True),
        ("..s1.", Context.SOFTIRQ, False),
        ("dNZ2.", Context.SOFTIRQ, True),
        ("d.z2.", Context.HARDIRQ, False),
        ("DBh3.", Context.HARDIRQ, True),
        ("bbh3.", Context.HARDIRQ, True),
        ("dlh3.", Context.HARDIRQ, False),  # lazy: need_resched() is still false
        ("dLh3.", Context.HARDIRQ, False),
        ("dph3.", Context.HARDIRQ, False),
    ],
)
def test_flags(tmp_path: Path, flags: str, context: Context, need_resched: bool) -> None:
    (event,), _ = read(
        tmp_path, f"{HEAD}{flags} 1.000001: db_event: (f+0x4/0x8) ctx=0x1 vector=11\n"
    )
    assert (event.context, event.need_resched, event.value) == (context, need_resched, 11)


@pytest.mark.parametrize(
    "line",
    [
        f"sh-459 [000] {RING}",  # option irq-info off
        f"sh-459     [000] ..... {RING}",
        f"sh-459     (    459) [000] ..... {RING}",  # record-tgid
        f"sh-459     (-------) [000] ..... {RING}",
        f"sh-459     [000] (  459) ..... {RING}",  # kernels before 4.13 print it here
        f"sh-459     [000] d.h1 {RING}",  # four flags: before 5.16
        f"a b-12 [3]: x-459     [000] ..... {RING}",
        "sh-459 [000] ..... 4.889202: kprobes:peer_db_set: (ffff) ntb=ff3c3b5481f8e028 bits=4",
        f"\tsh-459\t[000] ..... {RING}   ",
        f"sh  459 [000] {RING}",  # perf script
    ],
)
def test_forms_of_a_line(tmp_path: Path, line: str) -> None:
    (event,), _ = read(tmp_path, line + "\n")
    assert (event.pid, event.cpu, event.time) == (459, 0, 4.889202)
    assert (event.kind, event.value, event.owner) == (EventKind.RING, 4, 0xFF3C3B5481F8E028)


def test_other_events_count_as_lines_only(tmp_path: Path) -> None:
    text = (
        f"{HEAD}d.h2. 1.000000: irq_handler_entry: irq=30 name=ntb qp=0x1\n"
        f"{HEAD}..s1. 1.000001: tasklet_entry: tasklet=bh function=do [other]\n"
        f"{HEAD}..s1. 1.000002: softirq_exit: vec=6 [action=TASKLET]\n"
        f"{HEAD}..... 1.000003: sched_process_fork:\n"
    )
    events, facts = read(tmp_path, text)
    assert (events, facts.lines) == ([], 4)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("what is this\n", "a line of ftrace"),
        (f"{HEAD}..... nonsense: peer_db_set: bits=0x4\n", "a line of ftrace"),
        (f"{HEAD}..... 4.1: peer_db_set: (f) ntb=0x1\n", "bits="),
        (f"{HEAD}..... 4.1: peer_db_set: (f) ntb=0x1 bits=0x10000000000000000\n", "64 bits"),
        (f"{HEAD}..... 4.1: peer_db_set: (f) ntb=0x1 bits=-1\n", "64 bits"),
        (f"{HEAD}..... 4.1: db_event: (f) ctx=0x1 vector=-1\n", "vector number"),
        (f"{HEAD}..... 4.1: db_event: (f) ctx=0x1 vector=0x40\n", "vector number"),
        (f"{HEAD}..... 4.1: db_event: (f) ctx=0x1 vector=99999999999\n", "vector number"),
        (f"{HEAD}..... 4.1: tasklet_schedule: (f) tasklet=(null)\n", "tasklet="),
        (f"{HEAD}..... 4.1: rxc_db: (f)\n", "qp="),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, said: str) -> None:
    message = next(refusals(tmp_path, f"# tracer: nop\n{HEAD}..... {RING}\n{line}"))
    assert "trace:3:" in message and "\n" not in message
    assert said in message


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("CPU:0 [LOST 12 EVENTS]\n", "CPU 0 lost 12 events"),
        ("CPU:3 [LOST 1 EVENT]\n", "CPU 3 lost 1 events"),
        ("CPU:7 [LOST EVENTS]\n", "CPU 7 lost events"),
        ("CPU:1 [9 EVENTS DROPPED]\n", "CPU 1 lost 9 events"),
        ("CPU:1 [EVENTS DROPPED]\n", "CPU 1 lost events"),
        ("# entries-in-buffer/entries-written: 40/1520   #P:1\n", "1480 of 1520 events were"),
        (f"{HEAD}d.h2.     4.8892", "cut off within this line"),
        (f"{HEAD}..... {RING}", "cut off within this line"),
    ],
)
@pytest.mark.parametrize("before", ["", f"{HEAD}..... {RING}\n"])
def test_an_incomplete_trace_is_refused(tmp_path: Path, before: str, line: str, said: str) -> None:
    place = "trace:2:" if before else "trace:1:"
    told = list(refusals(tmp_path, before + line))
    assert len(told) == 2
    for message in told:
        assert place in message and "incomplete" in message and said in message


@pytest.mark.parametrize("keep", [1, 0.999, 0.5])
def test_a_trace_that_ends_before_its_header_says_is_refused(tmp_path: Path, keep: float) -> None:
    """The reader of a recording goes by its doorbells."""
    lines = (FOUR / "trace").read_text().splitlines(keepends=True)
    (tmp_path / "t.txt").write_text("".join(lines[: int((len(lines) - 1) * keep)]))
    (error,) = ingest([tmp_path / "t.txt"]).errors
    assert "its header counts more lines" in error


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_bytes(b"\xff\xfe\x1b[31m-459 [000] ..... " + RING.encode() + b"\n\xff\n")
    with pytest.raises(InputError, match=r"trace:2: .*xff.*a line of ftrace") as caught:
        list(read_trace(path, TraceText()))
    assert str(caught.value).isprintable()


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        list(read_trace(tmp_path / "trace", TraceText()))


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
    assert len(measured.errors) == 1


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


LEGENDS = {
    5: ("irqs-off/BH-disabled", "need-resched", "hardirq/softirq", "preempt-depth"),
    6: ("irqs-off", "need-resched", "need-resched-lazy", "hardirq/softirq", "preempt-depth"),
    7: (
        *("irqs-off", "need-resched", "need-resched-lazy", "hardirq/softirq", "preempt-depth"),
        "preempt-lazy-depth",
    ),
    8: (
        *("irqs-off", "need-resched", "need-resched-lazy", "local-irqs", "hardirq/softirq"),
        *("preempt-depth", "preempt-lazy-depth"),
    ),
}


@pytest.mark.parametrize("width", LEGENDS)
@pytest.mark.parametrize("at", ["h", "s", "."])
def test_the_legend_tells_where_the_context_stands(width: int, at: str, tmp_path: Path) -> None:
    names = (*LEGENDS[width], "migrate-disable")
    legend = "".join(f"#      {'|' * i} / _--=> {name}\n" for i, name in enumerate(names))
    flags = "".join(at if name == "hardirq/softirq" else "." for name in names)
    assert len(flags) == width
    text = f"# tracer: nop\n#\n{legend}#  |||| /   delay\n"
    line = f"{HEAD}{flags} 1.000001: db_event: (f+0x4/0x8) ctx=0x1 vector=1\n"
    (event,), _ = read(tmp_path, text + line)
    wanted = {"h": Context.HARDIRQ, "s": Context.SOFTIRQ, ".": Context.TASK}
    assert event.context == wanted[at]


@pytest.mark.parametrize(
    ("flags", "context"),
    [("d..h1..", "HARDIRQ"), ("...s.1.", "SOFTIRQ"), ("d..h..", "HARDIRQ"), ("d.h1.", "HARDIRQ")],
)
def test_flags_without_a_legend(flags: str, context: str, tmp_path: Path) -> None:
    (event,), _ = read(tmp_path, f"{HEAD}{flags} 1.0: rxc_db: (f+0x4/0x8) qp=0x1\n")
    assert event.context.name == context


def test_the_trace_of_preempt_rt() -> None:
    found = traced(CASES / "trace-rt7.txt")
    assert (found.db_events, found.db_events_per_vector) == (1, {"0": 1})
    assert (found.schedules, found.wakeups_low, found.wakeups_high) == (2, 1, 1)
    assert (found.runs_low, found.runs_high) == (1, 1)


COUNTS = ("104", "18446744073709551", "7")


@pytest.mark.parametrize("time", COUNTS)
@pytest.mark.parametrize("printer", ["[002] ..s1. {}: ", "[002]  {}: ", "[002] ...s.1. {}: "])
def test_a_clock_that_counts_leaves_the_counts(time: str, printer: str, tmp_path: Path) -> None:
    """trace_clock counter, x86-tsc; nothing is derived from such times."""
    path = tmp_path / "t.txt"
    line = f"     ksoftirqd/2-24      {printer.format(time)}softirq_entry: vec=6 [action=TASKLET]\n"
    path.write_text(f"# tracer: nop\n{line * 3}")
    found = traced(path)
    assert (found.softirqs, found.has_times) == ({"TASKLET": 3}, False)
    assert any("no seconds" in caution for caution in ingest([path]).cautions)


def test_a_recording_of_a_counting_clock_is_not_replayed(tmp_path: Path) -> None:
    folder = shutil.copytree(FOUR, tmp_path / "r")
    trace = folder / "trace"
    times = re.compile(r"(\] \S+\s+)(\d+)\.(\d{6}): ")
    trace.write_text(times.sub(r"\1\2\3: ", trace.read_text()))
    assert ingest([folder]).traces[0].db_events == 160
    with pytest.raises(InputError, match="no times or CPUs"):
        read_recording(folder)


@pytest.mark.parametrize("first", ["version = 6\ncpus=8\n", "version = 7\n", "cpus=2\n"])
def test_the_first_lines_of_trace_cmd(first: str, tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_text(f"{first}{(CASES / 'trace-tcold.txt').read_text().splitlines()[-1]}\n")
    found = traced(path)
    assert (found.format, found.softirqs) == ("trace-cmd report", {"TASKLET": 1})


CHAIN = (
    "\tffffffff8110bd4c __do_softirq+0x4c ([kernel.kallsyms])\n"
    "\t           98a9a malloc+0x16a (inlined)\n  [kernel.kallsyms][ffffffff813622ba]\n\n"
)


@pytest.mark.parametrize(
    ("fields", "has_times", "has_places"),
    [
        ("swapper     0 [002]  1234.567892: ", True, True),
        ("swapper     0/0     [002]  1234.567892:          1 ", True, True),
        ("Web Content 7 [1] 12     0 [002]  1234.567892123: 4000000 ", True, True),
        ("ksoftirqd/2    24  1234.567893:     ", True, False),
        ("swapper [002] 39886.124659: ", True, False),
        ("39886.124659:  ", True, False),
        ("swapper     0 [000] ", False, True),
        ("perf-exec 16403 [001]          1 ", False, True),
        ("", False, False),
    ],
)
@pytest.mark.parametrize("chain", ["", "\n", CHAIN])
def test_what_perf_script_prints(fields, has_times, has_places, chain, tmp_path) -> None:
    """With -F as with -g; in its lines of tasks stands no event."""
    path = tmp_path / "t.txt"
    lines = [f"{fields}irq:softirq_entry: vec=6 [action=TASKLET]\n{chain}"] * 2
    lines.append(f"{fields}probe:ntb_transport_doorbell_callback: (ffffffffc0a01230)\n{chain}")
    lines.append("sleep 16403 [001] 39887.509419: PERF_RECORD_EXIT(16403:16403):(16402:16402)\n")
    path.write_text("".join(lines))
    found = traced(path)
    assert (found.format, found.events) == ("perf script", 3)
    assert (found.db_events, found.softirqs) == (1, {"TASKLET": 2})
    assert found.has_times == has_times
    cautions = ingest([path]).cautions
    assert any("no CPU or no pid" in caution for caution in cautions) == (not has_places)


def test_without_a_cpu_nobody_knows_what_a_callback_scheduled(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    text = "swapper     0 {} 1.{}: probe:{}: ({}) {}\n"
    probes = [
        ("ntb_transport_doorbell_callback", "vector=0x0"),
        ("__tasklet_schedule", "tasklet=0x1100"), ("__tasklet_schedule", "tasklet=0x2100"),
        ("ntb_transport_rxc_db", "qp=0x1000"), ("ntb_transport_rxc_db", "qp=0x2000"),
    ]  # fmt: skip
    for cpu, bounds in (("[002]", (2, 2)), ("", (0, 2))):
        rows = [
            text.format(cpu, i, name, "ffff", fields) for i, (name, fields) in enumerate(probes)
        ]
        path.write_text("".join(rows))
        found = traced(path)
        assert (found.wakeups_low, found.wakeups_high) == bounds
        assert (found.runs_low, found.runs_high) == (2, 2)


@pytest.mark.parametrize(
    "line",
    [
        "sleep 16403 [001] 39887.5: PERF_RECORD_LOST lost 123\n",
        "sleep 16403 [001] 39887.5: PERF_RECORD_LOST_SAMPLES lost 123\n",
        "PERF_RECORD_LOST 123\n",
    ],
)
def test_perf_s_losses_are_counted(line: str, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text((CASES / "perf-chain.txt").read_text() + line)
    (error,) = ingest([tmp_path / "t.txt"]).errors
    assert "t.txt:9" in error and "perf lost 123 events" in error


@pytest.mark.parametrize(
    ("case", "doorbells", "softirqs"),
    [("perf-chain", 1, {"TASKLET": 1}), ("perf-nocpu", None, {"TASKLET": 1})],
)
def test_cases_of_perf(case: str, doorbells: int | None, softirqs: dict[str, int]) -> None:
    found = traced(CASES / f"{case}.txt")
    assert (found.db_events, found.softirqs) == (doorbells, softirqs)


def test_the_case_of_a_lost_event() -> None:
    (error,) = ingest([CASES / "trace-klost.txt"]).errors
    assert "trace-klost.txt:2" in error and "CPU 7 lost events here" in error
