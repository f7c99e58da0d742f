// SPDX-License-Identifier: GPL-2.0
/*
 * epc_loop: interrupts from the endpoint function to its host, and its MSIs.
 *
 * raise_irq() may sleep and comes from process context, an interrupt handler
 * must run in hard interrupt context on the vector's CPU: an irq_work lies
 * between, or a call of the other CPU. A vector that is pending when it is
 * raised again is one interrupt, as on a bus.
 */
#include <linux/bitfield.h>
#include <linux/irq.h>
#include <linux/irqdomain.h>
#include <linux/log2.h>
#include <linux/msi.h>
#include <linux/unaligned.h>

#include "epc_loop.h"

/*
 * Never written: see raise_irq(). A bridge maps it: neither its place in a page
 * nor its data are zero, so that a mapping which forgets one shows.
 */
#define MSI_TARGET	(EPC_LOOP_BRIDGES ? 0xfee00040 : 0xfee00000)
#define MSI_DATA	(EPC_LOOP_BRIDGES ? 0x4000 : 0)

static u8 *msi_flags(struct epc_loop *loop)
{
	return loop->config + EPC_LOOP_MSI_CAP + PCI_MSI_FLAGS;
}

/* The capability asks for @count vectors; which are enabled is the host's say. */
void epc_loop_set_msi(struct epc_loop *loop, u8 count)
{
	put_unaligned_le16(PCI_MSI_FLAGS_64BIT |
			   FIELD_PREP(PCI_MSI_FLAGS_QMASK, order_base_2(count)),
			   msi_flags(loop));
}

int epc_loop_get_msi(struct epc_loop *loop)
{
	u16 flags = get_unaligned_le16(msi_flags(loop));

	if (!(flags & PCI_MSI_FLAGS_ENABLE))
		return -EINVAL;
	return 1 << FIELD_GET(PCI_MSI_FLAGS_QSIZE, flags);
}

static void deliver(struct epc_loop_vector *vector)
{
	unsigned int virq = READ_ONCE(vector->virq);

	if (virq)
		generic_handle_irq(virq);
}

static void deliver_here(struct irq_work *work)
{
	deliver(container_of(work, struct epc_loop_vector, work));
}

static void deliver_there(void *vector)
{
	deliver(vector);
}

/* Returns whether the vector was not pending already. */
static bool queue_vector(struct epc_loop_vector *vector)
{
	unsigned int cpu = READ_ONCE(vector->cpu);
	bool queued;

	if (cpu == get_cpu())
		queued = irq_work_queue(&vector->work);
	else
		queued = !smp_call_function_single_async(cpu, &vector->call);
	put_cpu();
	return queued;
}

static void nothing(void *unused)
{
}

/* After this, no delivery that was queued before is still to come. */
static void flush_vector(struct epc_loop_vector *vector)
{
	irq_work_sync(&vector->work);
	smp_call_function_single(vector->cpu, nothing, NULL, true);
}

void epc_loop_raise(struct epc_loop_vector *vector)
{
	vector->raised++;
	if (!queue_vector(vector))
		vector->merged++;
}

void epc_loop_vector_init(struct epc_loop_vector *vector)
{
	vector->work = IRQ_WORK_INIT_HARD(deliver_here);
	INIT_CSD(&vector->call, deliver_there, vector);
}

int epc_loop_raise_msi(struct epc_loop *loop, u16 number)
{
	if (number < 1 || number > epc_loop_get_msi(loop)) {
		loop->refused++;
		return -EINVAL;
	}
	epc_loop_raise(&loop->vector[number - 1]);
	return 0;
}

/* --- the interrupt chip and its domain ------------------------------------ */

static void compose_msg(struct irq_data *data, struct msi_msg *msg)
{
	msg->address_hi = 0;
	msg->address_lo = MSI_TARGET;
	msg->data = MSI_DATA + data->hwirq;
}

/* Whose message that is; NULL: nobody's. */
struct epc_loop_vector *epc_loop_vector_of(struct epc_loop *loop, u64 address,
					   u32 data)
{
	if (address != MSI_TARGET || data - MSI_DATA >= loop->vectors)
		return NULL;
	return &loop->vector[data - MSI_DATA];
}

static void ack(struct irq_data *data)
{
}

