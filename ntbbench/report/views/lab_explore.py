# SPDX-License-Identifier: BSD-3-Clause
"""Explored schedules: how many seeds failed, the smallest of them CPU by CPU, what was met."""

import math
from collections.abc import Iterator, Sequence

from ntbbench.core.fields import declared
from ntbbench.lab.explore.records import (
    ANY,
    EACH,
    HELD,
    REPLAYED,
    SIDES,
    Coverage,
    ExploreFinding,
    ExploreResult,
    ExploreSeed,
    PacketSender,
    Schedule,
    StoryLine,
)
from ntbbench.report.document import (
    Cell,
    Check,
    Column,
    Details,
    Document,
    Sheet,
    Table,
    column,
    number,
    words,
)
from ntbbench.report.wording import plural

FACTS = ("kernel", "kernel_source", "accelerator", "deterministic", "cpus")
NOT_SHOWN = (
    "weak memory orders, real interrupt latencies and CPUs really at once are not shown: QEMU runs "
    "its CPUs in turn, in order"
)
SURE = 0.95  # of meeting what the bound is of
DONE = {"d": "down", "u": "up"}
Row = Sequence[Cell]


def document(result: ExploreResult) -> Document:
    """Return the report of explored seeds, or of one schedule that ran again."""
    titles = declared(ExploreResult)
    failed = [point for point in result.points if point.outcome != HELD]
    replayed = result.kind == REPLAYED
    return Document(
        title=f"ntbbench lab pair {'replay-schedule' if replayed else 'explore'}",
        verdict=_replayed(result) if replayed else _verdict(result),
        record=result,
        lines=[f"Linux {result.kernel} ({result.kernel_source}), {result.cpus} CPUs run in turn"],
        blocks=[*_findings(result), *_coverage(result), *_seeds(result)],
        tone="bad" if failed else "good",
        warnings=[(warning, ()) for warning in (*result.warnings, NOT_SHOWN)],
        facts={titles[name].title: getattr(result, name) for name in FACTS} | result.environment,
        ran=True,
        sheet=lambda: _sheet(result),
        checks=lambda: [*_checks(result)],
    )


def _verdict(result: ExploreResult) -> str:
    told = [_told(part, len(result.coverage) > 1) for part in result.coverage]
    text = "; ".join(told) or "no seed ran"
    return text if result.complete else f"{text}; interrupted"


def _told(part: Coverage, named: bool) -> str:
    who = f"EP {_short(part.ep_driver)}, RC {_short(part.rc_driver)}, {part.workload}: "
    text = f"{part.failed} of {plural(part.seeds, 'seed')} {'FAILED' if part.failed else 'fail'}"
    return f"{who}{text}" if named else text


def _replayed(result: ExploreResult) -> str:
    point, one = result.points[0], result.findings[0]
    boots = "" if one.boots == 1 else f", in boot {one.boots}"
    if point.outcome != HELD:
        return f"Seed {point.seed} FAILS again, {one.failed} of {one.runs} runs{boots}"
    why = f"; {point.words}" if point.words else ""
    return f"Seed {point.seed} holds, {plural(one.runs, 'run')} in {plural(one.boots, 'boot')}{why}"


def _short(driver: str) -> str:
    return driver.rpartition("/")[2] or driver


def _findings(result: ExploreResult) -> Iterator[Table]:
    for one in result.findings:
        if one.oracle == HELD:
            continue
        yield _schedule(one)
        if one.story:
            yield _story(one)


def _schedule(one: ExploreFinding) -> Table:
    """Return the smallest schedule, a row a delay and a row a sender."""
    schedule = one.schedule
    rows = [*_delay_rows(schedule), *_sender_rows(schedule), *_action_rows(schedule)]
    columns = [
        Column("what", align="left"),
        Column("where", align="left"),
        Column("which", align="left"),
        Column("us", hint="held, or until the last packet is sent"),
    ]
    return Table(f"Seed {one.seed}: {one.oracle}", columns, rows, notes=list(_notes(one)), keys=2)


def _delay_rows(schedule: Schedule) -> Iterator[Row]:
    for delay in schedule.delays:
        where = "any" if delay.point == ANY else delay.point.partition(":")[2]
        yield (*words("hold", where, _hit(delay.hit)), number(delay.us))


def _sender_rows(schedule: Schedule) -> Iterator[Row]:
    for sender in schedule.senders:
        where = f"{SIDES[sender.side].upper()}, CPU {sender.cpu}"
        us = sum(gap for _, gap in sender.packets)
        yield (*words("send", where, _packets(sender)), number(us))


