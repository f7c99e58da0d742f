# SPDX-License-Identifier: BSD-3-Clause
"""The sender: flows, the netdev queue's flow control, the doorbell's way out.

Source: drivers/net/ntb_netdev.c (ntb_netdev_start_xmit, ntb_netdev_tx_handler,
ntb_netdev_tx_timer), drivers/ntb/ntb_transport.c (ntb_transport_tx_enqueue,
ntb_transport_tx_free_entry),
drivers/pci/endpoint/functions/pci-epf-vntb.c (vntb_epf_peer_db_set and its work), Linux 7.3.

Deviates: the peer's rx_info is seen at once; acknowledgements come after a fixed time and cost no
CPU; the timer and the work item cost no CPU.
"""

from ntbbench.datapath.engine.engine_plan import BACK_TO_BACK, CLOSED, OPEN, SLOT_WORK
from ntbbench.datapath.engine.reference_machine import Machine, ReferenceCpu, Step
from ntbbench.datapath.outcome import Happening
from ntbbench.ntb.vectormap import bits_of


def flow_event(m: Machine, number: int) -> None:
    """A flow starts, gets a packet, or gets an acknowledgement."""
    plan, flow = m.plan.flows[number], m.flows[number]
    if plan.kind in (CLOSED, BACK_TO_BACK):
        if flow.started:
            flow.outstanding -= 1
            flow.acks.popleft()
            if flow.acks:
                m.set(m.plan.slot_flow + number, flow.acks[0])
        flow.started = True
        wake_flow(m, number)
        return
    _next_packet(m, number)
    if plan.kind == OPEN and not flow.started:
        flow.started = True
        return
    flow.offered += 1
    if len(flow.backlog) == plan.flow.backlog:
        flow.dropped += 1
        m.log(Happening.DROP, -1, number, 0)
        return
    flow.backlog.append(m.now)
    m.log(Happening.OFFER, -1, number, 0)
    wake_flow(m, number)


def _next_packet(m: Machine, number: int) -> None:
    """Make the next packet of an open flow, or one with given times, pending."""
    plan, flow = m.plan.flows[number], m.flows[number]
    slot = m.plan.slot_flow + number
    if plan.kind == OPEN:
        m.set(slot, m.now + m.drawn(plan.gap, flow, "gap_stream"))
        return
    flow.next_time += 1
    if flow.next_time < len(plan.flow.times_ps):
        m.set(slot, plan.flow.times_ps[flow.next_time])


def wake_flow(m: Machine, number: int) -> None:
    """Make a flow runnable if it wants to send and is not yet."""
    plan, flow = m.plan.flows[number], m.flows[number]
    if plan.kind == CLOSED:
        wants = flow.outstanding < plan.flow.window
    else:
        wants = plan.kind == BACK_TO_BACK or bool(flow.backlog)
    if wants and not flow.listed:
        flow.listed = True
        _make_ready(m, number)


def _make_ready(m: Machine, number: int) -> None:
    number_of_cpu = m.plan.flows[number].cpu
    cpu = m.cpus[number_of_cpu]
    cpu.ready.append(number)
    if cpu.irq >= 0 or cpu.soft.step:
        cpu.resched = True
    m.touch(number_of_cpu)


def _free_entries(m: Machine, queue: int) -> int:
    """Return what ntb_transport_tx_free_entry() says."""
    return m.system.queues[queue].entries - 1 - m.queues[queue].used


def try_send(m: Machine, cpu_number: int, number: int) -> bool:
    """Begin to send a packet of a runnable flow; False: it waits for its queue."""
    queue_number = m.plan.flows[number].flow.queue
    queue = m.queues[queue_number]
    if queue.stopped or (queue.locked and queue.holder != number):
        queue.waiters.append(number)
        return False
    if not _may_enter(m, queue_number):
        queue.locked, queue.holder = False, -1
        queue.waiters.append(number)
        return False
    queue.locked, queue.holder = True, -1
    _begin_send(m, cpu_number, number)
    return True


def _may_enter(m: Machine, queue_number: int) -> bool:
    """Apply tx_stop and the full ring to the next packet of a queue."""
    queue, transmit = m.queues[queue_number], m.system.transmit
    free = _free_entries(m, queue_number)
    if free < transmit.tx_stop:
        stop(m, queue_number)
        if transmit.busy:
            return False
    if free:
        return True
    queue.ring_full += 1
    if not queue.stopped:
        stop(m, queue_number)
    return False


def _begin_send(m: Machine, cpu_number: int, number: int) -> None:
    """Take the flow's next packet and start copying it into the window."""
    plan, flow, cpu = m.plan.flows[number], m.flows[number], m.cpus[cpu_number]
    if plan.kind in (CLOSED, BACK_TO_BACK):
        flow.offered += 1
        flow.outstanding += 1
        flow.stamp = m.now
    else:
        flow.stamp = flow.backlog.popleft()
    m.log(Happening.SEND_BEGIN, cpu_number, number, plan.flow.queue)
    cpu.flow = number
    cpu.task.step = Step.SEND
    m.begin_step(cpu_number, cpu.task, m.drawn(plan.send, flow, "send_stream"))