/* Vectors that may run anywhere are spread over the CPUs in turn. */
static int set_affinity(struct irq_data *data, const struct cpumask *mask,
			bool force)
{
	struct epc_loop_vector *vector = irq_data_get_irq_chip_data(data);
	unsigned int count = cpumask_weight_and(mask, cpu_online_mask);
	unsigned int cpu;

	if (!count)
		return -EINVAL;
	cpu = cpumask_nth_and(data->hwirq % count, mask, cpu_online_mask);
	WRITE_ONCE(vector->cpu, cpu);
	irq_data_update_effective_affinity(data, cpumask_of(cpu));
	return IRQ_SET_MASK_OK_DONE;
}

static struct irq_chip msi_chip = {
	.name			= "EPC-LOOP",
	.irq_ack		= ack,
	.irq_compose_msi_msg	= compose_msg,
	.irq_set_affinity	= set_affinity,
};

static int domain_alloc(struct irq_domain *domain, unsigned int virq,
			unsigned int count, void *arg)
{
	struct msi_desc *desc = ((msi_alloc_info_t *)arg)->desc;
	struct epc_loop *loop = domain->host_data;
	unsigned int first = desc->msi_index, i;

	if (first + count > loop->vectors)
		return -ENOSPC;
	for (i = 0; i < count; i++) {
		struct epc_loop_vector *vector = &loop->vector[first + i];

		irq_domain_set_info(domain, virq + i, first + i, &msi_chip,
				    vector, handle_edge_irq, NULL, NULL);
		vector->raised = 0;
		vector->merged = 0;
		vector->cpu = cpumask_first(cpu_online_mask);
		WRITE_ONCE(vector->virq, virq + i);
	}
	return 0;
}

static void domain_free(struct irq_domain *domain, unsigned int virq,
			unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		struct irq_data *data = irq_domain_get_irq_data(domain,
								virq + i);
		struct epc_loop_vector *vector = irq_data_get_irq_chip_data(data);

		WRITE_ONCE(vector->virq, 0);
		flush_vector(vector);
		irq_domain_reset_irq_data(data);
	}
}

static const struct irq_domain_ops domain_ops = {
	.alloc	= domain_alloc,
	.free	= domain_free,
};

static bool init_dev_msi_info(struct device *dev, struct irq_domain *domain,
			      struct irq_domain *real_parent,
			      struct msi_domain_info *info)
{
	const struct msi_parent_ops *parent = real_parent->msi_parent_ops;

	if (info->bus_token != DOMAIN_BUS_PCI_DEVICE_MSI &&
	    info->bus_token != DOMAIN_BUS_PCI_DEVICE_MSIX)
		return false;
	info->flags &= parent->supported_flags;
	info->flags |= parent->required_flags;
	info->chip->irq_ack = ack;
	return true;
}

static const struct msi_parent_ops parent_ops = {
	.supported_flags	= MSI_GENERIC_FLAGS_MASK |
				  MSI_FLAG_MULTI_PCI_MSI |
				  MSI_FLAG_PCI_MSIX,
	.required_flags		= MSI_FLAG_USE_DEF_DOM_OPS |
				  MSI_FLAG_USE_DEF_CHIP_OPS,
	.bus_select_token	= DOMAIN_BUS_NEXUS,
	.bus_select_mask	= BIT(DOMAIN_BUS_PCI_MSI),
	.prefix			= "EPC-LOOP-",
	.init_dev_msi_info	= init_dev_msi_info,
};

static void free_fwnode(void *fwnode)
{
	irq_domain_free_fwnode(fwnode);
}

static void remove_domain(void *domain)
{
	irq_domain_remove(domain);
}

int epc_loop_msi_init(struct epc_loop *loop)
{
	struct irq_domain_info info = {
		.size		= loop->vectors,
		.ops		= &domain_ops,
		.host_data	= loop,
	};
	int i, ret;

	loop->vector = devm_kcalloc(loop->dev, loop->vectors,
				    sizeof(*loop->vector), GFP_KERNEL);
	if (!loop->vector)
		return -ENOMEM;
	for (i = 0; i < loop->vectors; i++)
		epc_loop_vector_init(&loop->vector[i]);
	info.fwnode = irq_domain_alloc_named_id_fwnode("EPC-LOOP-MSI",
						       loop->id);
	if (!info.fwnode)
		return -ENOMEM;
	ret = devm_add_action_or_reset(loop->dev, free_fwnode, info.fwnode);
	if (ret)
		return ret;
	loop->msi_domain = msi_create_parent_irq_domain(&info, &parent_ops);
	if (!loop->msi_domain)
		return -ENOMEM;
	return devm_add_action_or_reset(loop->dev, remove_domain,
					loop->msi_domain);
}
