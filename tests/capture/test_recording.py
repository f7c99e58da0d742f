# SPDX-License-Identifier: BSD-3-Clause
"""The files of a recording: what is read from them, and how a bad one is named."""

import shutil
from pathlib import Path

import pytest
from recordings import LOOP_612, Edit, by_line, copy, moved_tasklets, swapped_ports, without

from ntbbench.capture.readers.probe_hits import EventKind
from ntbbench.capture.recording import read_recording
from ntbbench.capture.replay import replay
from ntbbench.core.errors import InputError
from ntbbench.ntb.loopback import DoorbellEvent, DoorbellLog, Ring

BURST = LOOP_612 / "fallback-burst"
POINT = "vectors=2 db_read_latched=1 gap_us=700 packets_per_qp=40 sending_qps=0 1 2 3\n"
QP_LINE = "port 0 qp 0 up 1 tx 270 rx 0 bad 0 ptr 0xff3c3b5481f8c000\n"


def refusal(folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_recording(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_recording() -> None:
    recording = read_recording(BURST)
    assert recording.kernel == "6.12.95+deb12-amd64"
    assert (recording.point.vectors, recording.point.gap) == (0, 0)
    assert (recording.point.packets_per_qp, recording.point.sending_qps) == (60, (1,))
    assert recording.port == 1
    assert [qp.qp_num for qp in recording.qps] == [0, 1, 2, 3]
    assert recording.device.active_mask == 0b1111
    assert recording.device.rx_max_entry == 15  # from after-stats
    assert recording.cautions == ()


def test_a_prediction_sees_neither_schedules_nor_runs() -> None:
    log = read_recording(BURST).doorbell_log()
    assert {type(item) for item in log.items} == {Ring, DoorbellEvent}
    assert set(DoorbellLog.__dataclass_fields__) == {"device", "gap", "items"}
    assert len(log.rings()) == 60


def test_without_stats_the_ring_has_no_known_limit(tmp_path: Path) -> None:
    folder = copy(LOOP_612 / "fallback-one-qp", tmp_path / "r")
    shutil.rmtree(folder / "after-stats")
    assert read_recording(folder).device.rx_max_entry is None


@pytest.mark.parametrize("part", ["point", "trace", "state"])
def test_a_missing_file(tmp_path: Path, part: str) -> None:
    folder = copy(BURST, tmp_path / "r")
    (folder / part).unlink()
    assert f"'{part}': no such file" in refusal(folder)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "'vectors': missing; the keys are vectors, db_read_latched"),
        ("hello\n", "point:1: 'hello': key=value pairs"),
        (POINT.replace("vectors=2 ", ""), "'vectors': missing"),
        (POINT.replace("gap_us=700 ", ""), "'gap_us': missing"),
        (POINT.replace("=700", "=soon"), "point:1: 'gap_us=soon': a whole number"),
        (POINT.replace("=2", "=65"), "point:1: 'vectors=65': a whole number from 0 to 64"),
        (POINT.replace("latched=1", "latched=2"), "'db_read_latched=2'"),
        (POINT.replace("latched=1", "latched="), "'db_read_latched='"),
        (POINT.replace("=0 1 2 3", "="), "at least one qp_num"),
        (POINT.replace("=0 1 2 3", "=0 64"), "'sending_qps=64'"),
        (POINT + "vectors=2\n", "point:2: 'vectors=2': vectors is set twice"),
        (POINT.replace("=40", "=" + "9" * 30), "packets_per_qp=9999"),
        (POINT.replace("=40", "=٤"), "packets_per_qp"),  # an Arabic digit
    ],
)
def test_a_bad_point(tmp_path: Path, text: str, said: str) -> None:
    folder = copy(BURST, tmp_path / "r")
    (folder / "point").write_text(text)
    assert said in refusal(folder)


