# SPDX-License-Identifier: BSD-3-Clause
# A CPU: hardirqs above softirqs above tasks, and the loop over the events. Function by function
# ntbbench/datapath/engine/reference.py and event_loop.py, which say why.


cdef inline void resume(
    Machine *m, int64_t cpu_number, CpuRow *cpu, int64_t *left, int64_t at
) noexcept nogil:
    """Go on with a step that was interrupted."""
    cpu.since = m.now
    cpu.at = at
    set_slot(m, m.slot_cpu + cpu_number, m.now + left[0])
    left[0] = RUNNING


cdef inline bint suspend(Machine *m, int64_t cpu_number, CpuRow *cpu) noexcept nogil:
    """Note how much is left of the step that the CPU is in; False: it is in none."""
    cdef int64_t *left = &cpu.soft_left if cpu.soft_step else &cpu.task_left
    book(m, cpu)
    if left[0] != RUNNING:
        return False
    left[0] = time_of_slot(m, m.slot_cpu + cpu_number) - m.now
    return True


cdef inline void end_hardirq(Machine *m, int64_t cpu_number, CpuRow *cpu) noexcept nogil:
    """The handler has run: its tasklets are scheduled, a softirq is raised."""
    cdef int64_t calls = call_back(m, cpu_number, cpu.irq, cpu.irq_rung)
    log_row(m, LOG_IRQ_END, cpu_number, cpu.irq, calls)
    cpu.counts[PS_SPINNING] += cpu.lock_wait
    cpu.counts[PS_HARDIRQ] -= cpu.lock_wait
    cpu.irq = -1
    cpu.raised = 1


cdef inline bint begin_hardirq(Machine *m, int64_t cpu_number, CpuRow *cpu) noexcept nogil:
    """Take the lowest pending interrupt; True: its handler takes no time and has ended."""
    cdef int64_t number = ffs64(cpu.pending)
    cdef SourceRow *source = &m.sources[number]
    cdef bint interrupted = suspend(m, cpu_number, cpu)
    cdef int64_t duration
    cpu.pending &= cpu.pending - 1
    cpu.irq = number
    cpu.irq_rung = latch(m, source)
    cpu.lock_wait = wait_for_lock(m, source, m.now + m.hardirq_ps)
    log_row(m, LOG_IRQ_BEGIN, cpu_number, number, 0)
    duration = m.hardirq_ps + cpu.lock_wait + source.section_ps
    if duration == 0:
        if interrupted:
            cancel_slot(m, m.slot_cpu + cpu_number)
        end_hardirq(m, cpu_number, cpu)
        return True
    cpu.at = PS_HARDIRQ
    if interrupted:
        move_slot(m, m.slot_cpu + cpu_number, m.now + duration)
    else:
        set_slot(m, m.slot_cpu + cpu_number, m.now + duration)
    return False


cdef inline void begin_pass(Machine *m, CpuRow *cpu) noexcept nogil:
    """Take the whole list."""
    cpu.passes += 1
    cpu.taken_head = cpu.list_head
    cpu.list_head = -1
    cpu.pass_cost = m.pass_ps


cdef inline void begin_softirq(Machine *m, CpuRow *cpu) noexcept nogil:
    """Begin to work on the list: the first pass, and until when."""
    cpu.raised = 0
    cpu.passes = 0
    cpu.deadline = jiffies(m) + m.softirq_jiffies
    begin_pass(m, cpu)


cdef inline int64_t at_of_soft(const CpuRow *cpu) noexcept nogil:
    return PS_SPINNING if cpu.soft_step == SPIN else PS_RUN


cdef inline bint next_tasklet(Machine *m, int64_t cpu_number, CpuRow *cpu) noexcept nogil:
    """Begin with the next tasklet of the pass; True: its first step takes no time."""
    cdef int64_t queue_number = cpu.taken_head
    cdef int64_t duration
    cpu.taken_head = m.queues[queue_number].next
    duration = begin_run(m, cpu_number, cpu, queue_number)
    return begin_step(m, cpu_number, cpu, &cpu.soft_left, at_of_soft(cpu), duration)


cdef inline bint may_restart(Machine *m, const CpuRow *cpu) noexcept nogil:
    """Whether handle_softirqs() makes another pass."""
    return (
        jiffies(m) < cpu.deadline
        and not cpu.resched
        and not m.need_resched
        and cpu.passes < m.max_restart
    )


cdef void leave_to_ksoftirqd(Machine *m, int64_t cpu_number, CpuRow *cpu) noexcept nogil:
    cpu.counts[LEFT_TO_KSOFTIRQD] += 1
    if cpu.ksoftirqd == 0:
        cpu.ksoftirqd = 1
    log_row(m, LOG_KSOFTIRQD, cpu_number, cpu.passes, 0)


