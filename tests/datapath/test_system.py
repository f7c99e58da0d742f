# SPDX-License-Identifier: BSD-3-Clause
"""Bad systems: one line that names the field, the value and what is allowed. And the limits."""

import re
import tracemalloc
from dataclasses import replace
from decimal import Decimal
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benches.datapath_systems import FAST, system
from ntbbench.core.errors import InputError
from ntbbench.datapath.engine import (
    COMPILED,
    ENGINES,
    _datapath_heap,
    _datapath_slots,
    buffers,
    simulate,
    simulate_logged,
)
from ntbbench.datapath.engine.engine_plan import (
    CPU_COUNTS,
    FLOW_COUNTS,
    LOG_BITS,
    QUEUE_COUNTS,
    SLOT_BITS,
    TIME_END,
    DrawnDuration,
    draw,
    minus_log,
    plan,
)
from ntbbench.datapath.system import (
    FLOWS_MAX,
    TIME_MAX_PS,
    Cost,
    Costs,
    Deferral,
    Draw,
    Flow,
    InterruptSource,
    Queue,
    SlotPoll,
    SoftirqModel,
    System,
    Transmit,
    check_declared,
)

US = 10**6
FLOW = Flow(0, 1, 64, "closed", window=1)
SYSTEM = System(
    1, 1, (FLOW,), (Queue(0, 0, 8, 8),), (InterruptSource(0, (1,)),), US, costs=Costs(Cost(US))
)
WORD = st.integers(0, 2**64 - 1)


def with_flow(**fields: object) -> System:
    return replace(SYSTEM, flows=(replace(FLOW, **fields),))


def with_costs(**fields: object) -> System:
    return replace(SYSTEM, costs=replace(SYSTEM.costs, **fields))


RECORDS = (SYSTEM, FLOW, SYSTEM.queues[0], SYSTEM.costs, Cost(), Draw(), SlotPoll(5), Deferral(1),
           Transmit(), SoftirqModel())  # fmt: skip


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_number_out_of_its_declared_range_is_one_line(record: Any) -> None:
    hints = get_type_hints(type(record), include_extras=True)
    numbers = {
        name: hint.__metadata__[0]
        for name, hint in hints.items()
        if get_origin(hint) is Annotated and get_args(hint)[0] is int
    }
    assert numbers
    for name, allowed in numbers.items():
        for value in (allowed.low - 1, allowed.high + 1):
            line = f"of.{name}: {value}: {allowed.low:,} .. {allowed.high:,}"
            with pytest.raises(InputError, match=re.escape(line)):
                check_declared("of.", replace(record, **{name: value}))


@pytest.mark.parametrize(
    ("system", "line"),
    [
        (with_costs(hardirq_ps=-1), "costs.hardirq_ps: -1: 0 .. 1,000,000,000,000"),
        (with_costs(channel=Cost(-5)), "costs.channel.packet_ps: -5: 0 .. 1,000,000,000,000"),
        (replace(SYSTEM, deferral=Deferral(0, Draw("uniform", -1))), "deferral.work_draw.spread_"),
        (replace(SYSTEM, poll=SlotPoll(0)), "poll.jiffies: 0: 1 .. 1,000"),
        (replace(SYSTEM, softirq=SoftirqModel(0)), "softirq.max_restart: 0: 1 .. 1,000"),
        (replace(SYSTEM, transmit=Transmit(tx_stop=-1)), "transmit.tx_stop: -1: 0 .. 65,536"),
        (replace(SYSTEM, queues=(Queue(0, 0, 1, 8),)), "queues[0].entries: 1: 2 .. 65,536"),
        (with_flow(size=0), "flows[0].size: 0: 1 .. 1,073,741,824"),
        (with_costs(copy=Cost(0, 0, Draw("normal"))), "costs.copy.draw.kind: 'normal': one of"),
        (with_costs(send=Cost()), "costs.send: 0: above 0: flows[0] would send without end"),
        (
            replace(with_flow(size=65536), costs=Costs(Cost(US), copy=Cost(0, 10**12))),
            "costs.copy: Cost(packet_ps=0, byte_fs=1000000000000",
        ),
        (with_flow(window=0), "flows[0].window: 0: 1 .. 1,048,576"),
        (with_flow(cpu=0), "flows[0].cpu: 0: a CPU of the sender: 1 .. 1"),
        (with_flow(queue=1), "flows[0].queue: 1: 0 .. 0"),
        (with_flow(kind="tcp"), "flows[0].kind: 'tcp': one of closed, open, times, back-to-back"),
        (with_flow(kind="open", gap_ps=0, backlog=1), "flows[0].gap_ps: 0: 1 .. "),
        (with_flow(kind="times", backlog=1, times_ps=(2, 1)), "flows[0].times_ps: 1: ascending"),
        (
            replace(SYSTEM, sources=(InterruptSource(1, (1,)),)),
            "sources[0].cpu: 1: a CPU of the receiver: 0 .. 0",
        ),
        (replace(SYSTEM, sources=(InterruptSource(0, (1 << 64,)),)), "sources[0].callbacks: "),
        (
            replace(SYSTEM, sources=(InterruptSource(0, (1,) * 65),)),
            "sources[0].callbacks: 65: 0 .. 64",
        ),
        (replace(SYSTEM, poll=SlotPoll(5, cpu=3)), "poll.cpu: 3: a CPU of the receiver: 0 .. 0"),
        (
            replace(SYSTEM, poll=SlotPoll(5), sources=(InterruptSource(0, (1,), "msi"),)),
            "sources[0].kind: 'msi': event",
        ),
        (replace(SYSTEM, queues=(Queue(0, 2, 8, 8),)), "queues[0].source: 2: 0 .. 0"),
        (replace(SYSTEM, queues=(Queue(1, 0, 8, 8),) * 2), "queues: 1: doorbell bits ascend"),
        (replace(SYSTEM, warmup_ps=US), "warmup_ps: 1000000: 0 .. 999,999"),
        (replace(SYSTEM, flows=(FLOW,) * (FLOWS_MAX + 1)), "flows: 513: 1 .. 512"),
        (replace(SYSTEM, latch="both"), "latch: 'both': one of set, overwrite"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bad_system_is_one_line(system: System, line: str) -> None:
    with pytest.raises(InputError) as caught:
        simulate(system, 1)
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"engine": "genral"}, "engine: 'genral': unknown; did you mean general?"),
        ({"seed": -1}, "seed: -1: 0 .. "),
        ({"capacity": -1}, "capacity: -1: 0 .. "),
    ],
)
def test_a_bad_call_is_one_line(arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=re.escape(told)):
        simulate_logged(SYSTEM, **({"seed": 1} | arguments))


