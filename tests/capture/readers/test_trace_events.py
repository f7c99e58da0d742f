# SPDX-License-Identifier: BSD-3-Clause
"""Traces as kernels and recorders print them, line by line; incomplete ones are refused."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from captures import FOUR, TOOLS

from ntbbench.capture.ingest import ingest
from ntbbench.capture.readers.trace_events import (
    Kind,
    TraceEvent,
    TraceText,
    read_events,
    read_trace,
)
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
        kind=Kind.RING,
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
    assert (event.kind, event.value, event.owner) == (Kind.RING, 4, 0xFF3C3B5481F8E028)


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
        (f"{HEAD}..... 4.1: db_event: (f) ctx=0x1 vector=0x1\n", "vector number"),
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
    with pytest.raises(InputError, match="cannot be read"):
        list(read_trace(tmp_path / "trace", TraceText()))


def test_events_carry_cpu_and_pid() -> None:
    first = next(read_events(TOOLS / "perf-script.txt", TraceText()))
    assert first.pid >= 0
    assert first.context == ""
    assert first.name.startswith(("softirq", "irq_handler"))
