# SPDX-License-Identifier: BSD-3-Clause
"""Random small systems: every feature on and off, few flows, close events."""

from dataclasses import replace

from hypothesis import strategies as st

from ntbbench.datapath.outcome import LATENCY_BITS
from ntbbench.datapath.system import (
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
)

NS = 1000
US = 1000 * NS
MS = 1000 * US

draws = st.one_of(
    st.just(Draw()),
    st.just(Draw("exponential")),
    st.builds(Draw, st.just("uniform"), st.sampled_from([0, 1, 20_000, 1_000_000])),
)
short = st.sampled_from([0, 0, 1, 100 * NS, 300 * NS, US, 2 * US])  # the same times again and again
costs_of_a_packet = st.builds(Cost, st.sampled_from([300 * NS, US]), st.just(0), draws)
free_costs = st.builds(Cost, short, st.sampled_from([0, 7]), draws)


@st.composite
def costs(draw: st.DrawFn) -> Costs:
    names = ["link_ps", "hardirq_ps", "db_read_ps", "db_clear_ps", "scan_ps", "pass_ps"]
    return Costs(
        **{name: draw(short) for name in [*names, "tasklet_ps", "wakeup_ps"]},
        send=draw(costs_of_a_packet),
        tasklet_draw=draw(draws),
        spin_ps=draw(st.sampled_from([100 * NS, 333 * NS])),
        copy=draw(free_costs),
        channel=draw(st.none() | free_costs),
    )


@st.composite
def flows(draw: st.DrawFn, queues: int, cpus: range) -> Flow:
    kind = draw(st.sampled_from(["closed", "open", "times", "back-to-back"]))
    times = st.lists(st.integers(0, 300 * US), max_size=20).map(sorted).map(tuple)
    return Flow(
        queue=draw(st.integers(0, queues - 1)),
        cpu=draw(st.sampled_from(cpus)),
        size=draw(st.sampled_from([1, 1500])),
        kind=kind,
        window=draw(st.integers(1, 5)),
        ack_ps=draw(short),
        gap_ps=draw(st.sampled_from([US, 3 * US, 10 * US])),
        gap_draw=draw(draws),
        backlog=draw(st.integers(1, 4)),
        times_ps=draw(times) if kind == "times" else (),
        start_ps=draw(st.sampled_from([0, 0, US, 5 * US])),
    )


@st.composite
def sources(draw: st.DrawFn, bits: list[int], cpus: int, kinds: list[str]) -> InterruptSource:
    masks = st.sets(st.sampled_from([*bits, 63])).map(lambda chosen: sum(1 << b for b in chosen))
    callbacks = st.just((sum(1 << bit for bit in bits),)) | st.lists(masks, max_size=3).map(tuple)
    return InterruptSource(
        draw(st.integers(0, cpus - 1)), draw(callbacks), draw(st.sampled_from(kinds))
    )


