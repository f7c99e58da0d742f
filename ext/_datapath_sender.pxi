# SPDX-License-Identifier: BSD-3-Clause
# The sender: flows, the netdev queue's flow control, the doorbell's way out. Function by function
# ntbbench/datapath/engine/reference_sender.py, which says why.


cdef inline int64_t free_entries(const QueueRow *queue) noexcept nogil:
    return queue.entries - 1 - (queue.sent - queue.done)


cdef inline void make_ready(Machine *m, int64_t number) noexcept nogil:
    """Put a flow on its CPU's list of runnable tasks."""
    cdef FlowRow *flow = &m.flows[number]
    cdef CpuRow *cpu = &m.cpus[flow.cpu]
    flow.next = -1
    if cpu.ready_head < 0:
        cpu.ready_head = number
    else:
        m.flows[cpu.ready_tail].next = number
    cpu.ready_tail = number
    if cpu.irq >= 0 or cpu.soft_step:
        cpu.resched = 1
    touch(m, flow.cpu)


cdef inline void wake_flow(Machine *m, int64_t number) noexcept nogil:
    """Make a flow runnable if it wants to send and is not yet."""
    cdef FlowRow *flow = &m.flows[number]
    cdef bint wants
    if flow.listed:
        return
    if flow.kind == CLOSED:
        wants = flow.outstanding < flow.window
    else:
        wants = flow.kind == BACK_TO_BACK or flow.tail != flow.head
    if wants:
        flow.listed = 1
        make_ready(m, number)


cdef void next_packet(Machine *m, int64_t number) noexcept nogil:
    cdef FlowRow *flow = &m.flows[number]
    if flow.kind == OPEN:
        set_slot(
            m,
            m.slot_flow + number,
            m.now + drawn(m, &flow.gap, &flow.gap_stream),
        )
        return
    flow.next_time += 1
    if flow.next_time < flow.times_count:
        set_slot(m, m.slot_flow + number, m.times[flow.times_base + flow.next_time])


cdef inline void flow_event(Machine *m, int64_t number) noexcept nogil:
    """A flow starts, gets a packet, or gets an acknowledgement."""
    cdef FlowRow *flow = &m.flows[number]
    if flow.kind == CLOSED or flow.kind == BACK_TO_BACK:
        if flow.started:
            flow.outstanding -= 1
            flow.head += 1
            if flow.head != flow.tail:
                set_slot(
                    m,
                    m.slot_flow + number,
                    m.waiting[flow.base + (flow.head & flow.mask)],
                )
        flow.started = 1
        wake_flow(m, number)
        return
    next_packet(m, number)
    if flow.kind == OPEN and not flow.started:
        flow.started = 1
        return
    m.flows[number].counts[OFFERED] += 1
    if flow.tail - flow.head == flow.backlog:
        m.flows[number].counts[DROPPED] += 1
        log_row(m, LOG_DROP, -1, number, 0)
        return
    m.waiting[flow.base + (flow.tail & flow.mask)] = m.now
    flow.tail += 1
    log_row(m, LOG_OFFER, -1, number, 0)
    wake_flow(m, number)


cdef inline void add_waiter(Machine *m, QueueRow *queue, int64_t number) noexcept nogil:
    m.flows[number].next = -1
    if queue.waiters_head < 0:
        queue.waiters_head = number
    else:
        m.flows[queue.waiters_tail].next = number
    queue.waiters_tail = number


cdef inline void arm_timer(Machine *m, int64_t number) noexcept nogil:
    move_slot(
        m,
        m.slot_timer + number,
        m.now + m.hrtimer_ps if m.hrtimer_ps else jiffies_later(m, m.timer_jiffies),
    )


cdef void stop_queue(Machine *m, int64_t number) noexcept nogil:
    cdef QueueRow *queue = &m.queues[number]
    queue.stopped = 1
    m.queues[number].counts[STOPS] += 1
    log_row(m, LOG_STOP, -1, number, free_entries(queue))
    arm_timer(m, number)


cdef void wake_queue(Machine *m, int64_t number) noexcept nogil:
    cdef QueueRow *queue = &m.queues[number]
    queue.stopped = 0
    m.queues[number].counts[WAKES] += 1
    log_row(m, LOG_WAKE, -1, number, free_entries(queue))


cdef inline bint may_enter(Machine *m, int64_t number) noexcept nogil:
    """Apply tx_stop and the full ring to the next packet of a queue."""
    cdef QueueRow *queue = &m.queues[number]
    cdef int64_t free = free_entries(queue)
    if free < m.tx_stop:
        stop_queue(m, number)
        if m.busy:
            return False
    if free:
        return True
    m.queues[number].counts[RING_FULL] += 1
    if not queue.stopped:
        stop_queue(m, number)
    return False


cdef inline void hand_over(Machine *m, int64_t number) noexcept nogil:
    """Give a queue that is free to the flow that has waited longest."""
    cdef QueueRow *queue = &m.queues[number]
    if queue.waiters_head >= 0 and not queue.stopped and not queue.locked:
        queue.holder = queue.waiters_head
        queue.waiters_head = m.flows[queue.holder].next
        queue.locked = 1
        make_ready(m, queue.holder)


cdef void timer_event(Machine *m, int64_t number) noexcept nogil:
    cdef QueueRow *queue = &m.queues[number]
    m.queues[number].counts[TIMER] += 1
    if free_entries(queue) < max(m.tx_stop, <int64_t>1):
        arm_timer(m, number)
    elif queue.stopped:
        wake_queue(m, number)
        hand_over(m, number)


