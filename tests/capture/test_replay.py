# SPDX-License-Identifier: BSD-3-Clause
"""Recorded against predicted: real recordings, their variants on other kernels, damaged ones."""

import random
import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import (
    BURSTS,
    DATA,
    LOOP_612,
    PER_VECTOR,
    RECORDINGS,
    SPACED,
    Edit,
    by_line,
    copy,
    foreign_tasklets,
    moved_tasklets,
    name_of,
    no_flags,
    odd_comm,
    one_qp_too_many,
    other_symbols,
    receiver_on_cpu1,
    recount,
    short_addresses,
    swapped_ports,
    with_tgid,
    without,
)

from ntbbench.capture.replay import find_recordings, replay, replay_log
from ntbbench.capture.replay_records import AGREES, DISAGREES, EXPLAINED, ReplayPoint
from ntbbench.core.errors import InputError

ROUND_ROBIN = LOOP_612 / "two-vectors-four-qps"


def settings_of(folder: Path) -> dict[str, str]:
    text = (folder / "point").read_text()
    head, _, senders = text.partition("sending_qps=")
    return dict(pair.split("=") for pair in head.split()) | {"sending_qps": senders.strip()}


def counted(folder: Path) -> tuple[int, int, int, list[int]]:
    """Count a recording as grep would: doorbell events, schedules, runs, runs by QP of port 1."""
    trace, state = (folder / "trace").read_text(), (folder / "state").read_text()
    qps = re.findall(r"port 1 qp (\d+) .* ptr (\S+)", state)
    runs = Counter(re.findall(r"rxc_db: .* qp=(\S+)", trace))
    return (
        trace.count(": db_event: "),
        trace.count(": tasklet_schedule: "),
        sum(runs.values()),
        [runs[ptr] for _, ptr in sorted(qps, key=lambda qp: int(qp[0]))],
    )


def law(folder: Path) -> tuple[int, int, int, list[int]]:
    """Return what section 3's law gives for spaced packets, from `point` alone: four active QPs."""
    point = settings_of(folder)
    vectors, latched = int(point["vectors"]), int(point["db_read_latched"])
    packets, senders = int(point["packets_per_qp"]), [int(q) for q in point["sending_qps"].split()]
    runs = [0] * 4
    for sender in senders:
        for qp in range(4):
            woken = not vectors or qp % vectors == sender % vectors
            runs[qp] += packets * (woken + (latched if qp == sender else 0))
    return packets * len(senders), sum(runs), sum(runs), runs


def sides(point: ReplayPoint) -> tuple[tuple[int, int, int, list[int]], ...]:
    return tuple(
        (side.interrupts, side.wakeups, side.runs, side.runs_per_qp)
        for side in (point.recorded, point.predicted)
    )


def adds_up(point: ReplayPoint) -> bool:
    return all(
        sum(cause.count for cause in d.causes) == d.recorded - d.predicted
        for d in point.differences
    )


def test_there_is_real_data() -> None:
    assert len(SPACED) >= 8
    assert len(BURSTS) >= 3


@pytest.mark.parametrize("folder", SPACED, ids=name_of)
def test_spaced_recordings_are_predicted_exactly(folder: Path) -> None:
    point = replay(folder, "r")
    assert point.spaced
    assert point.verdict == AGREES
    assert sides(point) == (counted(folder), law(folder))
    assert point.recorded == point.predicted
    assert not any("db_event" in used for used in point.prediction_uses)


@pytest.mark.parametrize("folder", BURSTS, ids=name_of)
def test_bursts_are_predicted_closely_and_explained(folder: Path) -> None:
    point = replay(folder, "r")
    recorded, predicted = sides(point)
    assert not point.spaced
    assert recorded == counted(folder)
    assert predicted[0] == recorded[0]
    assert abs(predicted[1] - recorded[1]) <= 2  # one each time the scheduler asked for the CPU
    assert predicted[1] < law(folder)[1] or point.recorded.merged == 0
    assert point.verdict in (AGREES, EXPLAINED)
    assert adds_up(point)
    assert any("db_event" in used for used in point.prediction_uses)


