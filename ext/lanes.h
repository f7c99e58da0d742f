/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Counting bytes in lanes of a register: what Cython cannot say. GCC and Clang lower the vectors
 * to the baseline of any architecture; x86-64 processors with AVX2 get it at run time.
 */
#ifndef NTBBENCH_LANES_H
#define NTBBENCH_LANES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define LANES_BYTES 32
#define LANES_LOADS_MAX 255 /* what a lane of a byte holds */

typedef uint8_t lanes __attribute__((vector_size(LANES_BYTES)));

static inline __attribute__((always_inline)) void
lanes_tally_four_inline(const uint8_t *bytes, ptrdiff_t loads, uint8_t code, uint64_t *counts)
{
	lanes a = {0}, b = {0}, c = {0}, d = {0}, loaded;

	for (ptrdiff_t i = 0; i < loads; i++) {
		memcpy(&loaded, bytes + LANES_BYTES * i, LANES_BYTES);
		a -= (lanes)(loaded == code); /* a lane that is equal is -1 */
		b -= (lanes)(loaded == (uint8_t)(code + 1));
		c -= (lanes)(loaded == (uint8_t)(code + 2));
		d -= (lanes)(loaded == (uint8_t)(code + 3));
	}
	for (int lane = 0; lane < LANES_BYTES; lane++) {
		counts[code] += a[lane];
		counts[code + 1] += b[lane];
		counts[code + 2] += c[lane];
		counts[code + 3] += d[lane];
	}
}

static void lanes_tally_four_baseline(const uint8_t *bytes, ptrdiff_t loads, uint8_t code,
				      uint64_t *counts)
{
	lanes_tally_four_inline(bytes, loads, code, counts);
}

#if defined(__x86_64__) && defined(NDEBUG) /* the checked build tests the baseline */
#define LANES_AVX2
__attribute__((target("avx2"))) static void
lanes_tally_four_avx2(const uint8_t *bytes, ptrdiff_t loads, uint8_t code, uint64_t *counts)
{
	lanes_tally_four_inline(bytes, loads, code, counts);
}
#endif

/* Add to counts[code .. code + 3] how often each occurs in `loads` times LANES_BYTES. */
static inline void lanes_tally_four(const uint8_t *bytes, ptrdiff_t loads, uint8_t code,
				    uint64_t *counts)
{
#ifdef LANES_AVX2
	if (__builtin_cpu_supports("avx2")) {
		lanes_tally_four_avx2(bytes, loads, code, counts);
		return;
	}
#endif
	lanes_tally_four_baseline(bytes, loads, code, counts);
}

#endif
