# SPDX-License-Identifier: BSD-3-Clause
"""ftrace text as kernels and recorders print it, line by line."""

from pathlib import Path

import pytest

from ntbbench.capture.readers.ftrace import Kind, TraceEvent, TraceFacts, read_trace
from ntbbench.core.errors import InputError
from ntbbench.ntb.loopback import Context

HEAD = "              sh-459     [000] "
RING = "4.889202: peer_db_set: (l_peer_db_set+0x4/0x100 [ntb_loop]) ntb=0xff3c3b5481f8e028 bits=0x4"


def read(tmp_path: Path, text: str) -> tuple[list[TraceEvent], TraceFacts]:
    path = tmp_path / "trace"
    path.write_text(text)
    facts = TraceFacts()
    return list(read_trace(path, facts)), facts


def refusal(tmp_path: Path, text: str) -> str:
    with pytest.raises(InputError) as caught:
        read(tmp_path, text)
    message = str(caught.value)
    assert "\n" not in message
    return message


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
    assert (facts.lines, facts.flags, facts.entries) == (1, True, None)


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
    assert events == []
    assert facts.lines == 4


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("what is this\n", "an ftrace line"),
        (f"{HEAD}..... nonsense: peer_db_set: bits=0x4\n", "an ftrace line"),
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
    message = refusal(tmp_path, f"# tracer: nop\n{HEAD}..... {RING}\n{line}")
    assert "trace:3:" in message
    assert said in message


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("CPU:0 [LOST 12 EVENTS]\n", "CPU 0 lost 12 events"),
        ("CPU:3 [LOST 1 EVENT]\n", "CPU 3 lost 1 events"),
        ("CPU:1 [EVENTS DROPPED]\n", "CPU 1 lost events"),
        ("# entries-in-buffer/entries-written: 40/1520   #P:1\n", "1480 of 1520 events were"),
        (f"{HEAD}d.h2.     4.8892", "cut off within this line"),
    ],
)
def test_an_incomplete_trace_is_refused(tmp_path: Path, line: str, said: str) -> None:
    message = refusal(tmp_path, f"{HEAD}..... {RING}\n{line}")
    assert "trace:2:" in message
    assert "incomplete" in message
    assert said in message


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_bytes(b"\xff\xfe\x1b[31m-459 [000] ..... " + RING.encode() + b"\n\xff\n")
    with pytest.raises(InputError, match=r"trace:2: .*xff.*an ftrace line") as caught:
        list(read_trace(path, TraceFacts()))
    assert str(caught.value).isprintable()


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        list(read_trace(tmp_path / "trace", TraceFacts()))
