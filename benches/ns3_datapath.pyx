# SPDX-License-Identifier: BSD-3-Clause
"""The compiled engines' model with its events in ns-3's Simulator, for benches.datapath.

The text of the model is that of ext/; only the queue differs, as between the engines. ns-3 calls
back for every event, so that pop_slot() lets it run to the end and has nothing left to give.
"""

from libc.stdint cimport int64_t, uint64_t

from _bits cimport ffs64  # no-cython-lint: the included text, elsewhere, uses it
from _datapath cimport *

cdef extern from *:
    """
    void ns3_begin(void *machine, void (*fire)(void *, int64_t), int64_t slots);
    void ns3_schedule(int64_t slot, uint64_t key);
    void ns3_cancel(int64_t slot);
    void ns3_run(uint64_t end);
    """
    void ns3_begin(void *machine, void (*fire)(void *, int64_t) noexcept nogil, int64_t slots) nogil
    void ns3_schedule(int64_t slot, uint64_t key) nogil
    void ns3_cancel(int64_t slot) nogil
    void ns3_run(uint64_t end) nogil


cdef inline void set_slot(Machine *m, int64_t slot, int64_t time) noexcept nogil:
    """Make an event pending at `time` for a slot that has none."""
    cdef uint64_t key = (<uint64_t>min(time, TIME_END) << SLOT_BITS) | <uint64_t>slot
    m.keys[slot] = key
    ns3_schedule(slot, key)


cdef inline void move_slot(Machine *m, int64_t slot, int64_t time) noexcept nogil:
    """Make the event of a slot pending at `time`, in place of the one it had, if any."""
    if m.keys[slot] != NONE:
        ns3_cancel(slot)
    set_slot(m, slot, time)


cdef inline int64_t time_of_slot(const Machine *m, int64_t slot) noexcept nogil:
    """When the pending event of a slot is due."""
    return <int64_t>(m.keys[slot] >> SLOT_BITS)


cdef inline void cancel_slot(Machine *m, int64_t slot) noexcept nogil:
    """Forget the event of a slot."""
    m.keys[slot] = NONE
    ns3_cancel(slot)


cdef void fire(void *machine, int64_t slot) noexcept nogil:
    """Handle the event of a slot, as go_until() does with one that it popped."""
    cdef Machine *m = <Machine *>machine
    cdef int64_t number
    m.now = time_of_slot(m, slot)
    m.keys[slot] = NONE
    m.events += 1
    handle(m, slot)
    while m.advance_head != m.advance_tail:
        number = m.to_advance[m.advance_head & m.advance_mask]
        m.advance_head += 1
        m.cpus[number].queued = 0
        advance(m, number)


cdef inline int64_t pop_slot(Machine *m, int64_t until) noexcept nogil:
    """Let ns-3 handle every event before `until`; none is left."""
    ns3_run(<uint64_t>until << SLOT_BITS)
    return -1


cdef void begin_events(Machine *m) noexcept nogil:
    """Schedule the pending events."""
    cdef int64_t slot
    ns3_begin(m, fire, m.slot_count)
    for slot in range(m.slot_count):
        if m.keys[slot] != NONE:
            ns3_schedule(slot, m.keys[slot])


include "_datapath_common.pxi"
include "_datapath_sender.pxi"
include "_datapath_receiver.pxi"
include "_datapath_cpus.pxi"
include "_datapath_run.pxi"