cdef inline void end_softirq(Machine *m, int64_t cpu_number, CpuRow *cpu) noexcept nogil:
    """Return from the softirq; what is still on the list is left to ksoftirqd."""
    cpu.soft_step = NOTHING
    cpu.raised = 0
    if cpu.task_step == KSOFTIRQD:
        cpu.task_step = NOTHING
        cpu.ksoftirqd = 2 if cpu.list_head >= 0 else 0
    elif cpu.list_head >= 0:
        leave_to_ksoftirqd(m, cpu_number, cpu)


cdef inline bint soft_goes_on(Machine *m, int64_t cpu_number, CpuRow *cpu) noexcept nogil:
    """Go on in the softirq; False: it is in a step that takes time."""
    cdef int64_t duration
    if cpu.soft_left == RUNNING:
        return False
    if cpu.soft_left != ENDED:
        resume(m, cpu_number, cpu, &cpu.soft_left, at_of_soft(cpu))
        return False
    duration = go_on(m, cpu_number, cpu)
    if duration >= 0:
        return begin_step(m, cpu_number, cpu, &cpu.soft_left, PS_RUN, duration)
    if cpu.taken_head >= 0:
        return next_tasklet(m, cpu_number, cpu)
    if cpu.list_head >= 0 and may_restart(m, cpu):
        begin_pass(m, cpu)
        return next_tasklet(m, cpu_number, cpu)
    end_softirq(m, cpu_number, cpu)
    return True


cdef void next_slot(Machine *m, int64_t cpu_number, CpuRow *cpu, int64_t first) noexcept nogil:
    """Report the next set slot from `first` on; behind the last, arm the next poll."""
    cdef Machine *s = m
    cdef uint64_t slots = s.polled >> first << first if first < 64 else 0
    cdef int64_t number
    if not slots:
        set_slot(m, SLOT_POLL, jiffies_later(m, s.poll_jiffies))
        return
    number = ffs64(slots)
    cpu.poll_source = number
    cpu.irq_rung = latch(m, &m.sources[number])
    wait_for_lock(m, &m.sources[number], s.now)
    cpu.task_step = POLL_SLOT
    log_row(m, LOG_POLL_BEGIN, cpu_number, number, 0)
    begin_step(
        m,
        cpu_number,
        cpu,
        &cpu.task_left,
        PS_KTHREAD,
        m.sources[number].section_ps + s.slot_ps,
    )


cdef void end_slot(Machine *m, int64_t cpu_number, CpuRow *cpu) noexcept nogil:
    """Its event is done: clear the slot, whatever was rung meanwhile, and look at the next."""
    cdef int64_t number = cpu.poll_source
    cdef uint64_t wiped
    cdef int64_t count = 0
    call_back(m, cpu_number, number, cpu.irq_rung)
    wiped = m.sources[number].rung
    m.sources[number].rung = 0
    while wiped:
        m.queues[ffs64(wiped)].counts[WIPED] += 1
        count += 1
        wiped &= wiped - 1
    m.polled &= ~(<uint64_t>1 << number)
    log_row(m, LOG_POLL_END, cpu_number, number, count)
    if cpu.list_head >= 0 and cpu.ksoftirqd == 0:
        cpu.passes = 0
        leave_to_ksoftirqd(m, cpu_number, cpu)
    next_slot(m, cpu_number, cpu, number + 1)


cdef inline void end_task_step(Machine *m, int64_t cpu_number, CpuRow *cpu) noexcept nogil:
    """A step of a task has ended: do what it was for."""
    cdef int64_t step = cpu.task_step
    cpu.task_step = NOTHING
    if step == SEND:
        end_send(m, cpu_number, cpu)
    elif step == KSOFTIRQD_WAKE:
        if cpu.list_head >= 0:
            cpu.task_step = KSOFTIRQD
            begin_softirq(m, cpu)
            next_tasklet(m, cpu_number, cpu)
        else:
            cpu.ksoftirqd = 0
    elif step == POLL_WAKE:
        next_slot(m, cpu_number, cpu, 0)
    elif step == POLL_SLOT:
        end_slot(m, cpu_number, cpu)


cdef inline bint begin_task(
    Machine *m, int64_t cpu_number, CpuRow *cpu, int64_t kind
) noexcept nogil:
    """Begin a step of the poll's kworker (0), of ksoftirqd (1) or of a flow (2), if it has one."""
    cdef int64_t number
    if kind == 0:
        if cpu.poll:
            cpu.poll = 0
            cpu.task_step = POLL_WAKE
            begin_step(m, cpu_number, cpu, &cpu.task_left, PS_KTHREAD, m.wakeup_ps)
            return True
    elif kind == 1:
        if cpu.ksoftirqd:
            cpu.task_step = KSOFTIRQD_WAKE
            number = m.wakeup_ps if cpu.ksoftirqd == 1 else 0
            cpu.ksoftirqd = 2
            begin_step(m, cpu_number, cpu, &cpu.task_left, PS_KTHREAD, number)
            return True
    else:
        while cpu.ready_head >= 0:
            number = cpu.ready_head
            cpu.ready_head = m.flows[number].next
            if try_send(m, cpu_number, number):
                return True
    return False


