# SPDX-License-Identifier: BSD-3-Clause
"""Replay of recordings: each one beside its prediction, a difference as a sum of named causes."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from msgspec import structs

from ntbbench.capture.readers.doorbell_point import PARTS, is_setup
from ntbbench.capture.readers.probe_hits import EventKind
from ntbbench.capture.recording import Recording, read_recording
from ntbbench.capture.replay_records import (
    AGREES,
    DISAGREES,
    EXPLAINED,
    REPLAY_SCHEMA,
    Cause,
    Difference,
    PointRecord,
    Replay,
    ReplayMany,
    ReplayPoint,
    Side,
    WakeupCauses,
)
from ntbbench.capture.wakeup_causes import WakeupStory, tell
from ntbbench.core.errors import InputError
from ntbbench.ntb.loopback import DoorbellLog, predict
from ntbbench.ntb.softirq import Tally


class Term(NamedTuple):
    """A cause: what there is more or fewer of, what one of it adds, what it adds to one QP.

    `count_of` is signed as recorded minus predicted; `sign` is -1 where one more of it is one
    wakeup or run fewer. `explained`: the kernel's rules and the trace's own order give it.
    """

    text: str
    sign: int
    count_of: Callable[[WakeupStory, Tally, int], int]
    explained: bool = True


def _unexplained(text: str, sign: int, name: str) -> Term:
    """Return a cause that no rule gives: a count of the story, by QP or of all QPs together."""

    def count_of(story: WakeupStory, _tally: Tally, qp_num: int) -> int:
        found = getattr(story, name)
        return sign * int(found[qp_num] if isinstance(found, list) else found)

    return Term(text, sign, count_of, explained=False)


def _merged_repost(story: WakeupStory, tally: Tally, qp_num: int) -> int:
    """Return how many more calls than predicted met a tasklet that its own run had put back."""
    more = story.merged[qp_num] - tally.merged[qp_num]
    return max(min(more, story.merged_repost[qp_num]), 0) if more > 0 else more


WAKEUP_TERMS: tuple[Term, ...] = (
    Term(
        "doorbell calls, as there were interrupts",
        1,
        lambda story, tally, q: story.schedule_calls[q] - tally.schedule_calls[q],
    ),
    Term(
        "doorbell calls merged with the tasklet that its own run had put back for ksoftirqd to run",
        -1,
        lambda story, tally, q: -_merged_repost(story, tally, q),
    ),
    Term(
        "doorbell calls merged with an earlier doorbell's",
        -1,
        lambda story, tally, q: _merged_repost(story, tally, q) - story.merged[q] + tally.merged[q],
    ),
    Term(
        "race checks merged with a doorbell that came during the run",
        -1,
        lambda story, _, q: -story.race_merged[q],
    ),
    Term(
        "race checks: one serves all rings of its bit since the last one",
        1,
        lambda story, tally, q: (
            story.race_check[q] + story.race_merged[q] + story.skipped[q] - tally.race_check[q]
        ),
    ),
    Term(
        "runs that consumed rx_max_entry packets and went on the list again",
        1,
        lambda story, tally, q: story.budget[q] - tally.budget[q],
    ),
    _unexplained(
        "race checks that are due and not in the trace (did the probe miss them?)", -1, "skipped"
    ),
    _unexplained(
        "doorbell calls of an idle tasklet that are not in the trace (did the probe miss them?)",
        -1,
        "unmet",
    ),
    _unexplained(
        "schedules: the doorbell callback scheduled a QP whose bit is not under its vector",
        1,
        "beyond_vector",
    ),
    Term(
        "schedules without a doorbell or a race check (does the client post buffers?)",
        1,
        lambda story, _, q: story.other[q] - story.beyond_vector[q],
        explained=False,
    ),
)
RUN_TERMS: tuple[Term, ...] = (
    *WAKEUP_TERMS,
    _unexplained(
        "runs whose schedule is not in the trace (did the probe miss it?)", 1, "unseen_schedules"
    ),
    _unexplained(
        "runs that are not in the trace between two schedules (did the probe miss them?)",
        -1,
        "unseen_runs",
    ),
    _unexplained("tasklets on a list when the recording ends", -1, "in_flight"),
)
INTERRUPT_TERMS: tuple[Term, ...] = (
    Term(
        "rings that met their interrupt still pending",
        -1,
        lambda story, tally, _: tally.coalesced - story.coalesced,
    ),
    _unexplained("doorbell events that nothing rang (did the probe miss a ring?)", 1, "unasked"),
    _unexplained(
        "doorbell events that only their schedules show (did the probe miss them?)",
        -1,
        "unseen_events",
    ),
    _unexplained("rings with no doorbell event (did the probe miss it?)", -1, "undelivered"),
)


def wakeups_of(tally: Tally) -> list[int]:
    """Return the wakeups by qp_num, 64 long; those of a `Story` include what no rule explains."""
    other = tally.other if isinstance(tally, WakeupStory) else [0] * len(tally.doorbell)
    by_cause = zip(tally.doorbell, tally.race_check, tally.budget, other, strict=True)
    return [sum(causes) for causes in by_cause]


def find_differences(story: WakeupStory, tally: Tally, qp_count: int) -> list[Difference]:
    """Return every quantity that differs, by QP where it is counted by QP."""
    rows: list[tuple[str, int | None, tuple[Term, ...], int, int]] = [
        ("interrupts", None, INTERRUPT_TERMS, story.interrupts + story.unasked, tally.interrupts)
    ]
    wakeups = wakeups_of(story), wakeups_of(tally)
    for q in range(qp_count):
        rows.append(("wakeups", q, WAKEUP_TERMS, wakeups[0][q], wakeups[1][q]))
        rows.append(("runs", q, RUN_TERMS, story.runs[q], tally.runs[q]))
    return [
        Difference(
            quantity=quantity,
            qp_num=qp_num,
            recorded=recorded,
            predicted=predicted,
            causes=_causes(terms, story, tally, qp_num or 0),
        )
        for quantity, qp_num, terms, recorded, predicted in rows
        if recorded != predicted
    ]


def find_doubts(story: WakeupStory, tally: Tally, qp_count: int) -> list[str]:
    """Return what the rules and the trace do not bring together, whether totals differ or not."""
    counts = [
        (term.text, sum(abs(term.count_of(story, tally, q)) for q in range(qps)))
        for terms, qps in ((INTERRUPT_TERMS, 1), (RUN_TERMS, qp_count))
        for term in terms
        if not term.explained
    ]
    return [f"{count} {text}" for text, count in counts if count]


def _causes(terms: Sequence[Term], story: WakeupStory, tally: Tally, qp_num: int) -> list[Cause]:
    counts = [(term, term.count_of(story, tally, qp_num)) for term in terms]
    return [
        Cause(
            count=count,
            text=f"{'more' if count * term.sign > 0 else 'fewer'} {term.text}",
            explained=term.explained,
        )
        for term, count in counts
        if count
    ]


DEPTH_MAX = 3  # folders between LOG and a recording: kernel, direction, point
RINGS_USED = ["point", "state: active QPs", "peer_db_set: bits, order, spacing"]
EVENTS_USED = ["db_event: order, vector, CPU, spacing"]
FLAGS_USED = ["peer_db_set and db_event: context and need_resched flags"]


def replay_log(log: Path) -> Replay:
    """Replay the recording in the folder `log`, or all recordings in the folders below it;
    InputError: there is none, or one of them cannot be used."""
    folders = find_recordings(log)
    if folders == [log]:
        point = replay(log, log.resolve().name)
        return structs.replace(point, schema=REPLAY_SCHEMA)
    return ReplayMany(points=[replay(f, f.relative_to(log).as_posix()) for f in folders])


def find_recordings(log: Path) -> list[Path]:
    """Return the folders below `log` that hold a recording, in the order of their paths.

    `log` itself is the only one if it holds a part of a recording.

    InputError: there is no such folder, or no recording in it.
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
    """Read the recording in `folder` and compare it with its prediction; InputError: a file is
    missing or malformed, or the trace is incomplete."""
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


def _check_tail(recording: Recording, story: WakeupStory) -> None:
    kinds = {event.kind for event in recording.events}
    is_open = story.undelivered or story.unserved or any(story.in_flight)
    if recording.missing_lines and kinds >= {EventKind.SCHEDULE, EventKind.RUN} and is_open:
        raise InputError(
            str(recording.folder / "trace"),
            f"{recording.missing_lines} lines missing",
            "the recording is incomplete: it ends before its last doorbell is served",
        )


def _absent(recording: Recording) -> list[str]:
    kinds = {event.kind for event in recording.events}
    needed = (EventKind.DB_EVENT, EventKind.SCHEDULE, EventKind.RUN)
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
    other = tally.other if isinstance(tally, WakeupStory) else [0]
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
