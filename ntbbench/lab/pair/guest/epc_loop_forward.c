// SPDX-License-Identifier: GPL-2.0
/*
 * epc_loop: a BAR that is led elsewhere while the host uses it.
 *
 * A BAR's address on the host's bus is that of its memory, so it cannot lead
 * anywhere else. For the one target that functions have, the register that
 * interrupts the endpoint, the controller looks every jiffy whether the host has
 * written to the word that stands for it, and passes on what it finds. A zero is
 * not seen, and of two writes within a jiffy the first one is not.
 */
#include <linux/devm-helpers.h>

#include "epc_loop.h"

#define INTERVAL	1	/* jiffies */

static void forward_work(struct work_struct *work)
{
	struct epc_loop *loop = container_of(work, struct epc_loop,
					     forward.work);
	u32 val = xchg(loop->forwarded, 0);

	if (val)
		epc_loop_ring(loop, val);
	schedule_delayed_work(&loop->forward, INTERVAL);
}

int epc_loop_forward_init(struct epc_loop *loop)
{
	return devm_delayed_work_autocancel(loop->dev, &loop->forward,
					    forward_work);
}

/* The BAR leads to its own memory again. */
void epc_loop_restore(struct epc_loop *loop, enum pci_barno barno)
{
	struct epc_loop_bar *bar = &loop->bar[barno];
	void *start = bar->size ? epc_loop_virt(loop, bar->phys) : NULL;
	void *word = loop->forwarded;

	if (!word || word < start || word >= start + bar->size)
		return;
	cancel_delayed_work_sync(&loop->forward);
	loop->forwarded = NULL;
}

/* set_bar() of a BAR that is set. */
int epc_loop_redirect(struct epc_loop *loop, const struct pci_epf_bar *asked)
{
	struct epc_loop_bar *bar = &loop->bar[asked->barno];
	phys_addr_t target = epc_loop_doorbell_register(loop);

	if (!loop->features.dynamic_inbound_mapping)
		return -EBUSY;
	epc_loop_restore(loop, asked->barno);
	if (asked->phys_addr == bar->phys && asked->size == bar->size)
		return 0;
	if (loop->forwarded || asked->size != bar->size ||
	    target < asked->phys_addr ||
	    target >= asked->phys_addr + asked->size) {
		epc_loop_broken(loop, "BAR%d is to lead to %pad+%zx",
				asked->barno, &asked->phys_addr, asked->size);
		return -EINVAL;
	}
	loop->forwarded = epc_loop_virt(loop, bar->phys) +
			  (target - asked->phys_addr);
	WRITE_ONCE(*loop->forwarded, 0);
	schedule_delayed_work(&loop->forward, INTERVAL);
	return 0;
}
