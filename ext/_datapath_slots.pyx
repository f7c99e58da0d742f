# SPDX-License-Identifier: BSD-3-Clause
"""The specialised engine: no heap. Every slot has at most one event, so its key also lies at a
fixed place. Of few slots the pending keys are a sorted list, the first event at its end. Of many,
above the keys lie the least of each four, above these the least of each eight, and so on up to
eight.
"""

from libc.stdint cimport int64_t, uint64_t

from _bits cimport ffs64
from _datapath cimport *

cdef enum:
    LIST_SLOTS = 128  # up to which the pending keys are a list: with many more pending it is slower
    GUARDS = 4  # words of NONE in front of it
    FOUR_BITS = 2
    FAN = 8
    FAN_BITS = 3


cdef inline uint64_t least(uint64_t a, uint64_t b) noexcept nogil:
    return a if a < b else b


cdef inline uint64_t least_of_four(const uint64_t *w) noexcept nogil:
    return least(least(w[0], w[1]), least(w[2], w[3]))


cdef inline uint64_t least_of_eight(const uint64_t *w) noexcept nogil:
    return least(least_of_four(w), least_of_four(w + 4))


cdef inline uint64_t carry(uint64_t *w, uint64_t key) noexcept nogil:
    """Put the lesser of w[0] and a key into w[1]; return the greater, for w[0]."""
    cdef uint64_t other = w[0]
    cdef bint later = key > other
    w[1] = other if later else key
    return key if later else other


cdef inline void insert(Machine *m, uint64_t key) noexcept nogil:
    """Put a key into the list.

    Which key it is the next of cannot be predicted where many are pending, so the list is searched
    in steps of four keys: one branch, and three exchanges without.
    """
    cdef uint64_t *w = m.root
    m.root += 1
    while key > w[0]:
        w[1] = w[0]
        key = carry(w - 3, carry(w - 2, carry(w - 1, key)))
        w -= 4
    w[1] = key


cdef inline void take_out(Machine *m, uint64_t key) noexcept nogil:
    """Take a key out of the list."""
    cdef uint64_t *w = m.root
    cdef uint64_t carried = w[0]
    cdef uint64_t other
    m.root -= 1
    while carried != key:
        w -= 1
        other = w[0]
        w[0] = carried
        carried = other


cdef inline void replace(Machine *m, uint64_t old, uint64_t key) noexcept nogil:
    """Put a key into the list in place of another: at once where it is the earlier one, as that of
    an interrupt is mostly."""
    cdef uint64_t *w = m.root
    cdef uint64_t other
    if key > old:
        take_out(m, old)
        insert(m, key)
        return
    while True:
        other = w[0]
        w[0] = least(other, key)
        if other == old:
            return
        key = other if key < other else key
        w -= 1


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


cdef void look_again(Machine *m, int64_t slot) noexcept nogil:
    """Find the least keys above a slot anew, up to the first of all."""
    cdef int64_t i = slot >> FOUR_BITS
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


cdef inline bint has_list(const Machine *m) noexcept nogil:
    return m.slot_count <= LIST_SLOTS


cdef inline void set_slot(Machine *m, int64_t slot, int64_t time) noexcept nogil:
    """Make an event pending at `time` for a slot that has none."""
    cdef uint64_t key = key_of(time, slot)
    cdef int64_t i = slot >> FOUR_BITS
    m.keys[slot] = key
    if has_list(m):
        insert(m, key)
        return
    m.first = least(key, m.first)
    if key < m.tree[i]:
        m.tree[i] = key
        rise(m, i, key)


cdef inline void move_slot(Machine *m, int64_t slot, int64_t time) noexcept nogil:
    """Make the event of a slot pending at `time`, in place of the one it had, if any."""
    cdef uint64_t old = m.keys[slot]
    if old == NONE:
        set_slot(m, slot, time)
        return
    m.keys[slot] = key_of(time, slot)
    if has_list(m):
        replace(m, old, m.keys[slot])
    else:
        look_again(m, slot)


cdef inline void cancel_slot(Machine *m, int64_t slot) noexcept nogil:
    """Forget the event of a slot."""
    if has_list(m):
        take_out(m, m.keys[slot])
    m.keys[slot] = NONE
    if not has_list(m):
        look_again(m, slot)


cdef inline int64_t time_of_slot(const Machine *m, int64_t slot) noexcept nogil:
    """When the pending event of a slot is due."""
    return <int64_t>(m.keys[slot] >> SLOT_BITS)


cdef inline int64_t pop_slot(Machine *m, int64_t until) noexcept nogil:
    """The slot of the first event before `until`, the new now; -1: there is none."""
    cdef uint64_t key = m.root[0] if has_list(m) else m.first
    cdef int64_t time = <int64_t>(key >> SLOT_BITS)
    cdef int64_t slot = <int64_t>(key & ((1 << SLOT_BITS) - 1))
    if time >= until:
        return -1
    m.now = time
    m.keys[slot] = NONE
    if has_list(m):
        m.root -= 1
    else:
        look_again(m, slot)
    return slot


cdef void begin_events(Machine *m) noexcept nogil:
    """Find the end of the list, which the caller has put in order, or the first event."""
    cdef int64_t slot
    if not has_list(m):
        m.first = least_of_eight(m.root)
        return
    m.root = m.tree + GUARDS - 1
    for slot in range(m.slot_count):
        m.root += m.keys[slot] != NONE


include "_datapath_common.pxi"
include "_datapath_sender.pxi"
include "_datapath_receiver.pxi"
include "_datapath_cpus.pxi"
include "_datapath_run.pxi"
