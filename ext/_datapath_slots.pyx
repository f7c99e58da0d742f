# SPDX-License-Identifier: BSD-3-Clause
"""The specialised engine: no heap. Every slot has at most one event, so a slot's key lies at a
fixed place, and above the keys the least of each eight, of each eight of these, up to eight.
"""

from libc.stdint cimport int64_t, uint64_t

from _bits cimport ffs64
from _datapath cimport *

cdef enum:
    FAN = 8  # a cache line of keys
    FAN_BITS = 3

cdef uint64_t NONE = 0xFFFFFFFFFFFFFFFFULL
cdef int64_t TIME_END = (<int64_t>1 << (64 - SLOT_BITS)) - 1


cdef inline uint64_t least(uint64_t a, uint64_t b) noexcept nogil:
    return a if a < b else b


cdef inline uint64_t least_of_eight(const uint64_t *w) noexcept nogil:
    return least(
        least(least(w[0], w[1]), least(w[2], w[3])),
        least(least(w[4], w[5]), least(w[6], w[7])),
    )


cdef inline void look_again(Machine *m, int64_t slot) noexcept nogil:
    """Find the least keys above a slot anew, up to the eight at the top."""
    cdef const uint64_t *below = m.keys
    cdef uint64_t *level = m.tree
    cdef int64_t size = m.slot_count
    cdef int64_t i = slot
    while size > FAN:
        i >>= FAN_BITS
        level[i] = least_of_eight(below + FAN * i)
        below = level
        size = padded(size >> FAN_BITS)
        level += size


cdef inline int64_t padded(int64_t size) noexcept nogil:
    return (size + FAN - 1) & ~(FAN - 1)


cdef inline void set_slot(Machine *m, int64_t slot, int64_t time) noexcept nogil:
    """Make the event of a slot pending at `time`, in place of the one it had."""
    cdef uint64_t key = (<uint64_t>min(time, TIME_END) << SLOT_BITS) | <uint64_t>slot
    cdef uint64_t *level = m.tree
    cdef int64_t size = m.slot_count
    cdef int64_t i = slot >> FAN_BITS
    cdef uint64_t old = m.keys[slot]
    m.keys[slot] = key
    if old != NONE and level[i] == old and key > old:
        look_again(m, slot)
        return
    while key < level[i]:
        level[i] = key
        size = padded(size >> FAN_BITS)
        if size == FAN:
            return
        level += size
        i >>= FAN_BITS


cdef inline void cancel_slot(Machine *m, int64_t slot) noexcept nogil:
    """Forget the event of a slot."""
    m.keys[slot] = NONE
    look_again(m, slot)


cdef inline int64_t pop_slot(Machine *m, int64_t until) noexcept nogil:
    """The slot of the first event before `until`, the new now; -1: there is none."""
    cdef uint64_t key = least_of_eight(m.root)
    cdef int64_t slot
    if <int64_t>(key >> SLOT_BITS) >= until:
        return -1
    slot = <int64_t>(key & ((1 << SLOT_BITS) - 1))
    m.keys[slot] = NONE
    look_again(m, slot)
    m.system.now = <int64_t>(key >> SLOT_BITS)
    return slot


include "_datapath_common.pxi"
include "_datapath_sender.pxi"
include "_datapath_receiver.pxi"
include "_datapath_cpus.pxi"
include "_datapath_run.pxi"
