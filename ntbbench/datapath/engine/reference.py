# SPDX-License-Identifier: BSD-3-Clause
"""The datapath in plain Python on a heapq: the specification that every compiled engine equals.

`reference_machine` holds the state, `reference_sender` and `reference_receiver` say what happens,
and this module who runs where: hardirqs above softirqs above tasks, ksoftirqd, the poll's kworker.

Source: kernel/softirq.c (handle_softirqs, invoke_softirq, tasklet_action_common, run_ksoftirqd),
Linux 6.5 to 7.3 (a softirq runs at the end of an interrupt although ksoftirqd is awake);
drivers/pci/endpoint/functions/pci-epf-vntb.c (vntb_epf_cmd_handler).

Deviates: a task keeps the CPU for a whole step (one packet, one slot), then kworker, ksoftirqd and
flows take turns; an interrupt that nests between two passes brings no pass of its own.
"""

import numpy as np

from ntbbench.datapath.engine.engine_plan import (
    LATENCY_BUCKETS,
    NONE,
    SLOT_BITS,
    SLOT_POLL,
    SLOT_WORK,
    EngineRun,
    EngineTotals,
    Plan,
    Row,
    first_events,
)
from ntbbench.datapath.engine.reference_machine import (
    ENDED,
    KTHREAD_STEPS,
    RUNNING,
    Level,
    Machine,
    ReferenceCpu,
    Step,
)
from ntbbench.datapath.engine.reference_receiver import (
    begin_run,
    call_back,
    dma_event,
    go_on,
    latch,
    take_lock,
)
from ntbbench.datapath.engine.reference_sender import (
    end_send,
    flow_event,
    link_event,
    timer_event,
    try_send,
    work_event,
)
from ntbbench.datapath.outcome import CpuTime, Happening
from ntbbench.ntb.vectormap import bits_of

KINDS_OF_TASK = 3  # the poll's kworker, ksoftirqd, flows


def _account(m: Machine, cpu: ReferenceCpu) -> None:
    """Book the time since the last booking on what the CPU is at."""
    elapsed = m.now - cpu.since
    cpu.since = m.now
    if cpu.irq >= 0:
        waited = min(cpu.lock_wait, elapsed)
        cpu.lock_wait -= waited
        cpu.ps[CpuTime.SPINNING] += waited
        cpu.ps[CpuTime.HARDIRQ] += elapsed - waited
    elif cpu.soft.step == Step.SPIN:
        cpu.ps[CpuTime.SPINNING] += elapsed
    elif cpu.soft.step:
        cpu.run_ps += elapsed
    elif cpu.task.step == Step.SEND:
        cpu.ps[CpuTime.SENDER] += elapsed
    elif cpu.task.step in KTHREAD_STEPS:
        cpu.ps[CpuTime.KTHREAD] += elapsed


def _cpu_event(m: Machine, cpu_number: int) -> None:
    cpu = m.cpus[cpu_number]
    _account(m, cpu)
    if cpu.irq >= 0:
        _end_hardirq(m, cpu_number, cpu)
    elif cpu.soft.step:
        cpu.soft.left = ENDED
    else:
        cpu.task.left = ENDED
    m.touch(cpu_number)


def _advance(m: Machine, cpu_number: int) -> None:
    """Let a CPU do what takes no time, up to its next step; nothing if it is in one."""
    cpu = m.cpus[cpu_number]
    while cpu.irq < 0:
        if cpu.pending and cpu.task.step != Step.POLL_SLOT:
            _begin_hardirq(m, cpu_number, cpu)
        elif cpu.soft.step:
            if not _soft_goes_on(m, cpu_number, cpu):
                return
        elif cpu.raised and cpu.tasklets and cpu.task.step != Step.POLL_SLOT:
            _suspend(m, cpu_number, cpu)
            _begin_softirq(m, cpu_number, cpu)
        elif not _task_goes_on(m, cpu_number, cpu):
            return


