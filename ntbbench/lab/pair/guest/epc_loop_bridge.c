// SPDX-License-Identifier: GPL-2.0
/*
 * epc_loop: what pci-epf-ntb needs of two controllers, each with a host.
 *
 * A host's BAR leads into the outbound space of the *other* controller, and
 * from there to the other host's memory. Here both are one memory again, so
 * the windows need no more than the order of epc_loop_memory.c. Two things are
 * not memory:
 *
 *   doorbells	in front of window 1 lies an entry for each slot, which the
 *		other controller maps to its host's MSI address. The host's
 *		writel() comes here first: see epc_loop_writel.h.
 *   BAR 1	is the upper half of the other host's BAR 0. No two resources of
 *		one address space may overlap: its address on the bus is another
 *		one than its memory, and the host's pci_iomap() comes here too.
 */
#include <linux/io.h>
#include <linux/unaligned.h>

#include "epc_loop.h"
#include "epc_loop_writel.h"

#define MSI_MESSAGE	(EPC_LOOP_MSI_CAP + PCI_MSI_ADDRESS_LO)
#define MSI_DATA	(EPC_LOOP_MSI_CAP + PCI_MSI_DATA_64)

static void *doorbells_of(struct epc_loop *loop)
{
	return loop->virt + (loop->db_phys - loop->base);
}

/*
 * As drivers/pci/controller/cadence/pcie-cadence-ep.c does it: an entry leads
 * to the aligned part of the MSI address, and @offset is the rest of it.
 */
int epc_loop_map_msi(struct epc_loop *loop, phys_addr_t phys, u8 count,
		     u32 entry, u32 *data, u32 *offset)
{
	int enabled = epc_loop_get_msi(loop);

	if (enabled < 0 || count > enabled)
		return -EINVAL;
	if (phys != loop->outbound[0].phys || !is_power_of_2(entry) ||
	    count * entry > loop->window_size) {
		epc_loop_broken(loop, "%u doorbells of %x bytes at %pa", count,
				entry, &phys);
		return -EINVAL;
	}
	*data = get_unaligned_le16(loop->config + MSI_DATA);
	*offset = get_unaligned_le32(loop->config + MSI_MESSAGE) & (entry - 1);
	loop->db_entry = entry;
	loop->db_phys = phys;
	WRITE_ONCE(loop->db_count, count);
	return 0;
}

/*
 * A write is an MSI where it goes to the address of the host's MSIs with data
 * of one of them, whichever slot's; else it goes elsewhere in the host's memory
 * and nobody is interrupted. Instances do not come and go while a host has its
 * driver: the list needs no lock.
 */
static void ring(struct epc_loop *loop, unsigned long at, u32 val)
{
	u32 address = get_unaligned_le32(loop->config + MSI_MESSAGE);
	u32 data = get_unaligned_le16(loop->config + MSI_DATA);
	u32 number = val - data;

	if (at % loop->db_entry == (address & (loop->db_entry - 1)) &&
	    number < EPC_LOOP_MSIS)
		epc_loop_raise_msi(loop, number + 1);
	else
		dev_warn_ratelimited(loop->dev, "slot %lu: %x at %lx is no MSI\n",
				     at / loop->db_entry, val,
				     at % loop->db_entry);
}

void epc_loop_writel(u32 val, void __iomem *addr)
{
	struct epc_loop *loop;

	list_for_each_entry(loop, &epc_loops, list) {
		unsigned long at = (void __force *)addr - doorbells_of(loop);

		if (at < READ_ONCE(loop->db_count) * loop->db_entry) {
			ring(loop, at, val);
			return;
		}
	}
	writel(val, addr);
}
EXPORT_SYMBOL_GPL(epc_loop_writel);

static struct epc_loop *owner_of(phys_addr_t phys)
{
	struct epc_loop *loop;

	list_for_each_entry(loop, &epc_loops, list)
		if (phys >= loop->base &&
		    phys < loop->base + EPC_LOOP_SHARE * loop->window_size)
			return loop;
	return NULL;
}

void __iomem *epc_loop_iomap(struct pci_dev *pdev, int bar, unsigned long max)
{
	phys_addr_t phys = epc_loop_of_host(pdev)->bar[bar].phys;
	struct epc_loop *owner = owner_of(phys);

	if (!owner)
		return NULL;
	return (void __iomem __force *)(owner->virt + (phys - owner->base));
}
EXPORT_SYMBOL_GPL(epc_loop_iomap);

void epc_loop_iounmap(struct pci_dev *pdev, void __iomem *addr)
{
}
EXPORT_SYMBOL_GPL(epc_loop_iounmap);
