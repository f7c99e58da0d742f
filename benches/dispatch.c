// SPDX-License-Identifier: BSD-3-Clause
/*
 * The baseline of the kernels: the dispatch as a C programmer writes it, bit by bit, with the
 * counts of ext/_scan.pyx in the buffer that ext/_bits.pxd lays out.
 */
#include <stdint.h>

#define QP_COUNT_MAX 64
#define VECTOR_COUNT_MAX 64

struct counters {
	uint64_t scan_iterations, missed, misrouted;
	uint64_t qp_schedule_calls[QP_COUNT_MAX];
	uint64_t qp_wakeups[QP_COUNT_MAX];
	uint64_t qp_useful[QP_COUNT_MAX];
	uint64_t qp_spurious[QP_COUNT_MAX];
	uint64_t vector_interrupts[VECTOR_COUNT_MAX];
	uint64_t vector_schedule_calls[VECTOR_COUNT_MAX];
	uint64_t vector_wakeups[VECTOR_COUNT_MAX];
};

struct receiver {
	uint8_t active[QP_COUNT_MAX];
	uint8_t sched[QP_COUNT_MAX];
	uint8_t pending[QP_COUNT_MAX];
	uint8_t tasklet_vec[QP_COUNT_MAX];
	unsigned int tasklet_count;
};

static void doorbell(struct receiver *receiver, uint64_t db_bits, unsigned int vector,
		     struct counters *counters)
{
	uint64_t scan_iterations = 0, schedule_calls = 0, wakeups = 0;

	while (db_bits) {
		unsigned int qp_num = __builtin_ctzll(db_bits);

		scan_iterations++;
		if (receiver->active[qp_num]) {
			schedule_calls++;
			counters->qp_schedule_calls[qp_num]++;
			if (!receiver->sched[qp_num]) {
				receiver->sched[qp_num] = 1;
				receiver->tasklet_vec[receiver->tasklet_count++] = qp_num;
				wakeups++;
				counters->qp_wakeups[qp_num]++;
			}
		}
		db_bits &= ~(1ULL << qp_num);
	}
	counters->scan_iterations += scan_iterations;
	counters->vector_interrupts[vector]++;
	counters->vector_schedule_calls[vector] += schedule_calls;
	counters->vector_wakeups[vector] += wakeups;
}

static void softirq(struct receiver *receiver, struct counters *counters)
{
	unsigned int k;

	for (k = 0; k < receiver->tasklet_count; k++) {
		unsigned int qp_num = receiver->tasklet_vec[k];

		receiver->sched[qp_num] = 0;
		if (receiver->pending[qp_num])
			counters->qp_useful[qp_num]++;
		else
			counters->qp_spurious[qp_num]++;
		receiver->pending[qp_num] = 0;
	}
	receiver->tasklet_count = 0;
}

void dispatch(const uint8_t *vectors, const uint64_t *rung, int64_t n,
	      const uint64_t *db_vector_masks, uint64_t qp_bitmap, uint64_t qp_bitmap_free,
	      uint64_t active, uint64_t drain, struct counters *counters)
{
	struct receiver receiver = { 0 };
	uint64_t phase = 0;
	int64_t i;

	for (i = 0; i < QP_COUNT_MAX; i++)
		receiver.active[i] = active >> i & 1;
	for (i = 0; i < n; i++) {
		unsigned int vector = vectors[i];
		uint64_t arrived = rung[i] & active;
		uint64_t db_bits = qp_bitmap & ~qp_bitmap_free & db_vector_masks[vector];
		uint64_t missed = arrived & ~db_bits;

		if (missed) {
			counters->missed += __builtin_popcountll(missed);
			counters->misrouted += __builtin_popcountll(db_bits & active & ~arrived);
		}
		for (; arrived; arrived &= arrived - 1)
			receiver.pending[__builtin_ctzll(arrived)] = 1;
		doorbell(&receiver, db_bits, vector, counters);
		if (++phase == drain) {
			softirq(&receiver, counters);
			phase = 0;
		}
	}
	softirq(&receiver, counters);
}
