# SPDX-License-Identifier: BSD-3-Clause
# The receiver: the doorbell callback, and the receive tasklet from schedule to end of run. Function
# by function ntbbench/datapath/engine/reference_receiver.py, which says why.


cdef inline uint64_t latch(Machine *m, SourceRow *source) noexcept nogil:
    """Show the bits rung for a source in db_read(); return their queues."""
    cdef uint64_t rung = source.rung
    cdef uint64_t rest = rung
    cdef uint64_t db_bits
    source.rung = 0
    while rest:
        db_bits = m.queues[ffs64(rest)].db_bits
        if m.overwrite and db_bits:
            m.db = db_bits
        else:
            m.db |= db_bits
        rest &= rest - 1
    return rung


cdef inline int64_t wait_for_lock(
    Machine *m, const SourceRow *source, int64_t since
) noexcept nogil:
    """Queue for ctx_lock at `since` and hold it for the source's section; return the wait."""
    cdef int64_t wait
    if not source.scans or not source.callbacks_count:
        return 0
    wait = max(m.lock_free - since, <int64_t>0)
    m.lock_free = since + wait + source.section_ps
    return wait


cdef inline void schedule(
    Machine *m, int64_t cpu_number, int64_t queue_number, int64_t cause
) noexcept nogil:
    """tasklet_schedule() on a CPU."""
    cdef QueueRow *queue = &m.queues[queue_number]
    cdef CpuRow *cpu = &m.cpus[cpu_number]
    m.queues[queue_number].counts[CALLS + cause] += 1
    if queue.scheduled:
        log_row(m, LOG_MERGED, cpu_number, queue_number, cause)
        return
    m.queues[queue_number].counts[WAKEUPS + cause] += 1
    queue.scheduled = 1
    queue.cause = cause
    put_on_list(m, cpu, queue_number)
    log_row(m, LOG_SCHEDULE, cpu_number, queue_number, cause)


cdef inline void put_on_list(Machine *m, CpuRow *cpu, int64_t queue_number) noexcept nogil:
    m.queues[queue_number].next = -1
    if cpu.list_head < 0:
        cpu.list_head = queue_number
    else:
        m.queues[cpu.list_tail].next = queue_number
    cpu.list_tail = queue_number


cdef void count_misses(Machine *m, uint64_t missed, uint64_t misrouted) noexcept nogil:
    while missed:
        m.queues[ffs64(missed)].counts[MISSED] += 1
        missed &= missed - 1
    while misrouted:
        m.queues[ffs64(misrouted)].counts[MISROUTED] += 1
        misrouted &= misrouted - 1


cdef inline int64_t call_back(
    Machine *m, int64_t cpu_number, int64_t number, uint64_t rung
) noexcept nogil:
    """Do what the callbacks of a source's vectors do; return their tasklet_schedule() calls."""
    cdef SourceRow *source = &m.sources[number]
    cdef int64_t calls = 0
    cdef uint64_t called = 0
    cdef uint64_t rest
    cdef int64_t i
    source.interrupts += 1
    for i in range(source.callbacks_count):
        rest = m.callbacks[source.callbacks_base + i]
        called |= rest
        while rest:
            schedule(m, cpu_number, ffs64(rest), DOORBELL)
            calls += 1
            rest &= rest - 1
    if source.scans:
        m.scan_iterations += calls
    if rung & ~called:
        count_misses(m, rung & ~called, called & ~rung)
    return calls


cdef inline int64_t begin_run(
    Machine *m, int64_t cpu_number, CpuRow *cpu, int64_t queue_number
) noexcept nogil:
    """Run a tasklet, or put it back where another CPU runs it; return how long the step takes."""
    cdef QueueRow *queue = &m.queues[queue_number]
    cdef int64_t extra = cpu.pass_cost
    cpu.pass_cost = 0
    cpu.queue = queue_number
    if queue.running_on >= 0:
        put_on_list(m, cpu, queue_number)
        cpu.soft_step = SPIN
        log_row(m, LOG_SPIN, cpu_number, queue_number, 0)
        return extra + m.spin_ps
    queue.scheduled = 0
    queue.running_on = cpu_number
    queue.run_cause = queue.cause
    cpu.got = 0
    cpu.soft_step = START
    log_row(m, LOG_RUN_BEGIN, cpu_number, queue_number, queue.run_cause)
    return extra + drawn(m, &m.tasklet, &cpu.stream)


cdef inline void count_latency(Machine *m, int64_t latency) noexcept nogil:
    cdef uint64_t unit = <uint64_t>latency // 1000
    cdef int octave = max(bit_length(unit | 1) - 11, 0)
    m.latency[(octave << 10) + (unit >> octave)] += 1
    m.latency_high += latency >> 32
    m.latency_low += latency & 0xFFFFFFFFLL


