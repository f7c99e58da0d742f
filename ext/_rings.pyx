# SPDX-License-Identifier: BSD-3-Clause
"""The rings of a sender: queues drawn, and bursts of rings coalesced to interrupts."""

from _bits cimport VECTOR_COUNT_MAX, uint8_t, uint64_t

cdef extern from *:
    """
    /* PCG64DXSM, as numpy/random/src/pcg64/pcg64.h has it: an output of the state, then a step. */
    #define NTB_PCG_MULTIPLIER 0xda942042e4dd58b5ULL

    static inline uint64_t ntb_pcg_output(uint64_t high, uint64_t low)
    {
        high ^= high >> 32;
        high *= NTB_PCG_MULTIPLIER;
        high ^= high >> 48;
        return high * (low | 1);
    }

    #if defined(__SIZEOF_INT128__) && defined(NDEBUG) /* the checked build tests the other one */
    typedef unsigned __int128 ntb_u128;

    static inline ntb_u128 ntb_word128(uint64_t high, uint64_t low)
    {
        return (ntb_u128)high << 64 | low;
    }

    static inline uint64_t ntb_pcg_next(ntb_u128 *state, ntb_u128 increment)
    {
        uint64_t word = ntb_pcg_output((uint64_t)(*state >> 64), (uint64_t)*state);

        *state = *state * NTB_PCG_MULTIPLIER + increment;
        return word;
    }
    #else
    typedef struct {
        uint64_t high, low;
    } ntb_u128;

    static inline ntb_u128 ntb_word128(uint64_t high, uint64_t low)
    {
        return (ntb_u128){ high, low };
    }

    static inline uint64_t ntb_pcg_next(ntb_u128 *state, ntb_u128 increment)
    {
        const uint64_t m = NTB_PCG_MULTIPLIER, half = 0xFFFFFFFF, low = state->low;
        uint64_t word = ntb_pcg_output(state->high, low);
        uint64_t lowest = (low & half) * (m & half);
        uint64_t cross = (low >> 32) * (m & half) + (lowest >> 32);
        uint64_t other = (low & half) * (m >> 32) + (cross & half);
        uint64_t carried = (low >> 32) * (m >> 32) + (cross >> 32) + (other >> 32);

        state->low = low * m + increment.low;
        carried += state->low < increment.low;
        state->high = state->high * m + carried + increment.high;
        return word;
    }
    #endif
    """
    ctypedef struct Word128 "ntb_u128":
        pass
    Word128 word128 "ntb_word128"(uint64_t high, uint64_t low) noexcept nogil
    uint64_t pcg_next "ntb_pcg_next"(Word128 *state, Word128 increment) noexcept nogil

cdef enum:
    BYTES = 256  # whatever the byte of a queue is, tables have a word for it
    GUIDE_BITS = 12


cdef inline unsigned int queue_of(
    uint64_t word, const uint64_t[::1] limits, const uint8_t[::1] guide
) noexcept nogil:
    cdef unsigned int queue = guide[word >> (64 - GUIDE_BITS)]
    while limits[queue] < word:  # no word is above the last limit
        queue += 1
    return queue


cdef int fill(
    const uint64_t[::1] generator,
    const uint64_t[::1] limits,
    const uint8_t[::1] guide,
    uint8_t[::1] queues,
) except -1 nogil:
    # Two halves at a time: each step of one waits for the multiplication of its step before.
    cdef Word128 first = word128(generator[0], generator[1])
    cdef Word128 second = word128(generator[2], generator[3])
    cdef Word128 increment = word128(generator[4], generator[5])
    cdef Py_ssize_t half = queues.shape[0] // 2
    cdef Py_ssize_t i
    for i in range(half):
        queues[i] = queue_of(pcg_next(&first, increment), limits, guide)
        queues[half + i] = queue_of(pcg_next(&second, increment), limits, guide)
    if queues.shape[0] & 1:
        queues[2 * half] = queue_of(pcg_next(&second, increment), limits, guide)
    return 0


def draw(
    const uint64_t[::1] generator,
    const uint64_t[::1] limits,
    const uint8_t[::1] guide,
    uint8_t[::1] queues,
):
    if generator.shape[0] != 6:
        raise ValueError(f"generator: {generator.shape[0]} words: allowed 6")
    if limits.shape[0] != BYTES or ~limits[BYTES - 1]:
        raise ValueError(f"limits: {limits.shape[0]} words: allowed {BYTES}, the last all ones")
    if guide.shape[0] != 1 << GUIDE_BITS:
        raise ValueError(f"guide: {guide.shape[0]} buckets: allowed {1 << GUIDE_BITS}")
    with nogil:
        fill(generator, limits, guide, queues)


cdef int pend(
    const uint8_t[::1] queues,
    Py_ssize_t burst,
    const uint8_t[::1] sources,
    const uint64_t[::1] bits,
    const uint64_t[::1] masks,
    Py_ssize_t wanted,
    uint8_t[::1] vectors,
    uint64_t[::1] rung,
    Py_ssize_t *found,
) except -1 nogil:
    # A source's first ring takes all of its bits that the burst rings. No branch depends on chance:
    # what stands behind the last interrupt is overwritten by the next one.
    cdef Py_ssize_t have = 0
    cdef Py_ssize_t start = 0
    cdef Py_ssize_t looked = burst if sources_differ(masks) else 1  # which may be first rings
    cdef Py_ssize_t i
    cdef uint64_t pending, seen, mask
    cdef uint64_t cut = 0
    while start < queues.shape[0] and have < wanted:
        pending = 0
        for i in range(start, start + burst):
            pending |= bits[queues[i]]
        seen = 0
        for i in range(start, start + looked):
            mask = masks[queues[i]]
            vectors[have] = sources[queues[i]]
            rung[have] = pending & mask
            have += seen & mask == 0
            seen |= mask
        start += burst
    found[0] = min(have, wanted)
    found[1] = start
    for i in range(wanted, have):
        cut |= rung[i]
    if cut:
        for i in range(start - burst, start):
            found[1] -= (bits[queues[i]] & cut) != 0
    return 0


cdef bint sources_differ(const uint64_t[::1] masks) noexcept nogil:
    cdef uint64_t seen = 0
    cdef int queue
    for queue in range(BYTES):
        if masks[queue] and seen and masks[queue] != seen:
            return True
        seen |= masks[queue]
    return False


def coalesce(
    const uint8_t[::1] queues,
    Py_ssize_t burst,
    const uint8_t[::1] sources,
    const uint64_t[::1] bits,
    const uint64_t[::1] masks,
    uint8_t[::1] vectors,
    uint64_t[::1] rung,
):
    cdef Py_ssize_t found[2]
    if burst < 1 or queues.shape[0] % burst:
        raise ValueError(f"burst: {burst} of {queues.shape[0]} rings: allowed whole bursts")
    if not sources.shape[0] == bits.shape[0] == masks.shape[0] == BYTES:
        raise ValueError(
            f"sources, bits, masks: {sources.shape[0]}, {bits.shape[0]}, {masks.shape[0]}: "
            f"allowed {BYTES} each"
        )
    if vectors.shape[0] != rung.shape[0] or vectors.shape[0] < VECTOR_COUNT_MAX:
        raise ValueError(
            f"vectors, rung: {vectors.shape[0]}, {rung.shape[0]}: allowed as many of one as of the "
            f"other, at least {VECTOR_COUNT_MAX}: a last burst is cut off"
        )
    with nogil:
        pend(
            queues, burst, sources, bits, masks, vectors.shape[0] - VECTOR_COUNT_MAX,
            vectors, rung, found,
        )
    return found[0], found[1]
