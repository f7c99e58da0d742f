# SPDX-License-Identifier: BSD-3-Clause
# What every part of the model needs: draws, jiffies, the log, the list of CPUs to advance. Included
# behind set_slot(), cancel_slot() and pop_slot() of an engine.


cdef inline uint64_t mix(uint64_t word) noexcept nogil:
    """The finalizer of splitmix64."""
    word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9ULL
    word = (word ^ (word >> 27)) * 0x94D049BB133111EBULL
    return word ^ (word >> 31)


cdef inline int64_t minus_log(const int64_t *table, uint64_t word) noexcept nogil:
    """-ln(word / 2**64) with 26 binary places; of 0 that of 1."""
    cdef int exponent
    cdef uint64_t mantissa
    cdef int64_t entry, fraction, between
    word += word == 0
    exponent = bit_length(word)
    mantissa = (word << (64 - exponent)) & 0x7FFFFFFFFFFFFFFFULL
    entry = <int64_t>(mantissa >> 53)
    fraction = <int64_t>(mantissa >> 37) & 0xFFFF
    between = ((table[entry + 1] - table[entry]) * fraction) >> 16
    return (65 - exponent) * table[1024] - table[entry] - between


cdef int64_t draw(const Machine *m, const Duration *d, uint64_t *stream) noexcept nogil:
    """A varying duration: products of 52 and 32 bits in two halves, so that nothing is lost."""
    cdef uint64_t word, factor
    stream[0] += 0x9E3779B97F4A7C15ULL
    word = mix(stream[0])
    if d.kind == 1:
        factor = <uint64_t>minus_log(m.log_table, word)
        return ((d.mean >> 26) * factor) + (((d.mean & 0x3FFFFFF) * factor) >> 26)
    factor = word >> 32
    return d.low + ((d.width >> 32) * factor) + (((d.width & 0xFFFFFFFFLL) * factor) >> 32)


cdef inline int64_t drawn(const Machine *m, const Duration *d, uint64_t *stream) noexcept nogil:
    return d.mean if d.kind == 0 else draw(m, d, stream)


cdef inline int64_t jiffies(Machine *m) noexcept nogil:
    """The number of the jiffy that now is in; divides only where another has begun."""
    cdef Machine *s = m
    if s.now - s.jiffy_begin >= s.jiffy_ps:
        s.jiffies = s.now // s.jiffy_ps
        s.jiffy_begin = s.jiffies * s.jiffy_ps
    return s.jiffies


cdef inline int64_t jiffies_later(Machine *m, int64_t count) noexcept nogil:
    """When a timer armed now expires: the timer wheel rounds up by one."""
    return (jiffies(m) + count + 1) * m.jiffy_ps


cdef void write_row(
    Machine *m, int64_t happening, int64_t cpu, int64_t index, int64_t value
) noexcept nogil:
    cdef int64_t *row = m.log_rows + LOG_WORDS * m.log_count
    row[0] = m.now
    row[1] = happening
    row[2] = cpu
    row[3] = index
    row[4] = value
    m.log_count += 1


cdef inline void log_row(
    Machine *m, int64_t happening, int64_t cpu, int64_t index, int64_t value
) noexcept nogil:
    """Add a row to the event log while there is room; mostly there is none at all."""
    if unlikely(m.log_count < m.log_capacity):
        write_row(m, happening, cpu, index, value)


cdef inline void touch(Machine *m, int64_t cpu) noexcept nogil:
    """Let a CPU look, once this event has been handled, at what it has to do."""
    if not m.cpus[cpu].queued:
        m.cpus[cpu].queued = 1
        m.to_advance[m.advance_tail & m.advance_mask] = cpu
        m.advance_tail += 1


cdef inline void book(const Machine *m, CpuRow *cpu) noexcept nogil:
    """Book the time since the last booking on what the CPU is at."""
    cpu.counts[cpu.at] += m.now - cpu.since
    cpu.since = m.now


cdef inline bint begin_step(
    Machine *m, int64_t cpu_number, CpuRow *cpu, int64_t *left, int64_t at, int64_t duration
) noexcept nogil:
    """Let a step take its time; True: it takes none and has ended."""
    cpu.since = m.now
    cpu.at = at
    if duration == 0:
        left[0] = ENDED
        return True
    left[0] = RUNNING
    set_slot(m, m.slot_cpu + cpu_number, m.now + duration)
    return False