def test_a_deferred_burst_merges_as_recorded() -> None:
    """41 race checks were left to ksoftirqd; the doorbells behind them found them scheduled."""
    point = replay(DATA / "linux-6.1-ntb-loop" / "fallback-burst", "r")
    assert point.recorded.merged == point.predicted.merged == 41
    assert point.recorded.wakeups == point.predicted.wakeups == 300 - 41


VARIANTS: dict[str, Edit] = {
    "no tasklet events": without("tasklet_entry", "tasklet_exit"),
    "no tasklet events and another offset": lambda text: without("tasklet_entry", "tasklet_exit")(
        moved_tasklets(0x1B0)(text)
    ),
    "no rxc_db": without("rxc_db"),
    "no flags": by_line(no_flags),
    "tgid": by_line(with_tgid),
    "odd comm": by_line(odd_comm),
    "other symbols": by_line(other_symbols),
    "another offset": moved_tasklets(0x140),
    "foreign tasklets": foreign_tasklets,
    "no header": lambda text: re.sub(r"^#.*\n", "", text, flags=re.MULTILINE),
    "filtered": lambda text: re.sub(r"^.*tasklet_(entry|exit):.*\n", "", text, flags=re.MULTILINE),
    "other lines": lambda text: recount(
        text + "  <idle>-0       [000] d....     9.9: cpu_idle: state=1 cpu_id=0\n"
    ),
}


@pytest.mark.parametrize("edit", VARIANTS.values(), ids=VARIANTS)
@pytest.mark.parametrize("folder", [ROUND_ROBIN, LOOP_612 / "fallback-burst"], ids=name_of)
def test_other_kernels_and_recorders(tmp_path: Path, folder: Path, edit: Edit) -> None:
    assert sides(replay(copy(folder, tmp_path / "r", trace=edit), "r")) == sides(
        replay(folder, "r")
    )


@pytest.mark.parametrize("folder", RECORDINGS, ids=name_of)
def test_the_other_direction(tmp_path: Path, folder: Path) -> None:
    turned = replay(copy(folder, tmp_path / "r", state=swapped_ports), "r")
    assert turned.receiving_port == 0
    assert sides(turned) == sides(replay(folder, "r"))


def test_short_addresses(tmp_path: Path) -> None:
    short = copy(ROUND_ROBIN, tmp_path / "r", trace=short_addresses, state=short_addresses)
    assert sides(replay(short, "r")) == sides(replay(ROUND_ROBIN, "r"))


def test_an_interrupt_on_another_cpu(tmp_path: Path) -> None:
    folder = LOOP_612 / "per-vector-one-qp"
    moved = replay(copy(folder, tmp_path / "r", trace=by_line(receiver_on_cpu1)), "r")
    assert moved.spaced
    assert sides(moved) == sides(replay(folder, "r"))


def test_close_rings_on_several_cpus_need_the_events(tmp_path: Path) -> None:
    """Four senders on one CPU take turns; beside the receiver they do not wait for it."""
    moved = replay(copy(ROUND_ROBIN, tmp_path / "r", trace=by_line(receiver_on_cpu1)), "r")
    assert not moved.spaced
    assert moved.verdict == AGREES


@pytest.mark.parametrize("folder", RECORDINGS, ids=name_of)
def test_the_prediction_does_not_read_schedules_or_runs(tmp_path: Path, folder: Path) -> None:
    tampered = copy(folder, tmp_path / "r", trace=without("tasklet_schedule"))
    expected = replay(folder, "r")
    point = replay(tampered, "r")
    assert point.predicted == expected.predicted
    assert point.recorded.wakeups == 0
    assert point.verdict == DISAGREES
    bare = ("tasklet_schedule", "rxc_db", "tasklet_entry", "tasklet_exit")
    point = replay(copy(folder, tmp_path / "bare", trace=without(*bare)), "r")
    assert point.predicted == expected.predicted
    assert (point.recorded.runs, point.verdict) == (0, DISAGREES)
    assert len([caution for caution in point.cautions if "the trace has no" in caution]) == 2


