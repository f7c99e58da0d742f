# SPDX-License-Identifier: BSD-3-Clause
"""The specialised engine: no heap. Every slot has at most one event, so a slot's key lies at a
fixed place, and above the keys the least of each eight, of each eight of these, up to eight.

A key is a number below 2**63 whose bits are kept as those of a double: positive doubles are in the
order of their bits, and for them every processor has a minimum in one instruction, for 64-bit
integers only some. BIAS keeps them normal numbers; none is as large as infinity or not a number.
"""

from libc.stdint cimport int64_t, uint64_t

from _bits cimport ffs64
from _datapath cimport *

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>

    static inline double ntb_as_double(uint64_t word)
    {
        double number;

        memcpy(&number, &word, sizeof(number));
        return number;
    }

    static inline uint64_t ntb_as_word(double number)
    {
        uint64_t word;

        memcpy(&word, &number, sizeof(word));
        return word;
    }

    static inline double ntb_least(double a, double b)
    {
        return a < b ? a : b;
    }
    """
    double as_double "ntb_as_double"(uint64_t word) noexcept nogil
    uint64_t as_word "ntb_as_word"(double number) noexcept nogil
    double least "ntb_least"(double a, double b) noexcept nogil

cdef enum:
    FAN = 8  # a cache line of keys
    FAN_BITS = 3

cdef uint64_t BIAS = <uint64_t>1 << 52
cdef uint64_t NONE = 0x7FEFFFFFFFFFFFFFULL
cdef int64_t TIME_END = (<int64_t>1 << 52) - (<int64_t>1 << 42) - 2


cdef inline double least_of_eight(const double *w) noexcept nogil:
    return least(
        least(least(w[0], w[1]), least(w[2], w[3])),
        least(least(w[4], w[5]), least(w[6], w[7])),
    )


cdef inline int64_t padded(int64_t size) noexcept nogil:
    return (size + FAN - 1) & ~(FAN - 1)


cdef void look_above(Machine *m, int64_t i) noexcept nogil:
    """Find the least keys above place `i` of the first level anew."""
    cdef double *below = <double *>m.tree
    cdef int64_t size = padded(m.slot_count >> FAN_BITS)
    while size > FAN:
        i >>= FAN_BITS
        (below + size)[i] = least_of_eight(below + FAN * i)
        below += size
        size = padded(size >> FAN_BITS)


cdef inline void look_again(Machine *m, int64_t slot) noexcept nogil:
    """Find the least keys above a slot anew, up to the eight at the top."""
    cdef int64_t i = slot >> FAN_BITS
    (<double *>m.tree)[i] = least_of_eight(<double *>m.keys + FAN * i)
    if m.root != m.tree:
        look_above(m, i)


cdef void rise(Machine *m, int64_t i, double key) noexcept nogil:
    """Let a key that is now the least of its eight be so as far up as it is."""
    cdef double *level = <double *>m.tree
    cdef int64_t size = padded(m.slot_count >> FAN_BITS)
    while size > FAN:
        level += size
        size = padded(size >> FAN_BITS)
        i >>= FAN_BITS
        if not key < level[i]:
            return
        level[i] = key


cdef inline double key_of(int64_t time, int64_t slot) noexcept nogil:
    cdef uint64_t bits = <uint64_t>min(time, TIME_END) << SLOT_BITS
    return as_double(bits + BIAS + <uint64_t>slot)


cdef inline void set_slot(Machine *m, int64_t slot, int64_t time) noexcept nogil:
    """Make an event pending at `time` for a slot that has none."""
    cdef double key = key_of(time, slot)
    cdef int64_t i = slot >> FAN_BITS
    (<double *>m.keys)[slot] = key
    if key < (<double *>m.tree)[i]:
        (<double *>m.tree)[i] = key
        if m.root != m.tree:
            rise(m, i, key)


cdef inline void move_slot(Machine *m, int64_t slot, int64_t time) noexcept nogil:
    """Make the event of a slot pending at `time`, in place of the one it had, if any."""
    (<double *>m.keys)[slot] = key_of(time, slot)
    look_again(m, slot)


cdef inline void cancel_slot(Machine *m, int64_t slot) noexcept nogil:
    """Forget the event of a slot."""
    m.keys[slot] = NONE
    look_again(m, slot)


cdef inline int64_t time_of_slot(const Machine *m, int64_t slot) noexcept nogil:
    """When the pending event of a slot is due."""
    return <int64_t>((m.keys[slot] - BIAS) >> SLOT_BITS)


cdef inline int64_t pop_slot(Machine *m, int64_t until) noexcept nogil:
    """The slot of the first event before `until`, the new now; -1: there is none."""
    cdef uint64_t key = as_word(least_of_eight(<double *>m.root)) - BIAS
    cdef int64_t time = <int64_t>(key >> SLOT_BITS)
    cdef int64_t slot = <int64_t>(key & ((1 << SLOT_BITS) - 1))
    if time >= until:
        return -1
    m.keys[slot] = NONE
    look_again(m, slot)
    m.now = time
    return slot


include "_datapath_common.pxi"
include "_datapath_sender.pxi"
include "_datapath_receiver.pxi"
include "_datapath_cpus.pxi"
include "_datapath_run.pxi"
