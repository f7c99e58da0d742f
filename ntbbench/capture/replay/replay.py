# SPDX-License-Identifier: BSD-3-Clause
"""Replay of recordings: each one beside what the model of its device predicts."""

from collections.abc import Iterator
from pathlib import Path

from msgspec import structs

from ntbbench.capture.readers.doorbell_point import PARTS, is_setup
from ntbbench.capture.readers.ftrace import Kind
from ntbbench.capture.replay.causes import find_differences, find_doubts, wakeups_of
from ntbbench.capture.replay.recording import Recording, read_recording
from ntbbench.capture.replay.records import (
    AGREES,
    DISAGREES,
    EXPLAINED,
    REPLAY_SCHEMA,
    Difference,
    PointRecord,
    Replay,
    ReplayMany,
    ReplayPoint,
    Side,
    WakeupCauses,
)
from ntbbench.capture.replay.wakeup_causes import Story, tell
from ntbbench.core.errors import InputError
from ntbbench.ntb.loopback import DoorbellLog, predict
from ntbbench.ntb.softirq import Tally

DEPTH_MAX = 3  # folders between LOG and a recording: kernel, direction, point
RINGS_USED = ["point", "state: active QPs", "peer_db_set: bits, order, spacing"]
EVENTS_USED = ["db_event: order, vector, CPU, spacing"]
FLAGS_USED = ["peer_db_set and db_event: context and need_resched flags"]


def replay_log(log: Path) -> Replay:
    """Replay the recording in the folder `log`, or all recordings in the folders below it.

    Raises
    ------
    InputError : there is none, or one of them cannot be used.
    """
    folders = find_recordings(log)
    if folders == [log]:
        point = replay(log, log.resolve().name)
        return structs.replace(point, schema=REPLAY_SCHEMA)
    return ReplayMany(points=[replay(f, f.relative_to(log).as_posix()) for f in folders])


def find_recordings(log: Path) -> list[Path]:
    """Return the folders below `log` that hold a recording, in the order of their paths.

    `log` itself is the only one if it holds a part of a recording.

    Raises
    ------
    InputError : there is no such folder, or no recording in it.
    """
    if not log.is_dir():
        reason = "a folder that holds point, trace and state, or a folder of such folders"
        if log.is_file():
            hint = f"(a log of rings is a workload: ntbbench sweep --workload log:{log.name})"
            raise InputError("LOG", str(log), f"{reason} {hint}")
        raise InputError("LOG", str(log), f"no such folder; {reason}")
    found = list(_recordings_below(log))
    if not found:
        raise InputError("LOG", str(log), "holds no recording (point, trace and state)")
    return found


def _recordings_below(folder: Path, depth: int = 0) -> Iterator[Path]:
    if is_setup(folder):
        return  # no doorbell is in it
    if any((folder / part).exists() for part in PARTS):
        yield folder
    elif depth < DEPTH_MAX:
        for child in sorted(folder.iterdir()):
            if child.is_dir() and not child.is_symlink():
                yield from _recordings_below(child, depth + 1)


def replay(folder: Path, name: str) -> ReplayPoint:
    """Read the recording in `folder` and compare it with its prediction.

    Raises
    ------
    InputError : a file is missing or malformed, or the trace is incomplete.
    """
    recording = read_recording(folder)
    story = tell(recording)
    _check_tail(recording, story)
    log = recording.doorbell_log()
    tally = predict(log)
    differences = find_differences(story, tally, recording.qp_count())
    doubts = find_doubts(story, tally, recording.qp_count())
    point = recording.point
    return ReplayPoint(
        name=name,
        kernel=recording.kernel,
        point=PointRecord(
            vectors=point.vectors,
            db_read_latched=point.db_read_latched,
            gap_us=round(point.gap * 1e6),
            packets_per_qp=point.packets_per_qp,
            sending_qps=list(point.sending_qps),
        ),
        receiving_port=recording.port,
        active_qps=[qp.qp_num for qp in recording.qps if qp.is_up],
        rings=sum(ring.db_bits.bit_count() for ring in log.rings()),
        spaced=log.is_spaced(),
        prediction_uses=_uses(recording, log),
        verdict=_verdict(differences, log.is_spaced() or bool(doubts)),
        recorded=_side(story, recording.qp_count(), story.unasked),
        predicted=_side(tally, recording.qp_count(), 0),
        differences=differences,
        cautions=[*recording.cautions, *_absent(recording), *doubts],
    )


def _check_tail(recording: Recording, story: Story) -> None:
    """Raise if lines are missing and the last doorbell is not served: then the end is cut off."""
    kinds = {event.kind for event in recording.events}
    if recording.missing_lines and kinds >= {Kind.SCHEDULE, Kind.RUN} and not story.is_served():
        raise InputError(
            str(recording.folder / "trace"),
            f"{recording.missing_lines} lines missing",
            "the recording is incomplete: it ends before its last doorbell is served",
        )


def _absent(recording: Recording) -> list[str]:
    kinds = {event.kind for event in recording.events}
    needed = (Kind.DB_EVENT, Kind.SCHEDULE, Kind.RUN)
    return [f"the trace has no {kind.value} of this port" for kind in needed if kind not in kinds]


def _uses(recording: Recording, log: DoorbellLog) -> list[str]:
    if not log.needs_events():
        return RINGS_USED
    return RINGS_USED + EVENTS_USED + (FLAGS_USED if recording.has_flags else [])


def _verdict(differences: list[Difference], must_agree: bool) -> str:
    """Return the verdict; `must_agree`: the prediction is exact, or the trace is in doubt."""
    if not differences:
        return AGREES
    return DISAGREES if must_agree else EXPLAINED


def _side(tally: Tally, qp_count: int, unasked: int) -> Side:
    wakeups = wakeups_of(tally)
    other = tally.other if isinstance(tally, Story) else [0]
    return Side(
        interrupts=tally.interrupts + unasked,
        coalesced=tally.coalesced,
        schedule_calls=sum(tally.schedule_calls),
        merged=sum(tally.merged),
        wakeups=sum(wakeups),
        wakeups_by_cause=WakeupCauses(
            doorbell=sum(tally.doorbell),
            race_check=sum(tally.race_check),
            budget=sum(tally.budget),
            other=sum(other),
        ),
        runs=sum(tally.runs),
        wakeups_per_qp=wakeups[:qp_count],
        runs_per_qp=tally.runs[:qp_count],
    )
