# SPDX-License-Identifier: BSD-3-Clause
"""The general engine: a heap of keys with four children a node, and for each slot its place in it,
so that an event that is moved or cancelled leaves nothing behind.
"""

from libc.stdint cimport int64_t, uint64_t

from _bits cimport ffs64
from _datapath cimport *

cdef enum:
    FAN = 4
    FAN_BITS = 2


cdef inline int64_t slot_of(uint64_t key) noexcept nogil:
    return <int64_t>(key & ((1 << SLOT_BITS) - 1))


cdef inline void put(Machine *m, int64_t place, uint64_t key) noexcept nogil:
    m.tree[place] = key
    m.places[slot_of(key)] = place


cdef inline void rise(Machine *m, int64_t place, uint64_t key) noexcept nogil:
    """Put a key at `place` or above it."""
    cdef int64_t parent
    while place:
        parent = (place - 1) >> FAN_BITS
        if m.tree[parent] < key:
            break
        put(m, place, m.tree[parent])
        place = parent
    put(m, place, key)


cdef inline void sink(Machine *m, int64_t place, uint64_t key) noexcept nogil:
    """Put a key at `place` or below it."""
    cdef int64_t child, least, end
    while True:
        child = (place << FAN_BITS) + 1
        if child >= m.heap_size:
            break
        end = min(child + FAN, m.heap_size)
        least = child
        child += 1
        while child < end:
            if m.tree[child] < m.tree[least]:
                least = child
            child += 1
        if key < m.tree[least]:
            break
        put(m, place, m.tree[least])
        place = least
    put(m, place, key)


cdef inline void remove(Machine *m, int64_t place) noexcept nogil:
    """Take a key out of the heap."""
    cdef uint64_t last
    m.places[slot_of(m.tree[place])] = -1
    m.heap_size -= 1
    if place == m.heap_size:
        return
    last = m.tree[m.heap_size]
    if place and last < m.tree[(place - 1) >> FAN_BITS]:
        rise(m, place, last)
    else:
        sink(m, place, last)


cdef inline void set_slot(Machine *m, int64_t slot, int64_t time) noexcept nogil:
    """Make an event pending at `time` for a slot that has none."""
    cdef uint64_t key = (<uint64_t>min(time, TIME_END) << SLOT_BITS) | <uint64_t>slot
    m.keys[slot] = key
    m.heap_size += 1
    rise(m, m.heap_size - 1, key)


cdef inline void move_slot(Machine *m, int64_t slot, int64_t time) noexcept nogil:
    """Make the event of a slot pending at `time`, in place of the one it had, if any."""
    if m.places[slot] >= 0:
        remove(m, m.places[slot])
    set_slot(m, slot, time)


cdef inline int64_t time_of_slot(const Machine *m, int64_t slot) noexcept nogil:
    """When the pending event of a slot is due."""
    return <int64_t>(m.keys[slot] >> SLOT_BITS)


cdef inline void cancel_slot(Machine *m, int64_t slot) noexcept nogil:
    """Forget the event of a slot."""
    m.keys[slot] = NONE
    remove(m, m.places[slot])


cdef inline int64_t pop_slot(Machine *m, int64_t until) noexcept nogil:
    """The slot of the first event before `until`, the new now; -1: there is none."""
    cdef uint64_t key = m.tree[0]
    if m.heap_size == 0 or <int64_t>(key >> SLOT_BITS) >= until:
        return -1
    remove(m, 0)
    m.keys[slot_of(key)] = NONE
    m.now = <int64_t>(key >> SLOT_BITS)
    return slot_of(key)


cdef void begin_events(Machine *m) noexcept nogil:
    """Count the pending events, which the caller has put in order."""
    cdef int64_t slot
    m.heap_size = 0
    for slot in range(m.slot_count):
        m.heap_size += m.places[slot] >= 0


include "_datapath_common.pxi"
include "_datapath_sender.pxi"
include "_datapath_receiver.pxi"
include "_datapath_cpus.pxi"
include "_datapath_run.pxi"