def drop_nth(name: str, index: int) -> Edit:
    seen = iter(range(10**9))
    return by_line(lambda m: None if m[9] == name and next(seen) == index else m[0])


@pytest.mark.parametrize("folder", [ROUND_ROBIN, LOOP_612 / "fallback-burst"], ids=name_of)
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("tasklet_schedule", "not in the trace"),
        ("db_event", "only their schedules show"),
        ("peer_db_set", "nothing rang"),
    ],
)
def test_a_lost_line_is_a_difference(tmp_path: Path, folder: Path, name: str, said: str) -> None:
    point = replay(copy(folder, tmp_path / "r", trace=drop_nth(name, 17)), "r")
    assert point.verdict == DISAGREES
    assert adds_up(point)
    assert any(said in caution for caution in point.cautions)


def test_a_schedule_from_inside_the_callback_is_named(tmp_path: Path) -> None:
    """A patch under test may schedule more than its vector's QPs: no client posted a buffer."""
    edit = without("rxc_db")  # tasklet_entry stands for the runs
    folder = copy(PER_VECTOR, tmp_path / "r", trace=lambda t: one_qp_too_many(edit(t)))
    schedules = [counted(path)[1] for path in (folder, PER_VECTOR)]
    added = schedules[0] - schedules[1]
    assert added > 100
    point = replay(folder, "r")
    assert point.verdict == DISAGREES
    assert [(d.quantity, d.qp_num) for d in point.differences] == [("wakeups", 3), ("runs", 3)]
    for difference in point.differences:
        (cause,) = difference.causes
        assert (cause.count, cause.explained) == (added, False)
        assert cause.text == (
            "more schedules: the doorbell callback scheduled a QP whose bit is not under its vector"
        )
    assert point.recorded.wakeups_by_cause.other == added
    assert adds_up(point)


def test_without_flags_no_schedule_is_laid_to_the_callback(tmp_path: Path) -> None:
    """Nothing tells then where the callback ends."""
    edit = without("rxc_db")
    folder = copy(
        PER_VECTOR, tmp_path / "r", trace=lambda t: by_line(no_flags)(one_qp_too_many(edit(t)))
    )
    texts = {cause.text for d in replay(folder, "r").differences for cause in d.causes}
    assert not any("not under its vector" in text for text in texts)
    assert any("without a doorbell" in text for text in texts)


def test_a_lost_run_is_a_difference(tmp_path: Path) -> None:
    """Without tasklet_entry nothing else shows a run that the probe missed, but its schedules."""
    edit = without("tasklet_entry", "tasklet_exit")
    folder = copy(ROUND_ROBIN, tmp_path / "r", trace=lambda t: drop_nth("rxc_db", 17)(edit(t)))
    point = replay(folder, "r")
    (difference,) = point.differences
    assert (difference.quantity, difference.recorded - difference.predicted) == ("runs", -1)
    assert "not in the trace between two schedules" in difference.causes[0].text
    assert point.verdict == DISAGREES


def defer_first_race_check(text: str) -> str:
    """Leave the first race-check run to ksoftirqd, which runs after the next doorbell."""
    lines = text.splitlines()
    entries = [i for i, line in enumerate(lines) if "tasklet_entry" in line]
    run = lines[entries[4] : entries[4] + 3]  # four QPs run, then the race check
    tasklet = re.search(r"tasklet=(\S+)", run[0])
    assert tasklet is not None
    del lines[entries[4] : entries[4] + 3]
    again = next(
        i
        for i in range(entries[4], len(lines))
        if f"tasklet_schedule: (__tasklet_schedule+0x4/0x20) {tasklet[0]}" in lines[i]
    )
    del lines[again]
    return recount("\n".join(lines) + "\n")


