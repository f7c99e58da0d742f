# SPDX-License-Identifier: BSD-3-Clause
"""The receiver: the doorbell callback, and the receive tasklet from schedule to end of run.

Source: drivers/ntb/core.c (ntb_db_event), drivers/ntb/ntb_transport.c
(ntb_transport_doorbell_callback, ntb_transport_rxc_db, ntb_process_rxc, ntb_complete_rxc,
ntb_transport_rx_enqueue), include/linux/interrupt.h (tasklet_schedule), kernel/softirq.c
(tasklet_action_common), Linux 7.3.

Deviates: what a handler does takes effect when it ends; a db bit shows from the handler's start.
"""

from ntbbench.datapath.engine.engine_plan import CLOSED
from ntbbench.datapath.engine.reference_machine import Machine, ReferenceCpu, Step
from ntbbench.datapath.engine.reference_sender import wake_flow
from ntbbench.datapath.outcome import CpuTime, Happening, RunCause, latency_bucket
from ntbbench.ntb.vectormap import bits_of


def latch(m: Machine, source: int) -> int:
    """Show the bits rung for a source in db_read(); return their queues, a mask."""
    rung = m.source_rung[source]
    m.source_rung[source] = 0
    for queue_number in bits_of(rung):
        db_bits = m.system.queues[queue_number].db_bits
        m.db = db_bits if m.system.latch == "overwrite" and db_bits else m.db | db_bits
    return rung


def take_lock(m: Machine, source: int, since: int) -> tuple[int, int]:
    """Queue for ctx_lock at `since` and hold it; return the wait and the time holding it."""
    plan = m.plan.sources[source]
    if not plan.scans or not plan.callbacks:
        return 0, 0
    wait = max(m.lock_free - since, 0)
    m.lock_free = since + wait + plan.section_ps
    return wait, plan.section_ps


def call_back(m: Machine, cpu_number: int, source: int, rung: int) -> int:
    """Do what the callbacks of a source's vectors do; return their tasklet_schedule() calls."""
    plan = m.plan.sources[source]
    m.interrupts[source] += 1
    calls, called = 0, 0
    for mask in plan.callbacks:
        for queue_number in bits_of(mask):
            m.scan_iterations += plan.scans
            schedule(m, cpu_number, queue_number, RunCause.DOORBELL)
            calls += 1
        called |= mask
    for queue_number in bits_of(rung & ~called):
        m.queues[queue_number].missed += 1
    if rung & ~called:
        for queue_number in bits_of(called & ~rung):
            m.queues[queue_number].misrouted += 1
    return calls


def schedule(m: Machine, cpu_number: int, queue_number: int, cause: RunCause) -> None:
    """tasklet_schedule() on a CPU."""
    queue = m.queues[queue_number]
    queue.calls[cause] += 1
    if queue.scheduled:
        m.log(Happening.MERGED, cpu_number, queue_number, cause)
        return
    queue.wakeups[cause] += 1
    queue.scheduled = True
    queue.cause = cause
    m.cpus[cpu_number].tasklets.append(queue_number)
    m.log(Happening.SCHEDULE, cpu_number, queue_number, cause)


def begin_run(m: Machine, cpu_number: int, queue_number: int) -> int:
    """Run a tasklet, or put it back where another CPU runs it; return how long the step takes."""
    cpu, queue = m.cpus[cpu_number], m.queues[queue_number]
    extra, cpu.pass_cost = cpu.pass_cost, 0
    cpu.queue = queue_number
    if queue.running_on >= 0:
        cpu.tasklets.append(queue_number)
        cpu.soft.step = Step.SPIN
        m.log(Happening.SPIN, cpu_number, queue_number, 0)
        return extra + m.system.costs.spin_ps
    queue.scheduled = False
    queue.running_on = cpu_number
    queue.run_cause = queue.cause
    cpu.got = 0
    cpu.soft.step = Step.START
    m.log(Happening.RUN_BEGIN, cpu_number, queue_number, queue.run_cause)
    return extra + m.drawn(m.plan.tasklet, cpu, "tasklet_stream")


