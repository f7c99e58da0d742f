# SPDX-License-Identifier: BSD-3-Clause
"""What the guest of one boot does, on which machine, and what it may take."""

from ntbbench.lab.guest_task import Task
from ntbbench.lab.pair.pair_kernel import GUEST
from ntbbench.lab.pair.plan import AnySetup, PairPlan
from ntbbench.lab.qemu import KVM_OPTIONS, TCG, GuestMachine
from ntbbench.lab.watch import ASLEEP_SECONDS, Limits
from ntbbench.pair.setting import Traffic

# Processor time that only a guest which hangs comes to. Measured: a boot with its first packet
# 5.4 s; without a link 7.2 s, where doorbells interrupt 10.9 s; 1 ms to 4 ms a packet; 0.3 s a
# round. A debug kernel takes 13.5 s, 35 s and 71 s; 3.1 s a round.
BOOT_SECONDS = {"poll": 40.0, "msi": 80.0, "embedded": 80.0}  # as LINK_TRIES
POINT_SECONDS = 5.0
ROUND_SECONDS = 4.0
PACKET_SECONDS = 0.05
FIRST_WAIT = 10  # ntb_flow.c: how many times as long the receiver waits for its first packet
DEBUG_FACTOR = 4
# Tries, of 20 ms and more, until a link counts as down: a multiple of what one takes to come up.
# Where doorbells interrupt, the endpoint looks for commands every 500 ms only.
LINK_TRIES = {"poll": 150, "msi": 400, "embedded": 400}
TRACE_KB_MIN, TRACE_KB_MAX = 8192, 65536
EVENT_BYTES = 64  # of the trace buffer, at most; of one with the doorbell words:
WORDS_BYTES = 192
POOL = "144M$0x10000000"  # epc_loop_core.c: pool_size, pool_base
START = "2026-01-01"  # of the guest's clock
# No number may come from the host: neither its clock nor its random numbers. A flow's queue and the
# moment of a poll would differ from run to run.
CLOCK = ("-rtc", f"clock=vm,base={START}")
CPU = ("-cpu", "max,rdrand=off,rdseed=off")
ENTROPY = "random.trust_cpu=off random.trust_bootloader=off"
TIMER = "no_timer_check"  # of a guest by the host's clock: on a busy machine it panics of one
MULTI_CPU = ("-accel", "tcg,thread=multi")
BLOCKED = "panic_print=0x80"  # tasks in uninterruptible sleep
EDU = ("-device", "edu")
POLL_US = 5000  # pci-epf-vntb.c: epf_ntb_cmd_handler, rounded up to the next jiffy


def task(plan: PairPlan, debug: bool = False) -> Task:
    """Return what the guest does; `debug`: on the kernel of `lab pair check`, which is slower."""
    setup = plan.setup
    return Task(
        script=GUEST / "pair",
        lines=tuple(_line(point) for point in plan.traffic),
        names=(
            "setup",
            *(point.name for point in plan.traffic),
            *(("rounds",) if plan.rounds else ()),
        ),
        limits=limits(plan, DEBUG_FACTOR if debug else 1),
        settings={
            "EP_SLOTS": setup.ep_slots,
            "MW_COUNT": setup.mw_count,
            "MW_SIZE": setup.window_size,
            "QUEUES": "" if setup.queues is None else setup.queues,
            "DOORBELL": setup.doorbell,
            "ROUNDS": plan.rounds,
            "PROBE": int(plan.probe),
            "LINK_WAIT": LINK_TRIES[setup.doorbell],
            "IDLE": idle_seconds(plan),
            "INSTEAD": "",
            "TRACE_KB": trace_kb(plan),
        },
    )


def limits(plan: PairPlan, factor: int) -> Limits:
    """Return what a boot may take on a kernel that is `factor` times as slow as the plain one."""
    points = sum(POINT_SECONDS + PACKET_SECONDS * _sent(point) for point in plan.traffic)
    gaps = sum(1e-6 * point.gap_us * _sent(point) for point in plan.traffic)
    asleep = gaps + FIRST_WAIT * idle_seconds(plan) * len(plan.traffic)
    boot = BOOT_SECONDS[plan.setup.doorbell] + ROUND_SECONDS * plan.rounds
    return Limits(factor * (boot + points + ASLEEP_SECONDS * asleep), 2 * asleep)


def idle_seconds(plan: PairPlan) -> int:
    """Return the guest's seconds without a packet after which its receiver takes none for lost."""
    longest = max((point.gap_us for point in plan.traffic), default=0)
    return max(1, -(-2 * longest // 1_000_000))


def trace_kb(plan: PairPlan) -> int:
    """Return the size of the guest's trace buffer, a CPU, for its longest point."""
    longest = max((_trace_bytes(plan.setup, point) for point in plan.traffic), default=0)
    return min(max(longest // 1024, TRACE_KB_MIN), TRACE_KB_MAX) // plan.setup.cpus


def _trace_bytes(setup: AnySetup, traffic: Traffic) -> int:
    # A packet: a ring, an MSI, and for each event and QP a schedule, a run, an entry and an exit.
    packet = EVENT_BYTES * (4 + 8 * (setup.most_qps + 2))
    if setup.doorbell == "poll":
        polls = traffic.gap_us / POLL_US
        packet += round(WORDS_BYTES + polls * (WORDS_BYTES + EVENT_BYTES))
    return packet * _sent(traffic)


def _line(traffic: Traffic) -> str:
    numbers = f"{traffic.flows} {traffic.packets} {traffic.gap_us}"
    return f"{traffic.name} {traffic.sender} {numbers}\n"


def _sent(traffic: Traffic) -> int:
    return traffic.flows * traffic.packets


def machine(setup: AnySetup, deterministic: bool, debug: bool = False) -> GuestMachine:
    """Return the machine of a boot: the pool set aside, and a doorbell register where needed.

    `debug`: one that dies shows its blocked tasks. Not the others: a word more for the kernel
    shifts the moments at which bursts coalesce.
    """
    words = [f"memmap={POOL}", "reboot=t", *([BLOCKED] if debug else [])]
    return GuestMachine(
        devices=EDU if setup.interrupts_endpoint else (),
        command_line=" ".join([*words, ENTROPY if deterministic else TIMER]),
        cpus=setup.cpus,
        options=(*CLOCK, *CPU) if deterministic else (),
    )


def accelerator_options(deterministic: bool, kvm: bool, cpus: int) -> tuple[str, ...]:
    """Return QEMU's accelerator: counting instructions, KVM, or plain emulation."""
    if deterministic:
        return TCG
    if kvm:
        return KVM_OPTIONS
    return MULTI_CPU if cpus > 1 else TCG