cdef inline void deliver(
    Machine *m, int64_t queue_number, int64_t number, int64_t stamp, int64_t cpu_number
) noexcept nogil:
    """Free the entry and hand the packet to the client."""
    cdef FlowRow *flow = &m.flows[number]
    m.queues[queue_number].done += 1
    m.queues[queue_number].counts[PACKETS] += 1
    m.flows[number].counts[DELIVERED] += 1
    count_latency(m, m.now - stamp)
    log_row(m, LOG_DELIVER, cpu_number, number, m.now - stamp)
    if flow.kind != CLOSED:
        return
    if flow.ack_ps == 0:
        flow.outstanding -= 1
        wake_flow(m, number)
        return
    m.waiting[flow.base + (flow.tail & flow.mask)] = m.now + flow.ack_ps
    flow.tail += 1
    if flow.tail - flow.head == 1:
        set_slot(m, m.slot_flow + number, m.now + flow.ack_ps)


cdef inline int64_t begin_copy(Machine *m, CpuRow *cpu, int64_t queue_number) noexcept nogil:
    """Take the next packet of the ring; return what it costs the CPU."""
    cdef QueueRow *queue = &m.queues[queue_number]
    cdef EntryRow *entry = &m.entries[queue.base + (queue.taken & queue.mask)]
    queue.taken += 1
    cpu.copy_flow = entry.flow
    cpu.copy_stamp = entry.stamp
    cpu.soft_step = COPY
    return drawn(m, &m.flows[entry.flow].copy, &queue.copy_stream)


cdef void submit(Machine *m, int64_t cpu_number, CpuRow *cpu) noexcept nogil:
    """Put a packet on its queue's DMA channel; its entry is the last one taken."""
    cdef QueueRow *queue = &m.queues[cpu.queue]
    queue.channel_free = max(queue.channel_free, m.now) + drawn(
        m, &m.flows[cpu.copy_flow].channel, &queue.channel_stream
    )
    queue.channel_cpu = cpu_number
    m.entries[queue.base + ((queue.taken - 1) & queue.mask)].time = queue.channel_free
    if queue.taken - queue.done == 1:
        set_slot(m, m.slot_dma + cpu.queue, queue.channel_free)


cdef void dma_event(Machine *m, int64_t number) noexcept nogil:
    """The channel has finished its first packet; its callback runs where it was submitted."""
    cdef QueueRow *queue = &m.queues[number]
    cdef EntryRow *entry = &m.entries[queue.base + (queue.done & queue.mask)]
    cdef int64_t following = queue.done + 1
    cdef bint copying = (
        queue.running_on >= 0
        and m.cpus[queue.running_on].soft_step == COPY
    )
    if following != queue.taken - copying:
        set_slot(
            m,
            m.slot_dma + number,
            m.entries[queue.base + (following & queue.mask)].time,
        )
    deliver(m, number, entry.flow, entry.stamp, -1)
    if m.reposts:
        schedule(m, queue.channel_cpu, number, REPOST)
        m.cpus[queue.channel_cpu].raised = 1
        touch(m, queue.channel_cpu)


cdef inline void end_copy(Machine *m, int64_t cpu_number, CpuRow *cpu) noexcept nogil:
    """The CPU has done its part of a packet: it is delivered, or on the DMA channel."""
    cpu.got += 1
    if m.has_channel:
        submit(m, cpu_number, cpu)
        return
    deliver(m, cpu.queue, cpu.copy_flow, cpu.copy_stamp, cpu_number)
    if m.reposts:
        schedule(m, cpu_number, cpu.queue, REPOST)


cdef inline void end_run(Machine *m, int64_t cpu_number, CpuRow *cpu) noexcept nogil:
    """A run is over: drop RUN, and now it is known whether it was useful."""
    cdef QueueRow *queue = &m.queues[cpu.queue]
    cdef int64_t *counts = queue.counts + queue.run_cause
    queue.running_on = -1
    counts[USEFUL if cpu.got else EMPTY] += 1
    cpu.counts[PS_USEFUL if cpu.got else PS_EMPTY] += cpu.counts[PS_RUN]
    cpu.counts[PS_RUN] = 0
    log_row(m, LOG_RUN_END, cpu_number, cpu.queue, cpu.got)


cdef inline int64_t go_on(Machine *m, int64_t cpu_number, CpuRow *cpu) noexcept nogil:
    """A step of a run has ended: begin the next and return how long it takes; -1: no more."""
    cdef QueueRow *queue = &m.queues[cpu.queue]
    cdef uint64_t bit
    if cpu.soft_step == SPIN:
        return -1
    if cpu.soft_step == START or cpu.soft_step == COPY:
        if cpu.soft_step == COPY:
            end_copy(m, cpu_number, cpu)
        if cpu.got == queue.rx_max_entry:
            schedule(m, cpu_number, cpu.queue, BUDGET)
        elif queue.arrived != queue.taken:
            return begin_copy(m, cpu, cpu.queue)
        else:
            cpu.soft_step = READ
            return m.db_read_ps
    elif cpu.soft_step == READ:
        bit = <uint64_t>1 << queue.bit
        if m.db & bit:
            m.db = 0 if m.overwrite else m.db & ~bit
            cpu.soft_step = CLEAR
            return m.db_clear_ps
    else:
        schedule(m, cpu_number, cpu.queue, RACE_CHECK)
    end_run(m, cpu_number, cpu)
    return -1