def go_on(m: Machine, cpu_number: int) -> int | None:
    """A step of a run has ended: begin the next and return how long it takes; None: no more."""
    cpu = m.cpus[cpu_number]
    queue_number = cpu.queue
    if cpu.soft.step in (Step.START, Step.COPY):
        if cpu.soft.step == Step.COPY:
            _end_copy(m, cpu_number, cpu)
        if cpu.got == m.system.queues[queue_number].rx_max_entry:
            schedule(m, cpu_number, queue_number, RunCause.BUDGET)
        elif m.queues[queue_number].ring:
            queue = m.queues[queue_number]
            cpu.copying = queue.ring.popleft()
            cpu.soft.step = Step.COPY
            return m.drawn(m.plan.flows[cpu.copying[0]].copy, queue, "copy_stream")
        else:
            cpu.soft.step = Step.READ
            return m.system.costs.db_read_ps
    elif cpu.soft.step == Step.READ:
        bit = 1 << m.system.queues[queue_number].bit
        if m.db & bit:
            m.db = 0 if m.system.latch == "overwrite" else m.db & ~bit
            cpu.soft.step = Step.CLEAR
            return m.system.costs.db_clear_ps
    elif cpu.soft.step == Step.CLEAR:
        schedule(m, cpu_number, queue_number, RunCause.RACE_CHECK)
    if cpu.soft.step != Step.SPIN:
        _end_run(m, cpu_number, cpu)
    return None


def _end_copy(m: Machine, cpu_number: int, cpu: ReferenceCpu) -> None:
    """The CPU has done its part of a packet: it is delivered, or on the DMA channel."""
    queue_number, (number, stamp) = cpu.queue, cpu.copying
    cpu.got += 1
    if m.system.costs.channel is None:
        deliver(m, queue_number, number, stamp, cpu_number)
        if m.system.reposts:
            schedule(m, cpu_number, queue_number, RunCause.REPOST)
        return
    queue = m.queues[queue_number]
    queue.channel_free = max(queue.channel_free, m.now) + m.drawn(
        m.plan.flows[number].channel, queue, "channel_stream"
    )
    queue.channel_cpu = cpu_number
    queue.channel.append((queue.channel_free, number, stamp))
    if len(queue.channel) == 1:
        m.set(m.plan.slot_dma + queue_number, queue.channel_free)


def dma_event(m: Machine, queue_number: int) -> None:
    """The channel has finished its first packet; its callback runs where it was submitted."""
    queue = m.queues[queue_number]
    _, number, stamp = queue.channel.popleft()
    if queue.channel:
        m.set(m.plan.slot_dma + queue_number, queue.channel[0][0])
    deliver(m, queue_number, number, stamp, -1)
    if m.system.reposts:
        schedule(m, queue.channel_cpu, queue_number, RunCause.REPOST)
        m.cpus[queue.channel_cpu].raised = True
        m.touch(queue.channel_cpu)


def deliver(m: Machine, queue_number: int, number: int, stamp: int, cpu_number: int) -> None:
    """Free the entry and hand the packet to the client."""
    queue, flow, plan = m.queues[queue_number], m.flows[number], m.plan.flows[number]
    queue.used -= 1
    queue.packets += 1
    flow.delivered += 1
    latency = m.now - stamp
    bucket = latency_bucket(latency // 1000)
    m.latency[bucket] = m.latency.get(bucket, 0) + 1
    m.latency_sum += latency
    m.log(Happening.DELIVER, cpu_number, number, latency)
    if plan.kind != CLOSED:
        return
    if not plan.flow.ack_ps:
        flow.outstanding -= 1
        wake_flow(m, number)
        return
    flow.acks.append(m.now + plan.flow.ack_ps)
    if len(flow.acks) == 1:
        m.set(m.plan.slot_flow + number, flow.acks[0])


def _end_run(m: Machine, cpu_number: int, cpu: ReferenceCpu) -> None:
    queue = m.queues[cpu.queue]
    queue.running_on = -1
    counts = queue.useful if cpu.got else queue.empty
    counts[queue.run_cause] += 1
    cpu.ps[CpuTime.USEFUL_SOFTIRQ if cpu.got else CpuTime.EMPTY_SOFTIRQ] += cpu.run_ps
    cpu.run_ps = 0
    m.log(Happening.RUN_END, cpu_number, cpu.queue, cpu.got)
