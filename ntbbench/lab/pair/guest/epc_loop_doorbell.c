// SPDX-License-Identifier: GPL-2.0
/*
 * epc_loop: interrupts from the host to the endpoint.
 *
 * A write to memory interrupts nobody, so the two interrupt modes need a device
 * whose register does: QEMU's "edu". Its page lies on the host's bus too, and
 * pci-epf-vntb makes it the doorbell BAR.
 *
 *   embedded	the controller offers the register as the doorbell of its DMA
 *		engine: one interrupt for all slots, whatever is written. The
 *		endpoint has the same word for each; here they are made to differ
 *   msi	slot n writes BIT(n), which the register keeps until it is
 *		acknowledged; a parent domain makes an interrupt of each bit
 *
 * Which slot a ring came to is seen in the words that the host wrote (poll; a
 * probe fetches them from the address in debugfs), or in epc_loop_rung().
 *
 * Source: QEMU, docs/specs/edu.rst; NTB_EPF_DB_* of ntb_hw_epf.c.
 */
#include <linux/debugfs.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irqdomain.h>
#include <linux/msi.h>
#include <linux/seq_file.h>

#include "epc_loop.h"

#define EDU_VENDOR_ID	0x1234
#define EDU_DEVICE_ID	0x11e8
#define EDU_STATUS	0x24	/* bits raised and not acknowledged */
#define EDU_RAISE	0x60
#define EDU_ACK		0x64
#define EDU_BITS	32	/* of the status; one a slot */
#define PHANDLE		0x7e570000	/* plus the instance: in no device tree */
#define TABLE_BAR	BAR_0	/* what the host looks up before it rings */
#define WORDS_BAR	BAR_2	/* where it rings: mx8_map of ntb_hw_epf.c */
#define SLOTS		32	/* pci-epf-vntb.c: MAX_DB_COUNT */
#define DB_ENTRY_SIZE	0x30	/* of the table, in bytes; a u32 each */
#define DB_DATA		0x34
#define DB_OFFSET	0xb4

/* --- the register --------------------------------------------------------- */

static void put_edu(void *data)
{
	struct epc_loop_edu *edu = data;

	pci_free_irq_vectors(edu->pdev);
	iounmap(edu->regs);
	pci_disable_device(edu->pdev);
	pci_dev_put(edu->pdev);
}

/* Each instance has an edu device of its own: the id-th. */
static struct pci_dev *find_edu(int id)
{
	struct pci_dev *pdev = NULL;

	do {
		pdev = pci_get_device(EDU_VENDOR_ID, EDU_DEVICE_ID, pdev);
	} while (pdev && id--);
	return pdev;
}

static int enable_edu(struct epc_loop_edu *edu)
{
	int ret = pci_enable_device(edu->pdev);

	if (ret)
		return ret;
	pci_set_master(edu->pdev);
	edu->phys = pci_resource_start(edu->pdev, 0);
	edu->regs = ioremap(edu->phys, PAGE_SIZE);
	if (!edu->regs) {
		ret = -ENOMEM;
		goto err_disable;
	}
	ret = pci_alloc_irq_vectors(edu->pdev, 1, 1, PCI_IRQ_MSI);
	if (ret < 0)
		goto err_unmap;
	edu->irq = pci_irq_vector(edu->pdev, 0);
	return 0;

err_unmap:
	iounmap(edu->regs);
err_disable:
	pci_disable_device(edu->pdev);
	return ret;
}

static int get_edu(struct epc_loop *loop)
{
	struct epc_loop_edu *edu = &loop->edu;
	int ret;

	edu->pdev = find_edu(loop->id);
	if (!edu->pdev) {
		dev_err(loop->dev, "no edu device: qemu -device edu\n");
		return -ENODEV;
	}
	ret = enable_edu(edu);
	if (ret) {
		pci_dev_put(edu->pdev);
		return ret;
	}
	return devm_add_action_or_reset(loop->dev, put_edu, edu);
}

/* Where the register lies; 0: there is none. */
phys_addr_t epc_loop_doorbell_register(struct epc_loop *loop)
{
	return loop->edu.pdev ? loop->edu.phys + EDU_RAISE : 0;
}