def _action_rows(schedule: Schedule) -> Iterator[Row]:
    for action in schedule.actions:
        where = f"{SIDES[action.side].upper()}, CPU {schedule.actor_cpu}"
        done = DONE.get(action.what, f"{action.what} channels")
        yield (*words("do", where, done), number(action.gap_us))


def _notes(one: ExploreFinding) -> Iterator[str]:
    yield one.words
    drawn, small = one.drawn.size, one.schedule.size
    yield (
        f"made smaller: {plural(drawn[0], 'delay')} to {small[0]}, "
        f"{plural(drawn[2], 'packet')} to {small[2]}"
    )
    if one.failed:
        boots = "a boot of its own" if one.boots == 1 else f"the {one.boots}. boot of its own"
        yield f"failed in {one.failed} of {one.runs} runs in {boots}"
    else:
        yield f"did not fail again in {plural(one.boots, 'boot')} of its own"
    yield f"the model: {one.model}"
    yield "senders' CPUs are counted from the one that serves the endpoint"


def _hit(hit: int) -> str:
    return "each hit" if hit == EACH else f"hit {hit}"


def _packets(sender: PacketSender) -> str:
    qps = sorted({qp for qp, _ in sender.packets})
    return f"{plural(len(sender.packets), 'packet')}, QP {','.join(map(str, qps))}"


def _story(one: ExploreFinding) -> Table:
    """Return what the CPUs did side by side, a column a CPU."""
    cpus = sorted({line.cpu for line in one.story})
    columns = [
        Column("us", hint="since the schedule began"),
        *(Column(f"CPU {cpu}", align="left") for cpu in cpus),
    ]
    rows = [
        (number(line.us, ".0f"), *(Cell(_did(line) if line.cpu == cpu else "") for cpu in cpus))
        for line in one.story
    ]
    sources = dict.fromkeys(f"{line.line}: {line.source}" for line in one.story if line.source)
    return Table(f"Story of seed {one.seed}", columns, rows, notes=list(sources), ordered=True)


def _did(line: StoryLine) -> str:
    return f"{line.text.split()[1]} at {line.line}" if line.line else line.text


def _coverage(result: ExploreResult) -> Iterator[Table]:
    names = ("ep_driver", "rc_driver", "workload", "seeds", "failed", "pairs", "last_new_seed")
    columns = [column(Coverage, name) for name in names]
    rows = [[_cell(part, name) for name in names] for part in result.coverage]
    notes = [_bound(part) for part in result.coverage if part.strategy == "pct"]
    if result.kind != REPLAYED:
        yield Table("What was met", columns, rows, notes=notes, keys=3)


def _cell(part: Coverage, name: str) -> Cell:
    value = getattr(part, name)
    return Cell(_short(value)) if isinstance(value, str) else number(value, "d")


def _bound(part: Coverage) -> str:
    seeds = math.log(1 - SURE) / math.log1p(-part.bound)
    return (
        f"PCT: a seed meets a bug of its depth with at least {part.bound:.1e}; {SURE:.0%} take "
        f"{seeds:.1e} seeds"
    )


def _seeds(result: ExploreResult) -> Iterator[Table | Details]:
    """Yield the seeds that failed, and with -v all."""
    failed = [point for point in result.points if point.outcome != HELD]
    if failed and result.kind != REPLAYED:
        yield _seed_table("Seeds that failed", failed[:10], detail=False)
    yield _seed_table("Seeds", result.points, detail=True)


def _seed_table(title: str, points: Sequence[ExploreSeed], *, detail: bool) -> Table:
    names = ("seed", "outcome", "words")
    columns = [column(ExploreSeed, name) for name in names]
    rows = [(number(p.seed, "d"), Cell(p.outcome), Cell(p.words)) for p in points]
    return Table(title, columns, rows, keys=1, detail=detail)


def _sheet(result: ExploreResult) -> Sheet:
    names = list(ExploreSeed.__struct_fields__)
    return Sheet(names, [[getattr(point, name) for name in names] for point in result.points])


def _checks(result: ExploreResult) -> Iterator[Check]:
    """Yield a test a pair of drivers and workload, with a subtest a seed."""
    for part in result.coverage:
        key = (part.ep_driver, part.rc_driver, part.workload)
        mine = [p for p in result.points if (p.ep_driver, p.rc_driver, p.workload) == key]
        checks = [Check(f"seed {p.seed}", p.outcome == HELD, reason=p.words) for p in mine]
        name = f"EP {part.ep_driver}, RC {part.rc_driver}, {part.workload}"
        yield Check(name, None, checks=checks)