def test_a_deferred_race_check_is_named(tmp_path: Path) -> None:
    folder = copy(LOOP_612 / "fallback-one-qp", tmp_path / "r", trace=defer_first_race_check)
    point = replay(folder, "r")
    assert point.verdict == DISAGREES  # spaced: the prediction claims to be exact
    assert [(d.quantity, d.qp_num, d.recorded - d.predicted) for d in point.differences] == [
        ("wakeups", 0, -1),
        ("runs", 0, -1),
    ]
    for difference in point.differences:
        (cause,) = difference.causes
        assert cause.explained
        assert "more doorbell calls merged" in cause.text
        assert "ksoftirqd" in cause.text


def test_coalesced_rings(tmp_path: Path) -> None:
    """A burst on one CPU, served on another: interrupts are fewer than rings."""
    head = "  a-{pid} [00{cpu}] {flags} 1.{us:06}: "
    ring = head + "peer_db_set: (f) ntb=0x1 bits=0x2\n"
    event = head + "db_event: (f) ctx=0x2 vector=1\n"
    schedule = head + "tasklet_schedule: (f) tasklet=0x2240\n"
    run = head + "rxc_db: (f) qp=0x2200\n"
    irq, softirq = ({"pid": 0, "cpu": 1, "flags": flags} for flags in ("d.h2.", "..s1."))
    text = "".join(ring.format(pid=7, cpu=0, flags=".....", us=us) for us in range(10, 60, 10))
    text += event.format(**irq, us=500) + schedule.format(**irq, us=501)
    text += run.format(**softirq, us=510) + schedule.format(**softirq, us=511)
    text += run.format(**softirq, us=520)
    folder = tmp_path / "r"
    folder.mkdir()
    (folder / "trace").write_text(text)
    (folder / "point").write_text(
        "vectors=16 db_read_latched=1 gap_us=0 packets_per_qp=5 sending_qps=1\n"
    )
    qps = ((0, 0, 0x1000), (0, 1, 0x1200), (1, 0, 0x2000), (1, 1, 0x2200))
    (folder / "state").write_text(
        "".join(f"port {p} qp {q} up 1 ptr {ptr:#x}\n" for p, q, ptr in qps)
    )
    point = replay(folder, "r")
    assert point.verdict == AGREES
    assert sides(point) == ((1, 2, 2, [0, 2]),) * 2
    assert point.recorded.coalesced == point.predicted.coalesced == 4


def test_many_and_one(tmp_path: Path) -> None:
    assert [path.name for path in find_recordings(LOOP_612)] == sorted(
        path.name for path in LOOP_612.iterdir() if path.is_dir()
    )
    assert find_recordings(ROUND_ROBIN) == [ROUND_ROBIN]
    copy(ROUND_ROBIN, tmp_path / "a" / "b")
    (tmp_path / "notes").mkdir()
    many = replay_log(tmp_path)
    assert [point.name for point in many.points] == ["a/b"]


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy(LOOP_612 / "per-vector-one-qp-unlatched", tmp_path_factory.mktemp("fuzz") / "r")


def mutate(text: str, rng: random.Random) -> str:
    """Damage a text: characters replaced, lines dropped, doubled, swapped, cut."""
    lines = text.splitlines(keepends=True)
    for _ in range(rng.randint(1, 4)):
        i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
        line = lines[i]
        at = rng.randrange(len(line) + 1)
        lines[i] = rng.choice(
            [
                "",
                line * 2,
                lines[j],
                line[:at] + rng.choice("0x9f-:[]=.# \n\0\x1bé") + line[at + 1 :],
                line[:at],
                line[:at] + lines[j],
            ]
        )
    return "".join(lines)


@given(seed=st.integers(0, 2**32), part=st.sampled_from(["trace", "state", "point"]))
@settings(max_examples=150, deadline=None)
def test_damage_never_ends_in_a_traceback(scratch: Path, seed: int, part: str) -> None:
    source = (LOOP_612 / "per-vector-one-qp-unlatched" / part).read_text()
    (scratch / part).write_text(mutate(source, random.Random(seed)))
    try:
        point = replay(scratch, "r")
    except InputError as error:
        assert "\n" not in str(error)
    else:
        assert adds_up(point)
        assert (point.verdict == AGREES) == (not point.differences)
    finally:
        (scratch / part).write_text(source)