/* As the host would, whose BAR cannot lead there. */
void epc_loop_ring(struct epc_loop *loop, u32 val)
{
	writel(val, loop->edu.regs + EDU_RAISE);
}

int epc_loop_doorbell_resource(struct epc_loop *loop,
			       struct pci_epc_aux_resource *resource)
{
	*resource = (struct pci_epc_aux_resource){
		.type		= PCI_EPC_AUX_DOORBELL_MMIO,
		.phys_addr	= epc_loop_doorbell_register(loop),
		.size		= sizeof(u32),
		.bar		= NO_BAR,
		.u.db_mmio.irq	= loop->db_irq,
		.u.db_mmio.data	= BIT(0),
	};
	return 0;
}

/* --- what the host is told, and what it writes ---------------------------- */

/*
 * Give each slot of an embedded doorbell a word of its own: the register
 * interrupts for any. What the host rings is then seen, as on the other wires.
 */
void epc_loop_label_slots(struct epc_loop *loop)
{
	u32 *table = epc_loop_bar_memory(loop, TABLE_BAR);
	int slot;

	loop->labels = NULL;
	if (loop->doorbell != EPC_LOOP_EMBEDDED || !table ||
	    epc_loop_bar_memory(loop, WORDS_BAR))
		return;
	loop->labels = table + DB_DATA / 4;
	for (slot = 0; slot < SLOTS; slot++)
		if (loop->labels[slot])
			loop->labels[slot] = BIT(slot);
}

/* Whether the host's word BIT(@slot) can only mean that slot. */
static bool is_labelled(struct epc_loop *loop, unsigned int slot)
{
	int other, count = 0;

	for (other = 0; loop->labels && other < SLOTS; other++)
		count += loop->labels[other] == BIT(slot);
	return count == 1;
}

/* For who watches: where the words are, and which of them is which slot's. */
static int doorbells_show(struct seq_file *file, void *unused)
{
	struct epc_loop *loop = file->private;
	const u32 *table = epc_loop_bar_memory(loop, TABLE_BAR);
	const u32 *words = epc_loop_bar_memory(loop, WORDS_BAR);
	int slot;

	if (words)
		seq_printf(file, "words 0x%lx\n", (unsigned long)words);
	for (slot = 0; table && slot < SLOTS; slot++)
		seq_printf(file, "slot %d offset %u data 0x%x\n", slot,
			   table[DB_ENTRY_SIZE / 4] * slot +
			   table[DB_OFFSET / 4 + slot],
			   table[DB_DATA / 4 + slot]);
	return 0;
}

/* A word that no endpoint looks at stays set: the next ring would not show. */
static ssize_t doorbells_write(struct file *file, const char __user *text,
			       size_t count, loff_t *offset)
{
	struct epc_loop *loop = file_inode(file)->i_private;
	u32 *words = epc_loop_bar_memory(loop, WORDS_BAR);

	if (words)
		memset(words, 0, SLOTS * sizeof(*words));
	return count;
}
DEFINE_SHOW_STORE_ATTRIBUTE(doorbells);

void epc_loop_doorbell_debugfs(struct epc_loop *loop)
{
	debugfs_create_file("doorbells", 0600, loop->debugfs, loop,
			    &doorbells_fops);
}

/* Bits raised since the last time, acknowledged. */
static unsigned long take_status(struct epc_loop *loop)
{
	unsigned long status = readl(loop->edu.regs + EDU_STATUS);

	writel(status, loop->edu.regs + EDU_ACK);
	return status;
}

static void nothing(struct irq_data *data)
{
}

static void remove_domain(void *domain)
{
	irq_domain_remove(domain);
}

/* --- one interrupt for all slots ------------------------------------------ */

static struct irq_chip shared_chip = {
	.name		= "EPC-LOOP-DB",
	.irq_ack	= nothing,
	.irq_mask	= nothing,
	.irq_unmask	= nothing,
};

static int shared_map(struct irq_domain *domain, unsigned int virq,
		      irq_hw_number_t hwirq)
{
	irq_set_chip_and_handler(virq, &shared_chip, handle_edge_irq);
	return 0;
}