cdef inline bint task_goes_on(Machine *m, int64_t cpu_number, CpuRow *cpu) noexcept nogil:
    """Go on with the task or choose one; False: it is in a step that takes time, or idle."""
    cdef int64_t i, kind
    cpu.raised = 0
    if cpu.task_step != NOTHING:
        if cpu.task_left == RUNNING:
            return False
        if cpu.task_left != ENDED:
            resume(
                m,
                cpu_number,
                cpu,
                &cpu.task_left,
                PS_SENDER if cpu.task_step == SEND else PS_KTHREAD,
            )
            return False
        end_task_step(m, cpu_number, cpu)
        return True
    cpu.resched = 0
    kind = cpu.turn
    for i in range(3):
        if begin_task(m, cpu_number, cpu, kind):
            cpu.turn = kind + 1 if kind < 2 else 0
            return True
        kind = kind + 1 if kind < 2 else 0
    book(m, cpu)
    cpu.at = PS_IDLE
    return False


cdef inline void advance(Machine *m, int64_t cpu_number) noexcept nogil:
    """Let a CPU do what takes no time, up to its next step; nothing if it is in one."""
    cdef CpuRow *cpu = &m.cpus[cpu_number]
    while cpu.irq < 0:
        if cpu.pending and cpu.task_step != POLL_SLOT:
            if not begin_hardirq(m, cpu_number, cpu):
                return
        elif cpu.soft_step != NOTHING:
            if not soft_goes_on(m, cpu_number, cpu):
                return
        elif cpu.raised and cpu.list_head >= 0 and cpu.task_step != POLL_SLOT:
            if suspend(m, cpu_number, cpu):
                cancel_slot(m, m.slot_cpu + cpu_number)
            begin_softirq(m, cpu)
            if not next_tasklet(m, cpu_number, cpu):
                return
        elif not task_goes_on(m, cpu_number, cpu):
            return


cdef inline void cpu_event(Machine *m, int64_t cpu_number) noexcept nogil:
    """The step of a CPU has ended."""
    cdef CpuRow *cpu = &m.cpus[cpu_number]
    book(m, cpu)
    if cpu.irq >= 0:
        end_hardirq(m, cpu_number, cpu)
    elif cpu.soft_step != NOTHING:
        cpu.soft_left = ENDED
    else:
        cpu.task_left = ENDED
    advance(m, cpu_number)


cdef inline void handle(Machine *m, int64_t slot) noexcept nogil:
    """Handle the event of a slot."""
    cdef Machine *s = m
    if slot >= s.slot_cpu:
        cpu_event(m, slot - s.slot_cpu)
    elif slot >= s.slot_flow:
        flow_event(m, slot - s.slot_flow)
    elif slot >= s.slot_dma:
        dma_event(m, slot - s.slot_dma)
    elif slot >= s.slot_link:
        link_event(m, slot - s.slot_link)
    elif slot >= s.slot_timer:
        timer_event(m, slot - s.slot_timer)
    elif slot == SLOT_WORK:
        work_event(m)
    else:
        m.cpus[s.poll_cpu].poll = 1
        touch(m, s.poll_cpu)


cdef void go_until(Machine *m, int64_t until) noexcept nogil:
    """Handle every event before `until`, then book all CPU time up to there."""
    cdef Machine *s = m
    cdef int64_t slot, number
    while True:
        slot = pop_slot(m, until)
        if slot < 0:
            break
        s.events += 1
        handle(m, slot)
        while s.advance_head != s.advance_tail:
            number = m.to_advance[s.advance_head & m.advance_mask]
            s.advance_head += 1
            m.cpus[number].queued = 0
            advance(m, number)
    s.now = until


cdef void settle(Machine *m, int64_t cpu_count) noexcept nogil:
    """Book all CPU time up to now."""
    cdef int64_t number, waited
    cdef CpuRow *cpu
    for number in range(cpu_count):
        cpu = &m.cpus[number]
        if cpu.irq >= 0:
            waited = min(cpu.lock_wait, m.now - cpu.since)
            cpu.lock_wait -= waited
            cpu.counts[PS_SPINNING] += waited
            cpu.counts[PS_HARDIRQ] -= waited
        book(m, cpu)
        cpu.counts[PS_USEFUL if cpu.got else PS_EMPTY] += cpu.counts[PS_RUN]
        cpu.counts[PS_RUN] = 0
