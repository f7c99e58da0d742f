// SPDX-License-Identifier: GPL-2.0
/*
 * ntb_explore: what the model of the pair bounds: rings by bit, MSIs, events by
 * vector, and runs of the receive tasklet by QP.
 */
#include <linux/kprobes.h>
#include <linux/ntb.h>
#include <linux/ntb_transport.h>

#include "explore.h"

#define BITS	32

/* What ntb_transport.c begins a QP with. */
struct qp_head {
	void *transport;
	struct ntb_dev *ndev;
};

static atomic_t rings[SIDES][BITS];	/* by the sender's side */
static atomic_t msis[BITS + 1];
static atomic_t vectors[SIDES][BITS];	/* by the receiver's */
static atomic_t runs[SIDES][QPS];

static int side_of(const struct ntb_dev *ntb)
{
	return ntb == explore_ntb(0) ? 0 : 1;
}

static int see_event(struct kprobe *probe, struct pt_regs *regs)
{
	int side = side_of((void *)regs_get_kernel_argument(regs, 0));
	unsigned int vector = regs_get_kernel_argument(regs, 1);

	if (vector < BITS)
		atomic_inc(&vectors[side][vector]);
	explore_note(MARK_EVENT, (u64)side << 32 | vector);
	return 0;
}

static int see_raise(struct kprobe *probe, struct pt_regs *regs)
{
	unsigned int number = (u16)regs_get_kernel_argument(regs, 4);

	if (number <= BITS)
		atomic_inc(&msis[number]);
	return 0;
}

static int see_ring(struct kprobe *probe, struct pt_regs *regs)
{
	int side = side_of((void *)regs_get_kernel_argument(regs, 0));
	unsigned long bits = regs_get_kernel_argument(regs, 1);
	unsigned int bit;

	explore_note(MARK_RANG, (u64)side << 32 | bits);
	for_each_set_bit(bit, &bits, BITS)
		atomic_inc(&rings[side][bit]);
	return 0;
}

static int see_run(struct kprobe *probe, struct pt_regs *regs)
{
	void *qp = (void *)regs_get_kernel_argument(regs, 0);
	unsigned int qp_num = ntb_transport_qp_num(qp);
	int side = side_of(((struct qp_head *)qp)->ndev);

	explore_note(MARK_RUN, (u64)side << 32 | qp_num);
	if (qp_num < QPS)
		atomic_inc(&runs[side][qp_num]);
	return 0;
}

static struct kprobe ring_probes[SIDES] = {
	{ .pre_handler = see_ring },
	{ .pre_handler = see_ring },
};

static struct kprobe event_probe = {
	.symbol_name = "ntb:ntb_db_event", .pre_handler = see_event,
};

static struct kprobe raise_probe = {
	.symbol_name = "pci_epc_raise_irq", .pre_handler = see_raise,
};

static struct kprobe run_probe = {
	.symbol_name = "ntb_transport:ntb_transport_rxc_db",
	.pre_handler = see_run,
};

static struct kprobe *probes[] = {
	&ring_probes[0], &ring_probes[1], &event_probe, &raise_probe,
	&run_probe,
};

void explore_clear_counts(void)
{
	memset(rings, 0, sizeof(rings));
	memset(msis, 0, sizeof(msis));
	memset(vectors, 0, sizeof(vectors));
	memset(runs, 0, sizeof(runs));
}

static void show(struct seq_file *s, const char *name, const atomic_t *counts,
		 unsigned int size)
{
	unsigned int i;

	seq_printf(s, "%s", name);
	for (i = 0; i < size; i++)
		if (atomic_read(&counts[i]))
			seq_printf(s, " %u:%d", i, atomic_read(&counts[i]));
	seq_puts(s, "\n");
}

void explore_show_counts(struct seq_file *s)
{
	show(s, "rings.ep", rings[0], BITS);
	show(s, "rings.rc", rings[1], BITS);
	show(s, "msis", msis, BITS + 1);
	show(s, "vectors.ep", vectors[0], BITS);
	show(s, "vectors.rc", vectors[1], BITS);
	show(s, "runs.ep", runs[0], QPS);
	show(s, "runs.rc", runs[1], QPS);
}

int explore_counts_init(void)
{
	int side;

	for (side = 0; side < SIDES; side++)
		ring_probes[side].addr =
			(void *)explore_ntb(side)->ops->peer_db_set;
	return register_kprobes(probes, ARRAY_SIZE(probes));
}

void explore_counts_exit(void)
{
	unregister_kprobes(probes, ARRAY_SIZE(probes));
}