static const struct irq_domain_ops shared_ops = {
	.map	= shared_map,
};

static irqreturn_t dispatch_shared(int irq, void *data)
{
	struct epc_loop *loop = data;
	unsigned long status = take_status(loop);
	unsigned int slot;

	for_each_set_bit(slot, &status, EDU_BITS)
		if (is_labelled(loop, slot))
			epc_loop_rung(loop, slot);
	if (status)
		generic_handle_irq(loop->db_irq);
	return IRQ_RETVAL(status);
}

static void dispose_shared(void *data)
{
	struct epc_loop *loop = data;

	irq_dispose_mapping(loop->db_irq);
}

static int init_shared(struct epc_loop *loop)
{
	int ret;

	loop->db_domain = irq_domain_create_linear(NULL, 1, &shared_ops, loop);
	if (!loop->db_domain)
		return -ENOMEM;
	ret = devm_add_action_or_reset(loop->dev, remove_domain,
				       loop->db_domain);
	if (ret)
		return ret;
	loop->db_irq = irq_create_mapping(loop->db_domain, 0);
	if (!loop->db_irq)
		return -ENOMEM;
	ret = devm_add_action_or_reset(loop->dev, dispose_shared, loop);
	if (ret)
		return ret;
	return devm_request_irq(loop->dev, loop->edu.irq, dispatch_shared, 0,
				"epc_loop_db", loop);
}

/* --- one interrupt a slot ------------------------------------------------- */

#ifdef CONFIG_OF_DYNAMIC

static void compose_msg(struct irq_data *data, struct msi_msg *msg)
{
	struct epc_loop *loop = irq_data_get_irq_chip_data(data);
	phys_addr_t target = epc_loop_doorbell_register(loop);

	msg->address_hi = upper_32_bits(target);
	msg->address_lo = lower_32_bits(target);
	msg->data = BIT(data->hwirq);
}

static struct irq_chip slot_chip = {
	.name			= "EPC-LOOP-DB",
	.irq_ack		= nothing,
	.irq_mask		= nothing,
	.irq_unmask		= nothing,
	.irq_compose_msi_msg	= compose_msg,
};

static int slots_alloc(struct irq_domain *domain, unsigned int virq,
		       unsigned int count, void *arg)
{
	struct msi_desc *desc = ((msi_alloc_info_t *)arg)->desc;
	unsigned int i;

	if (desc->msi_index + count > EDU_BITS)
		return -ENOSPC;
	for (i = 0; i < count; i++)
		irq_domain_set_info(domain, virq + i, desc->msi_index + i,
				    &slot_chip, domain->host_data,
				    handle_edge_irq, NULL, NULL);
	return 0;
}

static void slots_free(struct irq_domain *domain, unsigned int virq,
		       unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		irq_domain_reset_irq_data(irq_domain_get_irq_data(domain,
								  virq + i));
}

static const struct irq_domain_ops slots_ops = {
	.alloc	= slots_alloc,
	.free	= slots_free,
};

static bool init_dev_msi_info(struct device *dev, struct irq_domain *domain,
			      struct irq_domain *real_parent,
			      struct msi_domain_info *info)
{
	if (info->bus_token != DOMAIN_BUS_DEVICE_MSI)
		return false;
	info->flags = MSI_FLAG_ALLOC_SIMPLE_MSI_DESCS |
		      MSI_FLAG_FREE_MSI_DESCS | MSI_FLAG_USE_DEF_DOM_OPS |
		      MSI_FLAG_USE_DEF_CHIP_OPS | MSI_FLAG_NO_AFFINITY;
	info->chip->irq_ack = nothing;
	return true;
}

static const struct msi_parent_ops parent_ops = {
	.supported_flags	= MSI_GENERIC_FLAGS_MASK,
	.bus_select_token	= DOMAIN_BUS_PLATFORM_MSI,
	.prefix			= "EPC-LOOP-DB-",
	.init_dev_msi_info	= init_dev_msi_info,
};

