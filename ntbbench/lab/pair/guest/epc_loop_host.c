// SPDX-License-Identifier: GPL-2.0
/*
 * epc_loop: the host's view, a root bus of its own with one device on it.
 *
 * The bus' memory window is the instance's share of the pool, and each BAR
 * already holds the address of its memory, as firmware would have left it: the
 * host claims its resources and moves none.
 */
#include <linux/unaligned.h>

#include "epc_loop.h"

/* What a host may write; all else in configuration space is read only. */
#define COMMAND_WRITABLE	(PCI_COMMAND_IO | PCI_COMMAND_MEMORY | \
				 PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE)
#define MSI_FLAGS		(EPC_LOOP_MSI_CAP + PCI_MSI_FLAGS)
#define MSI_FLAGS_WRITABLE	(PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE)
#define MSI_ADDRESS		(EPC_LOOP_MSI_CAP + PCI_MSI_ADDRESS_LO)
#define MSI_END			(EPC_LOOP_MSI_CAP + PCI_MSI_MASK_64)
#define MSIX_FLAGS		(EPC_LOOP_MSIX_CAP + PCI_MSIX_FLAGS)
#define MSIX_FLAGS_WRITABLE	(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL)
#define BAR_OF(where)		(((where) - PCI_BASE_ADDRESS_0) / 4)

static struct epc_loop *bus_to_loop(struct pci_bus *bus)
{
	return container_of(bus->sysdata, struct epc_loop, sysdata);
}

struct epc_loop *epc_loop_of_host(struct pci_dev *pdev)
{
	return bus_to_loop(pdev->bus);
}

/* --- configuration space -------------------------------------------------- */

static bool is_bar(int where)
{
	return where >= PCI_BASE_ADDRESS_0 && where <= PCI_BASE_ADDRESS_5 + 3;
}

/* Where a BAR is on the host's bus. */
static phys_addr_t bus_address(struct epc_loop *loop, int barno)
{
	if (EPC_LOOP_BRIDGES && loop->bus_bar[barno])
		return loop->bus_bar[barno];
	return loop->bar[barno].phys;
}

/* The pool lies below 4 GiB: nothing but all ones is ever in an upper half. */
static bool is_upper_half(struct epc_loop *loop, int barno)
{
	return barno && loop->bar[barno - 1].size &&
	       loop->bar[barno - 1].flags & PCI_BASE_ADDRESS_MEM_TYPE_64;
}

static u32 read_bar(struct epc_loop *loop, int barno)
{
	const struct epc_loop_bar *bar = &loop->bar[barno];

	if (is_upper_half(loop, barno))
		return bar->sizing ? ~0U : 0;
	if (!bar->size)
		return 0;
	return (bar->sizing ? ~(u32)(bar->size - 1) :
			      (u32)bus_address(loop, barno)) | bar->flags;
}

static void write_bar(struct epc_loop *loop, int barno, u32 val)
{
	struct epc_loop_bar *bar = &loop->bar[barno];

	bar->sizing = val == ~0U;
	val &= PCI_BASE_ADDRESS_MEM_MASK;
	if (bar->size && !bar->sizing && val != bus_address(loop, barno))
		epc_loop_broken(loop, "the host moves BAR%d from %pa to %x",
				barno, &bar->phys, val);
}

static int config_read(struct pci_bus *bus, unsigned int devfn, int where,
		       int size, u32 *val)
{
	struct epc_loop *loop = bus_to_loop(bus);
	u32 word;

	if (devfn || where >= EPC_LOOP_CONFIG_SIZE) {
		PCI_SET_ERROR_RESPONSE(val);
		return PCIBIOS_DEVICE_NOT_FOUND;
	}
	if (is_bar(where))
		word = read_bar(loop, BAR_OF(where));
	else
		word = get_unaligned_le32(loop->config + (where & ~3));
	word >>= 8 * (where & 3);
	*val = size == 4 ? word : word & (BIT(8 * size) - 1);
	return PCIBIOS_SUCCESSFUL;
}

static void write_masked(struct epc_loop *loop, int where, u16 val, u16 mask)
{
	u16 old = get_unaligned_le16(loop->config + where);

	put_unaligned_le16((old & ~mask) | (val & mask), loop->config + where);
}

static int config_write(struct pci_bus *bus, unsigned int devfn, int where,
			int size, u32 val)
{
	struct epc_loop *loop = bus_to_loop(bus);

	if (devfn || where >= EPC_LOOP_CONFIG_SIZE)
		return PCIBIOS_DEVICE_NOT_FOUND;
	if (is_bar(where) && size == 4)
		write_bar(loop, BAR_OF(where), val);
	else if (where == PCI_COMMAND && size == 2)
		write_masked(loop, where, val, COMMAND_WRITABLE);
	else if (where == MSI_FLAGS && size == 2)
		write_masked(loop, where, val, MSI_FLAGS_WRITABLE);
	else if (where == MSIX_FLAGS && size == 2)
		write_masked(loop, where, val, MSIX_FLAGS_WRITABLE);
	else if (where >= MSI_ADDRESS && where + size <= MSI_END)
		memcpy(loop->config + where, &val, size);
	return PCIBIOS_SUCCESSFUL;
}

static struct pci_ops config_ops = {
	.read = config_read,
	.write = config_write,
};