cdef inline void begin_send(Machine *m, int64_t cpu_number, int64_t number) noexcept nogil:
    cdef FlowRow *flow = &m.flows[number]
    cdef CpuRow *cpu = &m.cpus[cpu_number]
    if flow.kind == CLOSED or flow.kind == BACK_TO_BACK:
        m.flows[number].counts[OFFERED] += 1
        flow.outstanding += 1
        flow.stamp = m.now
    else:
        flow.stamp = m.waiting[flow.base + (flow.head & flow.mask)]
        flow.head += 1
    log_row(m, LOG_SEND_BEGIN, cpu_number, number, flow.queue)
    cpu.flow = number
    cpu.task_step = SEND
    begin_step(
        m, cpu_number, cpu, &cpu.task_left, PS_SENDER, drawn(m, &flow.send, &flow.send_stream)
    )


cdef inline bint try_send(Machine *m, int64_t cpu_number, int64_t number) noexcept nogil:
    """Begin to send a packet of a runnable flow; False: it waits for its queue."""
    cdef int64_t queue_number = m.flows[number].queue
    cdef QueueRow *queue = &m.queues[queue_number]
    if queue.stopped or (queue.locked and queue.holder != number):
        add_waiter(m, queue, number)
        return False
    queue.holder = -1
    queue.locked = may_enter(m, queue_number)
    if not queue.locked:
        add_waiter(m, queue, number)
        return False
    begin_send(m, cpu_number, number)
    return True


cdef inline void raise_source(Machine *m, int64_t queue_number) noexcept nogil:
    """Make the interrupt of a queue's doorbell bit pending at its CPU."""
    cdef int64_t number = m.queues[queue_number].source
    cdef SourceRow *source = &m.sources[number]
    source.rung |= <uint64_t>1 << queue_number
    m.cpus[source.cpu].pending |= <uint64_t>1 << number
    touch(m, source.cpu)


cdef void ring_elsewhere(Machine *m, int64_t number) noexcept nogil:
    """Set the poll's slot, or peer_db_pending and its work item."""
    cdef Machine *s = m
    if s.has_poll:
        m.sources[m.queues[number].source].rung |= <uint64_t>1 << number
        s.polled |= <uint64_t>1 << m.queues[number].source
        return
    s.work_pending |= <uint64_t>1 << number
    if not s.work_queued:
        s.work_queued = 1
        set_slot(m, SLOT_WORK, s.now + drawn(m, &s.work, &s.work_stream))


cdef inline void arrive(Machine *m, int64_t number) noexcept nogil:
    """The first packet on the link shows in the ring, and its doorbell goes its way."""
    m.queues[number].arrived += 1
    m.queues[number].counts[RINGS] += 1
    log_row(m, LOG_RING, -1, number, m.queues[number].source)
    if m.has_poll or m.has_deferral:
        ring_elsewhere(m, number)
    else:
        raise_source(m, number)


cdef inline void link_event(Machine *m, int64_t number) noexcept nogil:
    cdef QueueRow *queue = &m.queues[number]
    cdef int64_t following = queue.arrived + 1
    if following != queue.sent:
        set_slot(
            m,
            m.slot_link + number,
            m.entries[queue.base + (following & queue.mask)].time,
        )
    arrive(m, number)


cdef inline void end_send(Machine *m, int64_t cpu_number, CpuRow *cpu) noexcept nogil:
    """The packet is in the ring: ring, apply flow control, let the next flow have the queue."""
    cdef int64_t number = cpu.flow
    cdef FlowRow *flow = &m.flows[number]
    cdef QueueRow *queue = &m.queues[flow.queue]
    cdef EntryRow *entry = &m.entries[queue.base + (queue.sent & queue.mask)]
    cdef int64_t free
    cpu.flow = -1
    m.flows[number].counts[SENT] += 1
    queue.locked = 0
    log_row(m, LOG_SEND_END, cpu_number, number, flow.queue)
    entry.flow = number
    entry.stamp = flow.stamp
    entry.time = m.now + m.link_ps
    queue.sent += 1
    if m.link_ps == 0:
        arrive(m, flow.queue)
    elif queue.sent - queue.arrived == 1:
        set_slot(m, m.slot_link + flow.queue, entry.time)
    free = free_entries(queue)
    if queue.stopped and free >= max(m.tx_start, <int64_t>1):
        wake_queue(m, flow.queue)
    if not queue.stopped and free < m.tx_stop:
        stop_queue(m, flow.queue)
    hand_over(m, flow.queue)
    flow.listed = 0
    wake_flow(m, number)


cdef void work_event(Machine *m) noexcept nogil:
    """The work item begins a run or has raised an interrupt: raise the next or take a snapshot."""
    cdef Machine *s = m
    cdef int64_t queue_number
    if s.work_raising >= 0:
        raise_source(m, s.work_raising)
        s.work_raising = -1
    else:
        s.work_snapshots = 0
    while s.work_snapshot or (s.work_pending and s.work_snapshots < s.snapshots):
        if not s.work_snapshot:
            s.work_snapshot = s.work_pending
            s.work_pending = 0
            s.work_snapshots += 1
        queue_number = ffs64(s.work_snapshot)
        s.work_snapshot &= s.work_snapshot - 1
        if s.raise_ps:
            s.work_raising = queue_number
            set_slot(m, SLOT_WORK, s.now + s.raise_ps)
            return
        raise_source(m, queue_number)
    s.work_queued = s.work_pending != 0
    if s.work_queued:
        set_slot(m, SLOT_WORK, s.now + drawn(m, &s.work, &s.work_stream))
