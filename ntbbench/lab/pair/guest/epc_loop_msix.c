// SPDX-License-Identifier: GPL-2.0
/*
 * epc_loop: MSI-X and INTx from the endpoint function to its host.
 *
 * The MSI-X table lies in a BAR of the function, where the host's kernel writes
 * a message for each vector. Raising one looks that message up: nobody knows the
 * vector otherwise. A vector that is masked then is lost: real hardware would
 * note it in the pending bits, and see the host unmask it.
 *
 * INTx has no line on this bus. The device has its interrupt all the same, but
 * no pin in its configuration space: x86 would look that up in its own tables.
 */
#include <linux/bitfield.h>
#include <linux/irq.h>
#include <linux/unaligned.h>

#include "epc_loop.h"

#define FLAGS		(EPC_LOOP_MSIX_CAP + PCI_MSIX_FLAGS)
#define TABLE		(EPC_LOOP_MSIX_CAP + PCI_MSIX_TABLE)
#define PENDING		(EPC_LOOP_MSIX_CAP + PCI_MSIX_PBA)

int epc_loop_set_msix(struct epc_loop *loop, u16 count, enum pci_barno barno,
		      u32 offset)
{
	if (count > loop->vectors)
		return -EINVAL;
	put_unaligned_le16(FIELD_PREP(PCI_MSIX_FLAGS_QSIZE, count - 1),
			   loop->config + FLAGS);
	put_unaligned_le32(offset | barno, loop->config + TABLE);
	put_unaligned_le32((offset + count * PCI_MSIX_ENTRY_SIZE) | barno,
			   loop->config + PENDING);
	loop->msix_bar = barno;
	loop->msix_offset = offset;
	return 0;
}

int epc_loop_get_msix(struct epc_loop *loop)
{
	u16 flags = get_unaligned_le16(loop->config + FLAGS);

	if (!(flags & PCI_MSIX_FLAGS_ENABLE))
		return -EINVAL;
	return FIELD_GET(PCI_MSIX_FLAGS_QSIZE, flags) + 1;
}

static bool is_masked(struct epc_loop *loop, const struct pci_epf_msix_tbl *entry)
{
	u16 flags = get_unaligned_le16(loop->config + FLAGS);

	return flags & PCI_MSIX_FLAGS_MASKALL ||
	       entry->vector_ctrl & PCI_MSIX_ENTRY_CTRL_MASKBIT;
}

int epc_loop_raise_msix(struct epc_loop *loop, u16 number)
{
	const struct pci_epf_msix_tbl *entry;
	struct epc_loop_vector *vector;
	void *memory = epc_loop_bar_memory(loop, loop->msix_bar);

	if (!memory || number < 1 || number > epc_loop_get_msix(loop)) {
		loop->refused++;
		return -EINVAL;
	}
	entry = memory + loop->msix_offset;
	entry += number - 1;
	if (is_masked(loop, entry)) {
		loop->refused++;
		return -EPERM;
	}
	vector = epc_loop_vector_of(loop, entry->msg_addr, entry->msg_data);
	if (!vector) {
		epc_loop_broken(loop, "MSI-X %u: %x at %llx is no message",
				number, entry->msg_data, entry->msg_addr);
		return -EINVAL;
	}
	epc_loop_raise(vector);
	return 0;
}

int epc_loop_raise_intx(struct epc_loop *loop)
{
	u16 command = get_unaligned_le16(loop->config + PCI_COMMAND);

	if (!loop->intx.virq || command & PCI_COMMAND_INTX_DISABLE) {
		loop->refused++;
		return -EINVAL;
	}
	epc_loop_raise(&loop->intx);
	return 0;
}

int epc_loop_intx_init(struct epc_loop *loop)
{
	int virq;

	if (!loop->features.intx_capable)
		return 0;
	virq = devm_irq_alloc_desc(loop->dev, NUMA_NO_NODE);
	if (virq < 0)
		return virq;
	epc_loop_vector_init(&loop->intx);
	irq_set_chip_and_handler(virq, &dummy_irq_chip, handle_simple_irq);
	irq_clear_status_flags(virq, IRQ_NOREQUEST);
	loop->intx.virq = virq;
	return 0;
}
