# SPDX-License-Identifier: BSD-3-Clause
# Counting without touching a counter for each event: codes into a histogram, the bit positions
# of words into bit-sliced counters, schedule calls from how often each vector came.

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from _bits cimport (
    VECTOR_COUNT_MAX, VECTOR_INTERRUPTS, VECTOR_SCHEDULE_CALLS, ffs64, popcount64,
)

cdef extern from "lanes.h" nogil:
    enum:
        LANES_BYTES
        LANES_LOADS_MAX
    void lanes_tally_four(const uint8_t *, Py_ssize_t, uint8_t, uint64_t *) noexcept

cdef enum:
    CODE_BITS = 6
    CODE_COUNT_MAX = 1 << CODE_BITS
    FEW_CODES = 16  # up to so many, comparing with each is faster than a table
    PAIR_COUNT_MAX = 1 << 2 * CODE_BITS
    # A cache line more: at equal addresses modulo 4 KiB, the tables would wait for each other.
    PAIR_TABLE_WORDS = PAIR_COUNT_MAX + 16
    PAIRS_A_PASS = 128
    PAIRS_A_FLUSH = 1 << 30  # no uint32 of a table overflows
    WORDS_A_BLOCK = 16
    BLOCKS_A_FLUSH = 255  # what the byte lanes below hold


cdef inline int tally_codes(
    const uint8_t[::1] codes, int code_count, uint64_t *counts
) except -1 nogil:
    """Add to uint64[64] how often each code below `code_count` occurs; at most 64 codes."""
    if code_count <= FEW_CODES:
        return tally_few_codes(codes, code_count, counts)
    return tally_many_codes(codes, counts)