@st.composite
def systems(draw: st.DrawFn) -> System:
    receiver, sender = draw(st.integers(1, 3)), draw(st.integers(0, 2))
    bits = sorted(draw(st.sets(st.integers(0, 5) | st.just(62), min_size=1, max_size=4)))
    poll = draw(
        st.none()
        | st.none()
        | st.none()
        | st.builds(SlotPoll, st.integers(1, 2), short, st.integers(0, receiver - 1))
    )
    source_count = draw(st.integers(1, 3))
    kinds = ["event"] if poll else ["event", "event", "msi"]
    senders = range(receiver, receiver + sender) if sender else range(receiver)
    end = draw(st.sampled_from([50 * US, 200 * US, MS])) if not poll else MS
    return System(
        receiver_cpus=receiver,
        sender_cpus=sender,
        flows=tuple(draw(st.lists(flows(len(bits), senders), min_size=1, max_size=5))),
        queues=tuple(
            Queue(
                bit=bit,
                source=draw(st.integers(0, source_count - 1)),
                entries=draw(st.integers(2, 20)),
                rx_max_entry=draw(st.integers(1, 20)),
                db_bits=draw(st.sampled_from([0, 1 << bit, 2 << bit, 3])),
            )
            for bit in bits
        ),
        sources=tuple(draw(sources(bits, receiver, kinds)) for _ in range(source_count)),
        end_ps=end,
        warmup_ps=draw(st.sampled_from([0, 7 * US, 33 * US + 1])),
        costs=draw(costs()),
        transmit=draw(
            st.builds(
                Transmit,
                st.integers(0, 5),
                st.integers(0, 10),
                st.integers(1, 2),
                st.booleans(),
                st.sampled_from([0, US, 25 * US]),
            )
        ),
        softirq=draw(
            st.builds(
                SoftirqModel,
                st.sampled_from([1, 2, 10]),
                st.sampled_from([1, 100 * US, 2 * MS]),
                st.booleans(),
            )
        ),
        poll=poll,
        deferral=draw(st.none() | st.builds(Deferral, short, draws, short, st.integers(1, 3))),
        latch=draw(st.sampled_from(["set", "overwrite"])),
        reposts=draw(st.booleans()),
        jiffy_ps=draw(st.sampled_from([100 * US, 250 * US])),
    )


@st.composite
def contended_systems(draw: st.DrawFn) -> System:
    """Every interrupt wakes every queue, on several CPUs: CPUs meet running tasklets."""
    cpus, queues = draw(st.integers(2, 4)), draw(st.integers(1, 4))
    every = (1 << queues) - 1
    flow = st.builds(
        Flow,
        st.integers(0, queues - 1),
        st.integers(cpus, cpus + 2),
        st.just(1500),
        st.sampled_from(["closed", "back-to-back"]),
        st.integers(1, 8),
        short,
    )
    return System(
        receiver_cpus=cpus,
        sender_cpus=3,
        flows=tuple(draw(st.lists(flow, min_size=queues, max_size=6))),
        queues=tuple(
            Queue(bit, bit, draw(st.integers(8, 20)), draw(st.integers(1, 20)), 1 << bit)
            for bit in range(queues)
        ),
        sources=tuple(
            InterruptSource(draw(st.integers(0, cpus - 1)), (every,)) for _ in range(queues)
        ),
        end_ps=draw(st.sampled_from([200 * US, MS])),
        warmup_ps=draw(st.sampled_from([0, 50 * US])),
        costs=draw(costs()),
        softirq=SoftirqModel(
            draw(st.sampled_from([1, 10])), draw(st.sampled_from([100 * US, 2 * MS]))
        ),
        reposts=draw(st.booleans()),
        jiffy_ps=100 * US,
    )


@st.composite
def crowded_systems(draw: st.DrawFn) -> System:
    """As above among idle queues and flows, and every flow several times over for a short while:
    as many slots as the engines may have, up to hundreds, tens of them pending."""
    system = draw(systems() | contended_systems())
    free = sorted(set(range(64)) - {queue.bit for queue in system.queues})
    idle = [Queue(bit, 0, 2, 1) for bit in free[: draw(st.sampled_from([20, 30, 60]))]]
    queues = sorted([*system.queues, *idle], key=lambda queue: queue.bit)
    busy = [replace(flow, queue=queues.index(system.queues[flow.queue])) for flow in system.flows]
    nothing = Flow(0, system.flows[0].cpu, 1, "times", backlog=1)
    flows = [nothing] * draw(st.sampled_from([0, 30, 400])) + busy * draw(st.integers(1, 8))
    return replace(
        system, flows=tuple(flows), queues=tuple(queues), end_ps=60 * US, warmup_ps=7 * US
    )


def latency_bucket_low(index: int) -> int:
    """Return the smallest latency of a bucket, in nanoseconds; bucket i ends where i + 1 begins."""
    if index < 2 << LATENCY_BITS:
        return index
    octave = (index >> LATENCY_BITS) - 1
    return ((1 << LATENCY_BITS) + (index & (1 << LATENCY_BITS) - 1)) << octave
