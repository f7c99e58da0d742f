# SPDX-License-Identifier: BSD-3-Clause
"""The specialised engine: no heap. Every slot has at most one event, so a slot's key lies at a
fixed place. Above the keys lie the least of each four, above these the least of each eight, and so
on up to eight.
"""

from libc.stdint cimport int64_t, uint64_t

from _bits cimport ffs64
from _datapath cimport *

cdef extern from *:
    """
    /* Row i: all ones at place i, else 0. */
    static const uint64_t ntb_but_one[8][8] = {
        {-1ULL}, {0, -1ULL}, {0, 0, -1ULL}, {0, 0, 0, -1ULL}, {0, 0, 0, 0, -1ULL},
        {0, 0, 0, 0, 0, -1ULL}, {0, 0, 0, 0, 0, 0, -1ULL}, {0, 0, 0, 0, 0, 0, 0, -1ULL},
    };
    """
    const uint64_t but_one "ntb_but_one"[8][8]

cdef enum:
    FOUR_BITS = 2
    FAN = 8
    FAN_BITS = 3

cdef uint64_t NONE = 0xFFFFFFFFFFFFFFFFULL
cdef int64_t TIME_END = (<int64_t>1 << (64 - SLOT_BITS)) - 1


cdef inline uint64_t least(uint64_t a, uint64_t b) noexcept nogil:
    return a if a < b else b


cdef inline uint64_t least_of_four(const uint64_t *w) noexcept nogil:
    return least(least(w[0], w[1]), least(w[2], w[3]))


cdef inline uint64_t least_of_eight(const uint64_t *w) noexcept nogil:
    return least(least_of_four(w), least_of_four(w + 4))


cdef inline uint64_t least_but_one(const uint64_t *w, int64_t place) noexcept nogil:
    """The least of four words but that at `place`."""
    cdef const uint64_t *but = but_one[place]
    return least(least(w[0] | but[0], w[1] | but[1]), least(w[2] | but[2], w[3] | but[3]))


cdef inline uint64_t least_but_one_of_eight(const uint64_t *w, int64_t place) noexcept nogil:
    cdef const uint64_t *but = but_one[place]
    return least(
        least(least(w[0] | but[0], w[1] | but[1]), least(w[2] | but[2], w[3] | but[3])),
        least(least(w[4] | but[4], w[5] | but[5]), least(w[6] | but[6], w[7] | but[7])),
    )


cdef inline int64_t padded(int64_t size) noexcept nogil:
    return (size + FAN - 1) & ~(FAN - 1)


cdef void look_above(Machine *m, int64_t i) noexcept nogil:
    """Find the least keys above place `i` of the first level anew."""
    cdef uint64_t *below = m.tree
    cdef int64_t size = padded(m.slot_count >> FOUR_BITS)
    while size > FAN:
        i >>= FAN_BITS
        (below + size)[i] = least_of_eight(below + FAN * i)
        below += size
        size = padded(size >> FAN_BITS)


cdef inline void look_again(Machine *m, int64_t slot) noexcept nogil:
    """Find the least keys above a slot anew, up to the first of all.

    Its place in the first level is empty until its own four have been looked at, so that they and
    the eight at the top are looked at side by side.
    """
    cdef int64_t i = slot >> FOUR_BITS
    cdef uint64_t fresh, above
    if m.root == m.tree:
        m.tree[i] = NONE
        fresh = least_of_four(m.keys + (i << FOUR_BITS))
        above = least_of_eight(m.root)
        m.tree[i] = fresh
        m.first = least(fresh, above)
        return
    m.tree[i] = least_of_four(m.keys + (i << FOUR_BITS))
    look_above(m, i)
    m.first = least_of_eight(m.root)


cdef void rise(Machine *m, int64_t i, uint64_t key) noexcept nogil:
    """Let a key that is now the least of its four be so as far up as it is."""
    cdef uint64_t *level = m.tree
    cdef int64_t size = padded(m.slot_count >> FOUR_BITS)
    while size > FAN:
        level += size
        size = padded(size >> FAN_BITS)
        i >>= FAN_BITS
        if key >= level[i]:
            return
        level[i] = key


cdef inline uint64_t key_of(int64_t time, int64_t slot) noexcept nogil:
    return (<uint64_t>min(time, TIME_END) << SLOT_BITS) + <uint64_t>slot


cdef inline void set_slot(Machine *m, int64_t slot, int64_t time) noexcept nogil:
    """Make an event pending at `time` for a slot that has none."""
    cdef uint64_t key = key_of(time, slot)
    cdef int64_t i = slot >> FOUR_BITS
    m.keys[slot] = key
    m.first = least(key, m.first)
    if m.root == m.tree:
        m.tree[i] = least(key, m.tree[i])
    elif key < m.tree[i]:
        m.tree[i] = key
        rise(m, i, key)


cdef inline void move_slot(Machine *m, int64_t slot, int64_t time) noexcept nogil:
    """Make the event of a slot pending at `time`, in place of the one it had, if any."""
    m.keys[slot] = key_of(time, slot)
    look_again(m, slot)


cdef inline void cancel_slot(Machine *m, int64_t slot) noexcept nogil:
    """Forget the event of a slot."""
    m.keys[slot] = NONE
    look_again(m, slot)


cdef inline int64_t time_of_slot(const Machine *m, int64_t slot) noexcept nogil:
    """When the pending event of a slot is due."""
    return <int64_t>(m.keys[slot] >> SLOT_BITS)


cdef inline int64_t pop_slot(Machine *m, int64_t until) noexcept nogil:
    """The slot of the first event before `until`, the new now; -1: there is none.

    The least of the other keys is found at once, beside what the event does, and set_slot() keeps
    it up to date: when the next event is asked for, it is known.
    """
    cdef uint64_t key = m.first
    cdef int64_t time = <int64_t>(key >> SLOT_BITS)
    cdef int64_t slot = <int64_t>(key & ((1 << SLOT_BITS) - 1))
    cdef int64_t i
    cdef uint64_t fresh, above
    if time >= until:
        return -1
    m.now = time
    i = slot >> FOUR_BITS
    if m.root == m.tree:
        fresh = least_but_one(m.keys + (i << FOUR_BITS), slot & 3)
        above = least_but_one_of_eight(m.root, i)
        m.keys[slot] = NONE
        m.tree[i] = fresh
        m.first = least(fresh, above)
        return slot
    cancel_slot(m, slot)
    return slot


cdef void begin_events(Machine *m) noexcept nogil:
    """Find the first event."""
    m.first = least_of_eight(m.root)


include "_datapath_common.pxi"
include "_datapath_sender.pxi"
include "_datapath_receiver.pxi"
include "_datapath_cpus.pxi"
include "_datapath_run.pxi"