static void write_capabilities(struct epc_loop *loop)
{
	u8 *config = loop->config, *next = config + PCI_CAPABILITY_LIST;

	put_unaligned_le16(PCI_STATUS_CAP_LIST, config + PCI_STATUS);
	if (loop->features.msi_capable) {
		*next = EPC_LOOP_MSI_CAP;
		config[EPC_LOOP_MSI_CAP] = PCI_CAP_ID_MSI;
		next = config + EPC_LOOP_MSI_CAP + PCI_CAP_LIST_NEXT;
	}
	if (loop->features.msix_capable) {
		*next = EPC_LOOP_MSIX_CAP;
		config[EPC_LOOP_MSIX_CAP] = PCI_CAP_ID_MSIX;
	}
}

void epc_loop_write_header(struct epc_loop *loop,
			   const struct pci_epf_header *header)
{
	u8 *config = loop->config;

	put_unaligned_le16(header->vendorid, config + PCI_VENDOR_ID);
	put_unaligned_le16(header->deviceid, config + PCI_DEVICE_ID);
	config[PCI_REVISION_ID] = header->revid;
	config[PCI_CLASS_PROG] = header->progif_code;
	config[PCI_CLASS_DEVICE] = header->subclass_code;
	config[PCI_CLASS_DEVICE + 1] = header->baseclass_code;
	put_unaligned_le16(header->subsys_vendor_id,
			   config + PCI_SUBSYSTEM_VENDOR_ID);
	put_unaligned_le16(header->subsys_id, config + PCI_SUBSYSTEM_ID);
	write_capabilities(loop);
}

/* --- the bus -------------------------------------------------------------- */

static struct resource memory(const char *name, phys_addr_t start, size_t size)
{
	return (struct resource)DEFINE_RES_NAMED(start, size, name,
						 IORESOURCE_MEM);
}

static void add_resources(struct epc_loop *loop, struct list_head *resources)
{
	size_t size = EPC_LOOP_SHARE * loop->window_size;

	loop->busn = (struct resource)DEFINE_RES_NAMED(0, 1, "epc_loop bus",
						       IORESOURCE_BUS);
	if (EPC_LOOP_BRIDGES)	/* BARs lead to the other host's windows */
		loop->mem = memory("epc_loop memory", epc_loop_pool_base,
				   epc_loop_pool_size);
	else
		loop->mem = memory("epc_loop memory", loop->base, size);
	pci_add_resource(resources, &loop->busn);
	pci_add_resource(resources, &loop->mem);
	if (loop->edu.pdev) {
		loop->db_mem = memory("epc_loop doorbell", loop->edu.phys,
				      PAGE_SIZE);
		pci_add_resource(resources, &loop->db_mem);
	}
}

static void check_resources(struct epc_loop *loop, struct pci_dev *pdev)
{
	int i;

	for (i = 0; i < PCI_STD_NUM_BARS; i++) {
		struct resource *res = &pdev->resource[i];

		if (loop->bar[i].size &&
		    (!res->parent || res->start != bus_address(loop, i)))
			epc_loop_broken(loop, "the host has BAR%d at %pR", i,
					res);
	}
}

static void populate(struct epc_loop *loop)
{
	struct pci_dev *pdev;

	dev_set_msi_domain(&loop->bus->dev, loop->msi_domain);
	pci_scan_child_bus(loop->bus);
	pci_bus_claim_resources(loop->bus);
	list_for_each_entry(pdev, &loop->bus->devices, bus_list) {
		check_resources(loop, pdev);
		if (loop->intx.virq)
			pdev->irq = loop->intx.virq;
		epc_loop_set_host_dma(pdev);
	}
	pci_bus_add_devices(loop->bus);
}

static void attach_bus(struct epc_loop *loop)
{
	LIST_HEAD(resources);

	epc_loop_label_slots(loop);
	if (loop->features.linkup_notifier)
		pci_epc_linkup(loop->epc);
	add_resources(loop, &resources);
	loop->sysdata.domain = EPC_LOOP_DOMAIN + loop->id;
	loop->sysdata.node = NUMA_NO_NODE;
	pci_lock_rescan_remove();
	loop->bus = pci_create_root_bus(loop->dev, 0, &config_ops,
					&loop->sysdata, &resources);
	if (loop->bus)
		populate(loop);
	pci_unlock_rescan_remove();
	if (!loop->bus) {
		pci_free_resource_list(&resources);
		dev_err(loop->dev, "cannot create the host bus\n");
	}
}

static void detach_bus(struct epc_loop *loop)
{
	struct pci_host_bridge *bridge = to_pci_host_bridge(loop->bus->bridge);

	pci_lock_rescan_remove();
	pci_stop_root_bus(loop->bus);
	pci_remove_root_bus(loop->bus);
	pci_unlock_rescan_remove();
	pci_free_host_bridge(bridge);
	loop->bus = NULL;
	epc_loop_reach_none(loop);
	if (loop->features.linkup_notifier)
		pci_epc_linkdown(loop->epc);
}

/*
 * The drivers' probe and remove send commands that the endpoint serves under
 * epc->lock, which start() and stop() are called with: so not from there.
 */
static void attach_work(struct work_struct *work)
{
	struct epc_loop *loop = container_of(work, struct epc_loop, attach);
	bool started = READ_ONCE(loop->started);

	if (started && !loop->bus)
		attach_bus(loop);
	else if (!started && loop->bus)
		detach_bus(loop);
}

void epc_loop_host_init(struct epc_loop *loop)
{
	INIT_WORK(&loop->attach, attach_work);
}

void epc_loop_host_exit(struct epc_loop *loop)
{
	disable_work_sync(&loop->attach);
	if (loop->bus)
		detach_bus(loop);
}