cdef inline int tally_few_codes(
    const uint8_t[::1] codes, int code_count, uint64_t *counts
) except -1 nogil:
    cdef Py_ssize_t i = 0
    cdef Py_ssize_t loads
    cdef int code
    while i + LANES_BYTES <= codes.shape[0]:
        loads = min((codes.shape[0] - i) // LANES_BYTES, <Py_ssize_t>LANES_LOADS_MAX)
        for code in range(0, code_count, 4):
            lanes_tally_four(&codes[i], loads, code, counts)
        i += LANES_BYTES * loads
    while i < codes.shape[0]:
        counts[codes[i] & (CODE_COUNT_MAX - 1)] += 1
        i += 1
    return 0


cdef inline int tally_many_codes(const uint8_t[::1] codes, uint64_t *counts) except -1 nogil:
    """Two codes are one index into a table of pairs, which halves the stores, the limit of a
    histogram of bytes. Two tables, so that a repeated pair does not wait for its last store.
    """
    cdef uint32_t table[2][PAIR_TABLE_WORDS]
    cdef Py_ssize_t pairs = codes.shape[0] // 2
    cdef Py_ssize_t done = 0
    cdef Py_ssize_t end
    while done < pairs:
        memset(table, 0, sizeof(table))
        end = min(pairs, done + PAIRS_A_FLUSH)
        while done + PAIRS_A_PASS <= end:  # of constant size, so that the compiler unrolls it
            tally_pairs(codes, done, PAIRS_A_PASS, table[0], table[1])
            done += PAIRS_A_PASS
        if done < end:
            tally_pairs(codes, done, end - done, table[0], table[1])
            done = end
        add_pairs(table[0], table[1], counts)
    if codes.shape[0] & 1:
        counts[codes[codes.shape[0] - 1] & (CODE_COUNT_MAX - 1)] += 1
    return 0


cdef inline int tally_pairs(
    const uint8_t[::1] codes, Py_ssize_t first, Py_ssize_t size, uint32_t *even, uint32_t *odd
) except -1 nogil:
    """Count the pairs first .. first+size-1 of a stream, at most PAIRS_A_PASS."""
    cdef uint16_t pair[PAIRS_A_PASS]
    cdef Py_ssize_t k
    memcpy(pair, &codes[2 * first], 2 * size)
    for k in range(size):
        pair[k] = (pair[k] & (CODE_COUNT_MAX - 1)) | (
            pair[k] >> (8 - CODE_BITS) & ((CODE_COUNT_MAX - 1) << CODE_BITS)
        )
    k = 0
    while k + 4 <= size:
        even[pair[k]] += 1
        odd[pair[k + 1]] += 1
        even[pair[k + 2]] += 1
        odd[pair[k + 3]] += 1
        k += 4
    while k < size:
        even[pair[k]] += 1
        k += 1
    return 0


cdef inline void add_pairs(
    const uint32_t *even, const uint32_t *odd, uint64_t *counts
) noexcept nogil:
    """Add the two codes of each pair to uint64[64]."""
    cdef uint32_t low_counts[CODE_COUNT_MAX]
    cdef uint32_t count, high_count
    cdef int low, high
    memset(low_counts, 0, sizeof(low_counts))
    for high in range(CODE_COUNT_MAX):
        high_count = 0
        for low in range(CODE_COUNT_MAX):
            count = even[high * CODE_COUNT_MAX + low] + odd[high * CODE_COUNT_MAX + low]
            low_counts[low] += count
            high_count += count
        counts[high] += high_count
    for low in range(CODE_COUNT_MAX):
        counts[low] += low_counts[low]


# How many words had bit n set, for each n: four bit planes, and above them 64 counters of a byte,
# that of bit n in byte n // 8 of lanes[n % 8].
cdef struct BitTally:
    uint64_t ones
    uint64_t twos
    uint64_t fours
    uint64_t eights
    uint64_t lanes[8]
    int blocks
    uint64_t word[WORDS_A_BLOCK]  # those of the next block that came one by one
    int words


cdef inline uint64_t add(uint64_t *sum, uint64_t a, uint64_t b) noexcept nogil:
    """A carry-save adder: *sum becomes the sum bits of the three words, the result is the carry."""
    cdef uint64_t half = sum[0] ^ a
    cdef uint64_t carry = (sum[0] & a) | (half & b)
    sum[0] = half ^ b
    return carry


cdef inline void tally_block(BitTally *tally, const uint64_t *w, uint64_t *counts) noexcept nogil:
    """Count WORDS_A_BLOCK words; Harley-Seal as in Mula, Kurz, Lemire (2018), section 3."""
    cdef uint64_t twos_a, twos_b, fours_a, fours_b, eights_a, eights_b, carry
    cdef int j
    twos_a = add(&tally.ones, w[0], w[1])
    twos_b = add(&tally.ones, w[2], w[3])
    fours_a = add(&tally.twos, twos_a, twos_b)
    twos_a = add(&tally.ones, w[4], w[5])
    twos_b = add(&tally.ones, w[6], w[7])
    fours_b = add(&tally.twos, twos_a, twos_b)
    eights_a = add(&tally.fours, fours_a, fours_b)
    twos_a = add(&tally.ones, w[8], w[9])
    twos_b = add(&tally.ones, w[10], w[11])
    fours_a = add(&tally.twos, twos_a, twos_b)
    twos_a = add(&tally.ones, w[12], w[13])
    twos_b = add(&tally.ones, w[14], w[15])
    fours_b = add(&tally.twos, twos_a, twos_b)
    eights_b = add(&tally.fours, fours_a, fours_b)
    carry = add(&tally.eights, eights_a, eights_b)
    for j in range(8):
        tally.lanes[j] += carry >> j & 0x0101010101010101ULL
    tally.blocks += 1
    if tally.blocks == BLOCKS_A_FLUSH:
        tally_flush(tally, counts)


cdef inline void tally_word(BitTally *tally, uint64_t word, uint64_t *counts) noexcept nogil:
    """Count one word."""
    tally.word[tally.words] = word
    tally.words += 1
    if tally.words == WORDS_A_BLOCK:
        tally_block(tally, tally.word, counts)
        tally.words = 0


cdef inline void tally_flush(BitTally *tally, uint64_t *counts) noexcept nogil:
    """Empty the byte lanes into uint64[64]; each of their units is a block's worth of a bit."""
    cdef int n
    for n in range(64):
        counts[n] += WORDS_A_BLOCK * (tally.lanes[n & 7] >> (n & ~7) & 255)
    memset(tally.lanes, 0, sizeof(tally.lanes))
    tally.blocks = 0


cdef inline void tally_finish(BitTally *tally, uint64_t *counts) noexcept nogil:
    """Empty the whole tally into uint64[64]."""
    cdef int n
    while tally.words:
        tally_word(tally, 0, counts)
    tally_flush(tally, counts)
    for n in range(64):
        counts[n] += (
            (tally.ones >> n & 1)
            + 2 * (tally.twos >> n & 1)
            + 4 * (tally.fours >> n & 1)
            + 8 * (tally.eights >> n & 1)
        )
    memset(tally, 0, sizeof(BitTally))


cdef inline void add_to_bits(uint64_t bits, uint64_t amount, uint64_t *counts) noexcept nogil:
    """Add `amount` to the counter of each set bit."""
    while bits:
        counts[ffs64(bits)] += amount
        bits &= bits - 1


cdef inline int count_calls(
    const uint64_t *interrupts,
    const uint64_t *called,
    uint64_t *calls,
    uint64_t *fan_out,
    uint64_t[::1] counters,
) except -1 nogil:
    """Count what follows from the interrupts of each vector alone, whatever their order.

    calls: uint64[64] by QP, added to; fan_out: uint64[64], the calls of an interrupt by vector.
    """
    cdef uint64_t group = 0  # neighbours often share a mask: all of them, in fallback
    cdef uint64_t group_interrupts = 0
    cdef int v
    for v in range(VECTOR_COUNT_MAX):
        fan_out[v] = popcount64(called[v])
        if interrupts[v] == 0:
            continue
        counters[VECTOR_INTERRUPTS + v] += interrupts[v]
        counters[VECTOR_SCHEDULE_CALLS + v] += interrupts[v] * fan_out[v]
        if called[v] != group:
            add_to_bits(group, group_interrupts, calls)
            group = called[v]
            group_interrupts = 0
        group_interrupts += interrupts[v]
    add_to_bits(group, group_interrupts, calls)
    return 0