def end_send(m: Machine, cpu_number: int, cpu: ReferenceCpu) -> None:
    """The packet is in the ring: ring, apply flow control, let the next flow have the queue."""
    number = cpu.flow
    flow, queue_number = m.flows[number], m.plan.flows[number].flow.queue
    queue, transmit = m.queues[queue_number], m.system.transmit
    cpu.flow = -1
    flow.sent += 1
    queue.used += 1
    queue.locked = False
    m.log(Happening.SEND_END, cpu_number, number, queue_number)
    _fly(m, queue_number, number, flow.stamp)
    free = _free_entries(m, queue_number)
    if queue.stopped and free >= max(transmit.tx_start, 1):
        wake(m, queue_number)
    if not queue.stopped and free < transmit.tx_stop:
        stop(m, queue_number)
    _hand_over(m, queue_number)
    flow.listed = False
    wake_flow(m, number)


def _hand_over(m: Machine, queue_number: int) -> None:
    queue = m.queues[queue_number]
    if queue.waiters and not queue.stopped and not queue.locked:
        queue.holder = queue.waiters.popleft()
        queue.locked = True
        _make_ready(m, queue.holder)


def stop(m: Machine, queue_number: int) -> None:
    """Stop a netdev queue and arm its timer."""
    queue = m.queues[queue_number]
    queue.stopped = True
    queue.stops += 1
    m.log(Happening.STOP, -1, queue_number, _free_entries(m, queue_number))
    _arm_timer(m, queue_number)


def _arm_timer(m: Machine, queue_number: int) -> None:
    transmit = m.system.transmit
    expiry = m.jiffies_later(transmit.timer_jiffies)
    if transmit.hrtimer_ps:
        expiry = m.now + transmit.hrtimer_ps
    m.set(m.plan.slot_timer + queue_number, expiry)


def wake(m: Machine, queue_number: int) -> None:
    """Wake a netdev queue."""
    queue = m.queues[queue_number]
    queue.stopped = False
    queue.wakes += 1
    m.log(Happening.WAKE, -1, queue_number, _free_entries(m, queue_number))


def timer_event(m: Machine, queue_number: int) -> None:
    """The timer wakes a stopped queue that has tx_stop free entries again, or waits on."""
    queue = m.queues[queue_number]
    queue.timer += 1
    if _free_entries(m, queue_number) < max(m.system.transmit.tx_stop, 1):
        _arm_timer(m, queue_number)
    elif queue.stopped:
        wake(m, queue_number)
        _hand_over(m, queue_number)


def _fly(m: Machine, queue_number: int, number: int, stamp: int) -> None:
    queue, link_ps = m.queues[queue_number], m.system.costs.link_ps
    if not link_ps:
        arrive(m, queue_number, number, stamp)
        return
    queue.flying.append((m.now + link_ps, number, stamp))
    if len(queue.flying) == 1:
        m.set(m.plan.slot_link + queue_number, m.now + link_ps)


def link_event(m: Machine, queue_number: int) -> None:
    """The first packet on the link arrives."""
    flying = m.queues[queue_number].flying
    _, number, stamp = flying.popleft()
    if flying:
        m.set(m.plan.slot_link + queue_number, flying[0][0])
    arrive(m, queue_number, number, stamp)


def arrive(m: Machine, queue_number: int, number: int, stamp: int) -> None:
    """A packet shows in the receiver's ring, and its doorbell goes its way."""
    queue, source = m.queues[queue_number], m.system.queues[queue_number].source
    queue.ring.append((number, stamp))
    queue.rings += 1
    m.log(Happening.RING, -1, queue_number, source)
    if m.system.poll is not None:
        m.source_rung[source] |= 1 << queue_number
        m.polled |= 1 << source
    elif m.system.deferral is None:
        _raise_source(m, queue_number)
    else:
        m.work_pending |= 1 << queue_number
        if not m.work_queued:
            m.work_queued = True
            m.set(SLOT_WORK, m.now + m.drawn(m.plan.work, m, "work_stream"))


def _raise_source(m: Machine, queue_number: int) -> None:
    """Make the interrupt of a queue's doorbell bit pending at its CPU."""
    source = m.system.queues[queue_number].source
    cpu = m.plan.sources[source].cpu
    m.source_rung[source] |= 1 << queue_number
    m.cpus[cpu].pending |= 1 << source
    m.touch(cpu)


def work_event(m: Machine) -> None:
    """The work item begins a run or has raised an interrupt: raise the next or take a snapshot."""
    deferral = m.system.deferral
    assert deferral is not None
    if m.work_raising >= 0:
        _raise_source(m, m.work_raising)
        m.work_raising = -1
    else:
        m.work_snapshots = 0
    while m.work_snapshot or (m.work_pending and m.work_snapshots < deferral.snapshots):
        if not m.work_snapshot:
            m.work_snapshot, m.work_pending = m.work_pending, 0
            m.work_snapshots += 1
        queue_number = bits_of(m.work_snapshot)[0]
        m.work_snapshot &= ~(1 << queue_number)
        if deferral.raise_ps:
            m.work_raising = queue_number
            m.set(SLOT_WORK, m.now + deferral.raise_ps)
            return
        _raise_source(m, queue_number)
    m.work_queued = bool(m.work_pending)
    if m.work_queued:
        m.set(SLOT_WORK, m.now + m.drawn(m.plan.work, m, "work_stream"))