def _resume(m: Machine, cpu_number: int, level: Level) -> None:
    m.cpus[cpu_number].since = m.now
    m.set(m.plan.slot_cpu + cpu_number, m.now + level.left)
    level.left = RUNNING


def _suspend(m: Machine, cpu_number: int, cpu: ReferenceCpu) -> None:
    level = cpu.soft if cpu.soft.step else cpu.task
    if level.step and level.left == RUNNING:
        _account(m, cpu)
        slot = m.plan.slot_cpu + cpu_number
        level.left = (m.keys[slot] >> SLOT_BITS) - m.now
        m.keys[slot] = NONE


def _begin_hardirq(m: Machine, cpu_number: int, cpu: ReferenceCpu) -> None:
    _suspend(m, cpu_number, cpu)
    source = bits_of(cpu.pending)[0]
    cpu.pending &= ~(1 << source)
    cpu.irq = source
    cpu.irq_rung = latch(m, source)
    entry = m.system.costs.hardirq_ps
    cpu.lock_wait, section = take_lock(m, source, m.now + entry)
    m.log(Happening.IRQ_BEGIN, cpu_number, source, 0)
    cpu.since = m.now
    duration = entry + cpu.lock_wait + section
    if duration:
        m.set(m.plan.slot_cpu + cpu_number, m.now + duration)
    else:
        _end_hardirq(m, cpu_number, cpu)


def _end_hardirq(m: Machine, cpu_number: int, cpu: ReferenceCpu) -> None:
    """The handler has run: its tasklets are scheduled, a softirq is raised."""
    calls = call_back(m, cpu_number, cpu.irq, cpu.irq_rung)
    m.log(Happening.IRQ_END, cpu_number, cpu.irq, calls)
    cpu.irq = -1
    cpu.raised = True


def _begin_softirq(m: Machine, cpu_number: int, cpu: ReferenceCpu) -> None:
    cpu.raised = False
    cpu.passes = 0
    cpu.deadline = m.now // m.system.jiffy_ps + m.plan.softirq_jiffies
    _begin_pass(m, cpu_number, cpu)


def _begin_pass(m: Machine, cpu_number: int, cpu: ReferenceCpu) -> None:
    """Take the whole list and begin with its first tasklet."""
    cpu.passes += 1
    cpu.taken, cpu.tasklets = cpu.tasklets, cpu.taken
    cpu.pass_cost = m.system.costs.pass_ps
    _next_tasklet(m, cpu_number, cpu)


def _next_tasklet(m: Machine, cpu_number: int, cpu: ReferenceCpu) -> None:
    m.begin_step(cpu_number, cpu.soft, begin_run(m, cpu_number, cpu.taken.popleft()))


def _soft_goes_on(m: Machine, cpu_number: int, cpu: ReferenceCpu) -> bool:
    """Go on in the softirq; False: it is in a step that takes time."""
    if cpu.soft.left == RUNNING:
        return False
    if cpu.soft.left != ENDED:
        _resume(m, cpu_number, cpu.soft)
        return False
    duration = go_on(m, cpu_number)
    if duration is not None:
        m.begin_step(cpu_number, cpu.soft, duration)
    elif cpu.taken:
        _next_tasklet(m, cpu_number, cpu)
    elif cpu.tasklets and _may_restart(m, cpu):
        _begin_pass(m, cpu_number, cpu)
    else:
        _end_softirq(m, cpu_number, cpu)
    return True


def _may_restart(m: Machine, cpu: ReferenceCpu) -> bool:
    """Return whether handle_softirqs() makes another pass."""
    rules = m.system.softirq
    return (
        m.now // m.system.jiffy_ps < cpu.deadline
        and not (cpu.resched or rules.need_resched)
        and cpu.passes < rules.max_restart
    )