static irqreturn_t dispatch(int irq, void *data)
{
	struct epc_loop *loop = data;
	unsigned long status = take_status(loop);
	unsigned int slot;

	for_each_set_bit(slot, &status, EDU_BITS) {
		epc_loop_rung(loop, slot);
		generic_handle_domain_irq(loop->db_domain, slot);
	}
	return IRQ_RETVAL(status);
}

static void revert_nodes(void *data)
{
	struct epc_loop *loop = data;

	loop->dev->of_node = NULL;
	of_changeset_revert(&loop->changeset);
	of_changeset_destroy(&loop->changeset);
}

/* A node below the root, named after the instance. */
static struct device_node *create_node(struct epc_loop *loop, const char *kind)
{
	char name[32];

	snprintf(name, sizeof(name), "%s-%d", kind, loop->id);
	return of_changeset_create_node(&loop->changeset, of_root, name);
}

/*
 * pci_epf_alloc_doorbell() finds the interrupts' domain by the msi-parent of
 * the controller's device tree node, so there must be both nodes.
 */
static struct device_node *add_nodes(struct epc_loop *loop)
{
	struct of_changeset *changes = &loop->changeset;
	u32 phandle = PHANDLE + loop->id;
	struct device_node *parent, *node;
	int ret;

	of_changeset_init(changes);
	parent = create_node(loop, "epc-loop-msi");
	node = create_node(loop, "epc-loop");
	ret = !parent || !node ? -ENOMEM : 0;
	if (!ret)
		ret = of_changeset_add_prop_u32(changes, parent, "phandle",
						phandle);
	if (!ret)
		ret = of_changeset_add_prop_u32(changes, parent, "#msi-cells",
						0);
	if (!ret)
		ret = of_changeset_add_prop_u32(changes, node, "msi-parent",
						phandle);
	if (!ret)
		ret = of_changeset_apply(changes);
	if (ret) {
		of_changeset_destroy(changes);
		return ERR_PTR(ret);
	}
	parent->phandle = phandle;	/* the node was attached before it had one */
	loop->dev->of_node = node;
	ret = devm_add_action_or_reset(loop->dev, revert_nodes, loop);
	return ret ? ERR_PTR(ret) : parent;
}

static int init_slots(struct epc_loop *loop)
{
	struct irq_domain_info info = {
		.size		= EDU_BITS,
		.ops		= &slots_ops,
		.domain_flags	= IRQ_DOMAIN_FLAG_MSI_IMMUTABLE,
		.host_data	= loop,
	};
	struct device_node *parent;
	int ret;

	if (!of_root)
		return -ENODEV;
	parent = add_nodes(loop);
	if (IS_ERR(parent))
		return PTR_ERR(parent);
	info.fwnode = of_fwnode_handle(parent);
	loop->db_domain = msi_create_parent_irq_domain(&info, &parent_ops);
	if (!loop->db_domain)
		return -ENOMEM;
	ret = devm_add_action_or_reset(loop->dev, remove_domain,
				       loop->db_domain);
	if (ret)
		return ret;
	return devm_request_irq(loop->dev, loop->edu.irq, dispatch, 0,
				"epc_loop_db", loop);
}

#else /* CONFIG_OF_DYNAMIC */

static int init_slots(struct epc_loop *loop)
{
	return -ENODEV;
}

#endif /* CONFIG_OF_DYNAMIC */

int epc_loop_doorbell_init(struct epc_loop *loop)
{
	int ret;

	if (loop->doorbell == EPC_LOOP_POLL)
		return 0;
	ret = get_edu(loop);
	if (ret)
		return ret;
	if (loop->doorbell == EPC_LOOP_MSI)
		return init_slots(loop);
	return init_shared(loop);
}

/* How many doorbell interrupts the endpoint has a handler for. */
unsigned int epc_loop_doorbell_irqs(struct epc_loop *loop)
{
	unsigned int slot, irq, count = 0;

	if (loop->doorbell == EPC_LOOP_POLL)
		return 0;
	if (loop->doorbell != EPC_LOOP_MSI)
		return irq_has_action(loop->db_irq);
	for (slot = 0; slot < EDU_BITS; slot++) {
		irq = irq_find_mapping(loop->db_domain, slot);
		if (irq && irq_has_action(irq))
			count++;
	}
	return count;
}