def test_keys_hold_every_slot_and_time() -> None:
    """The largest system that the checks let through."""
    cpus = 1024
    largest = replace(
        SYSTEM,
        receiver_cpus=cpus,
        sender_cpus=cpus,
        flows=tuple(replace(FLOW, queue=n % 64, cpu=cpus + 2 * n) for n in range(FLOWS_MAX)),
        queues=tuple(Queue(n, n, 8, 8, 1 << n) for n in range(64)),
        sources=tuple(InterruptSource(16 * n, ((1 << 64) - 1,)) for n in range(64)),
        end_ps=30 * US,
        poll=None,
    )
    assert plan(largest).slots < 1 << SLOT_BITS
    assert TIME_MAX_PS < TIME_END
    expected = simulate_logged(largest, 1, "reference")
    for engine in ENGINES:
        assert simulate_logged(largest, 1, engine) == expected
    assert len(expected[0].cpu_ps) == 2 * cpus


@pytest.mark.parametrize("engine", ENGINES)
def test_the_last_instant_is_simulated(engine: str) -> None:
    """Costs and gaps of the largest size, up to the latest end."""
    system = replace(
        with_costs(
            send=Cost(10**12, draw=Draw("exponential")), copy=Cost(10**12), hardirq_ps=10**12
        ),
        flows=(
            replace(FLOW, start_ps=TIME_MAX_PS - 10**13),
            Flow(0, 1, 64, "open", gap_ps=TIME_MAX_PS, gap_draw=Draw("exponential"), backlog=1),
        ),
        end_ps=TIME_MAX_PS,
    )
    assert simulate_logged(system, 3, engine) == simulate_logged(system, 3, "reference")
    assert simulate(system, 3, engine).flows[0].sent > 0


@pytest.mark.parametrize("module", [_datapath_slots, _datapath_heap])
def test_rows_have_the_structs_columns(module: object) -> None:
    resolved = plan(SYSTEM)
    state = {
        "system": (len(buffers.system_row(resolved, 0)), 21),  # pointers
        "cpus": (len(buffers.cpu_row(0)), CPU_COUNTS + 2 + 24),
        "queues": (len(buffers.queue_rows(resolved, [0, 0])[0][0]), QUEUE_COUNTS + 14),
        "flows": (len(buffers.flow_rows(resolved, [0, 0])[0][0]), FLOW_COUNTS + 24),
        "sources": (len(buffers.source_rows(resolved)[0][0]), 1 + 1),
        "entries": (buffers.ENTRY_WORDS, 0),
    }
    sizes = {name: columns + behind for name, (columns, behind) in state.items()}
    assert sizes == module.SIZES


@given(word=WORD)
def test_logarithms_are_close(word: int) -> None:
    exact = -(Decimal(max(word, 1)) / (1 << 64)).ln()
    assert abs(Decimal(minus_log(word)) / (1 << LOG_BITS) - exact) < Decimal("4e-7")


@given(word=WORD, mean=st.integers(0, 10**12), ppm=st.integers(0, 10**6))
def test_uniform_draws_stay_in_their_range(word: int, mean: int, ppm: int) -> None:
    spread = mean * ppm // 10**6
    value = draw(DrawnDuration.of(mean, Draw("uniform", ppm)), word)
    assert mean - spread <= value <= mean + spread


@pytest.mark.parametrize("engine", COMPILED)
def test_memory_is_flat_in_simulated_time(engine: str) -> None:
    def peak(times: int) -> tuple[int, int]:
        resolved = plan(system("fallback", "spread", FAST, times * 10**9))
        tracemalloc.start()
        try:
            run, _ = buffers.run(resolved, 1, COMPILED[engine], 0)
            return run.events, tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(1)  # what is kept once for all runs
    (few, small), (many, large) = peak(1), peak(100)
    assert many > 50 * few
    assert large < 1.01 * small  # what the interpreter itself keeps moves by a few kilobytes