def _end_softirq(m: Machine, cpu_number: int, cpu: ReferenceCpu) -> None:
    """Return from the softirq; what is still on the list is left to ksoftirqd."""
    cpu.soft.step = Step.NOTHING
    cpu.raised = False
    if cpu.task.step == Step.KSOFTIRQD:  # it was ksoftirqd's own
        cpu.task.step = Step.NOTHING
        cpu.ksoftirqd = 2 if cpu.tasklets else 0
    elif cpu.tasklets:
        _leave_to_ksoftirqd(m, cpu_number, cpu)


def _leave_to_ksoftirqd(m: Machine, cpu_number: int, cpu: ReferenceCpu) -> None:
    """wakeup_softirqd()."""
    cpu.left_to_ksoftirqd += 1
    cpu.ksoftirqd = max(cpu.ksoftirqd, 1)
    m.log(Happening.KSOFTIRQD, cpu_number, cpu.passes, 0)


def _task_goes_on(m: Machine, cpu_number: int, cpu: ReferenceCpu) -> bool:
    """Go on with the task or choose one; False: it is in a step that takes time, or idle."""
    cpu.raised = False
    if cpu.task.step and cpu.task.left == RUNNING:
        return False
    if cpu.task.step and cpu.task.left != ENDED:
        _resume(m, cpu_number, cpu.task)
        return False
    if cpu.task.step:
        _end_task_step(m, cpu_number, cpu)
        return True
    cpu.resched = False
    for kind in range(cpu.turn, cpu.turn + KINDS_OF_TASK):
        if _begin_task(m, cpu_number, cpu, kind % KINDS_OF_TASK):
            cpu.turn = (kind + 1) % KINDS_OF_TASK
            return True
    return False


def _begin_task(m: Machine, cpu_number: int, cpu: ReferenceCpu, kind: int) -> bool:
    """Begin a step of the poll's kworker (0), of ksoftirqd (1) or of a flow (2), if it has one."""
    if kind == 0 and cpu.poll:
        cpu.poll = False
        cpu.task.step = Step.POLL_WAKE
        m.begin_step(cpu_number, cpu.task, m.system.costs.wakeup_ps)
        return True
    if kind == 1 and cpu.ksoftirqd:
        cpu.task.step = Step.KSOFTIRQD_WAKE
        wakeup_ps = m.system.costs.wakeup_ps if cpu.ksoftirqd == 1 else 0
        cpu.ksoftirqd = 2
        m.begin_step(cpu_number, cpu.task, wakeup_ps)
        return True
    while kind == 2 and cpu.ready:
        if try_send(m, cpu_number, cpu.ready.popleft()):
            return True
    return False


def _end_task_step(m: Machine, cpu_number: int, cpu: ReferenceCpu) -> None:
    step, cpu.task.step = cpu.task.step, Step.NOTHING
    if step == Step.SEND:
        end_send(m, cpu_number, cpu)
    elif step == Step.KSOFTIRQD_WAKE:
        if cpu.tasklets:
            cpu.task.step = Step.KSOFTIRQD
            _begin_softirq(m, cpu_number, cpu)
        else:
            cpu.ksoftirqd = 0
    elif step == Step.POLL_WAKE:
        _next_slot(m, cpu_number, cpu, 0)
    elif step == Step.POLL_SLOT:
        _end_slot(m, cpu_number, cpu)


def _next_slot(m: Machine, cpu_number: int, cpu: ReferenceCpu, first: int) -> None:
    """Report the next set slot from `first` on; behind the last, arm the next poll."""
    poll = m.system.poll
    assert poll is not None
    slots = [source for source in bits_of(m.polled) if source >= first]
    if not slots:
        m.set(SLOT_POLL, m.jiffies_later(poll.jiffies))
        return
    cpu.poll_source = slots[0]
    cpu.irq_rung = latch(m, slots[0])
    _, section = take_lock(m, slots[0], m.now)
    cpu.task.step = Step.POLL_SLOT
    m.log(Happening.POLL_BEGIN, cpu_number, slots[0], 0)
    m.begin_step(cpu_number, cpu.task, section + poll.slot_ps)