@pytest.mark.parametrize("separator", [" ", "\n", "   "])
def test_keys_of_point_stand_anywhere(tmp_path: Path, separator: str) -> None:
    folder = copy(BURST, tmp_path / "r")
    pairs = "sending_qps=1 gap_us=0 packets_per_qp=60 db_read_latched=1 vectors=0 new=1"
    (folder / "point").write_text(pairs.replace(" ", separator) + "\n")
    assert read_recording(folder).point == read_recording(BURST).point


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "one line per QP"),
        ("port 0 qp 0\n", "state:1: 'port 0 qp 0': port P qp N up U"),
        (QP_LINE.replace(" up 1", ""), "state:1:"),
        (QP_LINE.replace("qp 0 up", "qp 64 up"), "'qp=64': a whole number from 0 to 63"),
        (QP_LINE.replace("up 1", "up 2"), "'up=2'"),
        (
            QP_LINE.replace("ptr 0xff3c3b5481f8c000", "ptr (____ptrval____)"),
            "an address of 64 bits",
        ),
        (QP_LINE.replace("ptr 0xff3c3b5481f8c000", "ptr 0x0"), "an address of 64 bits, not 0"),
        (QP_LINE * 2, "state:2: 'port 0 qp 0 up 1 tx 270 rx 0"),
        (QP_LINE + QP_LINE.replace("qp 0", "qp 1"), "ptr 0xff3c3b5481f8c000 is there twice"),
        (QP_LINE.replace("8c000", "77000"), "no rxc_db in the trace is of these QPs"),
    ],
)
def test_a_bad_state(tmp_path: Path, text: str, said: str) -> None:
    folder = copy(BURST, tmp_path / "r", state=lambda _: text)
    assert said in refusal(folder)


@pytest.mark.parametrize("offset", [0x8, 0xF8, 0x100, 0x1B0, 0x230])
@pytest.mark.parametrize("dropped", [(), ("tasklet_entry", "tasklet_exit"), ("rxc_db",)])
def test_the_tasklets_place_is_found(tmp_path: Path, offset: int, dropped: tuple[str, ...]) -> None:
    def edit(text: str) -> str:
        return without(*dropped)(moved_tasklets(offset)(text))

    moved = read_recording(copy(BURST, tmp_path / "r", trace=edit))
    shown = [event.value for event in moved.events if event.kind is EventKind.SCHEDULE]
    original = read_recording(BURST)
    assert shown == [event.value for event in original.events if event.kind is EventKind.SCHEDULE]
    assert len(shown) == 300


def turned(text: str) -> str:
    return "\n".join(reversed(text.splitlines())) + "\n"


def one_down(text: str) -> str:
    return text.replace("port 1 qp 3 up 1", "port 1 qp 3 up 0")


def not_created(text: str) -> str:
    absent = "port 1 qp {} up 0 tx 0 rx 0 bad 0 ptr 0x0000000000000000\n"
    return text + absent.format(4) + absent.format(5)


@pytest.mark.parametrize(
    ("state", "port", "active_mask"),
    [
        (turned, 1, 0b1111),
        (swapped_ports, 0, 0b1111),
        (one_down, 1, 0b0111),
        (not_created, 1, 0b1111),
    ],
)
def test_the_receiver_is_found(tmp_path: Path, state: Edit, port: int, active_mask: int) -> None:
    recording = read_recording(copy(BURST, tmp_path / "r", state=state))
    assert (recording.port, recording.device.active_mask) == (port, active_mask)
    assert [qp.qp_num for qp in recording.qps] == [0, 1, 2, 3]


def test_two_senders_and_two_receivers_are_refused(tmp_path: Path) -> None:
    def sends(text: str) -> str:
        return text.replace("ntb=0xff3c3b5481f8e028", "ntb=0xff3c3b5481f8f028", 1)

    def receives(text: str) -> str:
        return text.replace("port 1 qp 3", "port 0 qp 9")

    assert "one port sends" in refusal(copy(BURST, tmp_path / "s", trace=sends))
    assert "receiving ports: 0, 1" in refusal(copy(BURST, tmp_path / "r", state=receives))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.995])
def test_a_truncated_trace_is_never_counted(tmp_path: Path, share: float) -> None:
    def cut(text: str) -> str:
        lines = text.splitlines(keepends=True)
        return "".join(lines[: int(len(lines) * share)])

    with pytest.raises(InputError, match="incomplete"):
        replay(copy(BURST, tmp_path / "r", trace=cut), "r")


@pytest.mark.parametrize(
    "trace", [lambda _: "", lambda _: "# tracer: nop\n", without("peer_db_set")]
)
def test_a_trace_without_rings_agrees_with_nothing(tmp_path: Path, trace: Edit) -> None:
    assert "'no peer_db_set': 60 packets" in refusal(copy(BURST, tmp_path / "r", trace=trace))


def test_missing_probes_are_a_caution(tmp_path: Path) -> None:
    seen = iter(range(10**6))

    def miss_one(match) -> str | None:
        return None if match[9] == "rxc_db" and next(seen) == 7 else match[0]

    recording = read_recording(copy(BURST, tmp_path / "r", trace=by_line(miss_one)))
    assert sum(event.kind is EventKind.RUN for event in recording.events) == 300
    (caution,) = recording.cautions
    assert "tasklet_entry shows 300 runs, rxc_db 299" in caution