def _end_slot(m: Machine, cpu_number: int, cpu: ReferenceCpu) -> None:
    """Its event is done: clear the slot, whatever was rung meanwhile, and look at the next."""
    source = cpu.poll_source
    call_back(m, cpu_number, source, cpu.irq_rung)
    wiped = bits_of(m.source_rung[source])
    for queue_number in wiped:
        m.queues[queue_number].wiped += 1
    m.source_rung[source] = 0
    m.polled &= ~(1 << source)
    m.log(Happening.POLL_END, cpu_number, source, len(wiped))
    if cpu.tasklets and not cpu.ksoftirqd:
        cpu.passes = 0
        _leave_to_ksoftirqd(m, cpu_number, cpu)
    _next_slot(m, cpu_number, cpu, source + 1)


def run(
    plan: Plan, seed: int, log_capacity: int = 0, machine: type[Machine] = Machine
) -> tuple[EngineRun, list[Row]]:
    """Return the counts of a plan and the head of its log; `machine` may have another queue."""
    m = machine(plan, seed, log_capacity)
    for slot, time in first_events(plan):
        m.set(slot, time)
    _go_until(m, plan.system.warmup_ps)
    before = _totals(m)
    _go_until(m, plan.system.end_ps)
    # Between the socket and the client.
    left = sum(cpu.task.step == Step.SEND for cpu in m.cpus)
    left += sum(len(flow.backlog) for flow in m.flows) + sum(queue.used for queue in m.queues)
    return EngineRun(before, _totals(m), m.events, left), m.log_rows


def _go_until(m: Machine, until: int) -> None:
    """Handle every event before `until`, then book all CPU time up to there."""
    while (slot := m.pop(until)) >= 0:
        m.events += 1
        _handle(m, slot)
        while m.to_advance:
            cpu_number = m.to_advance.popleft()
            m.cpus[cpu_number].queued = False
            _advance(m, cpu_number)
    m.now = until
    for cpu in m.cpus:
        _account(m, cpu)
        cpu.ps[CpuTime.USEFUL_SOFTIRQ if cpu.got else CpuTime.EMPTY_SOFTIRQ] += cpu.run_ps
        cpu.run_ps = 0


def _handle(m: Machine, slot: int) -> None:
    plan = m.plan
    if slot == SLOT_POLL:
        m.cpus[plan.poll_cpu].poll = True  # the delayed work has expired
        m.touch(plan.poll_cpu)
    elif slot == SLOT_WORK:
        work_event(m)
    elif slot < plan.slot_link:
        timer_event(m, slot - plan.slot_timer)
    elif slot < plan.slot_dma:
        link_event(m, slot - plan.slot_link)
    elif slot < plan.slot_flow:
        dma_event(m, slot - plan.slot_dma)
    elif slot < plan.slot_cpu:
        flow_event(m, slot - plan.slot_flow)
    else:
        _cpu_event(m, slot - plan.slot_cpu)


def _totals(m: Machine) -> EngineTotals:
    """Return all counts so far, in the arrays that the compiled engines fill."""
    latency = np.zeros(LATENCY_BUCKETS, np.int64)
    for bucket, packets in m.latency.items():
        latency[bucket] = packets
    queues = [  # the columns of QueueCounts
        (
            *(q.rings, *q.calls, *q.wakeups, *q.useful, *q.empty, q.packets, q.missed),
            *(q.misrouted, q.wiped, q.stops, q.wakes, q.timer, q.ring_full),
        )
        for q in m.queues
    ]
    return EngineTotals(
        queues=np.array(queues, np.int64),
        flows=np.array([(f.offered, f.sent, f.delivered, f.dropped) for f in m.flows], np.int64),
        cpus=np.array([(*cpu.ps, cpu.left_to_ksoftirqd) for cpu in m.cpus], np.int64),
        interrupts=np.array(m.interrupts, np.int64),
        latency=latency,
        latency_sum_ps=m.latency_sum,
        scan_iterations=m.scan_iterations,
    )
