// SPDX-License-Identifier: GPL-2.0
/*
 * epc_loop: the module, its instances, and the endpoint controller of each.
 *
 * The endpoint core's configfs folder holds a reference to the module: unbind
 * the platform device first, then unload.
 *
 * Needs x86-64 without ACPI, and memory that the kernel leaves alone, as with
 * memmap=144M$0x10000000 on its command line.
 */
#include <linux/debugfs.h>
#include <linux/module.h>
#include <linux/seq_file.h>

#include "epc_loop.h"

#define INSTANCES_MAX	4

ulong epc_loop_pool_base = 0x10000000;
module_param_named(pool_base, epc_loop_pool_base, ulong, 0444);
MODULE_PARM_DESC(pool_base, "Physical address of the memory set aside");

ulong epc_loop_pool_size = 144 << 20;
module_param_named(pool_size, epc_loop_pool_size, ulong, 0444);
MODULE_PARM_DESC(pool_size, "Its size; each instance gets an even share");

static uint instances = 1;
module_param(instances, uint, 0444);
MODULE_PARM_DESC(instances, "Number of controllers");

static char *doorbell = "poll";
module_param(doorbell, charp, 0444);
MODULE_PARM_DESC(doorbell, "How the host rings the endpoint: poll, embedded, msi");

LIST_HEAD(epc_loops);
DEFINE_MUTEX(epc_loops_lock);	/* of the list */

static struct platform_device *devices[INSTANCES_MAX];

/**
 * epc_loop_broken() - say that an identity does not hold, and count it
 * @loop: the instance
 * @fmt: what was asked and what there is
 *
 * Drivers may drop the error that the caller then returns: the count, which
 * debugfs shows, is what a run is judged by.
 */
void epc_loop_broken(struct epc_loop *loop, const char *fmt, ...)
{
	struct va_format vaf = { .fmt = fmt };
	va_list args;

	va_start(args, fmt);
	vaf.va = &args;
	loop->broken++;
	dev_err(loop->dev, "broken identity: %pV\n", &vaf);
	va_end(args);
}

/**
 * epc_loop_rung() - the host rang a doorbell slot that interrupts
 * @loop: the instance
 * @slot: number of the slot
 *
 * A place for a probe. Not in the file of its callers: gcc would call a clone.
 */
noinline void epc_loop_rung(struct epc_loop *loop, unsigned int slot)
{
	barrier();
}

/* --- the endpoint controller ---------------------------------------------- */

static int loop_write_header(struct pci_epc *epc, u8 func, u8 vfunc,
			     struct pci_epf_header *header)
{
	epc_loop_write_header(epc_get_drvdata(epc), header);
	return 0;
}

static int loop_set_bar(struct pci_epc *epc, u8 func, u8 vfunc,
			struct pci_epf_bar *bar)
{
	return epc_loop_set_bar(epc_get_drvdata(epc), bar);
}

static void loop_clear_bar(struct pci_epc *epc, u8 func, u8 vfunc,
			   struct pci_epf_bar *bar)
{
	epc_loop_clear_bar(epc_get_drvdata(epc), bar->barno);
}

static int loop_map_addr(struct pci_epc *epc, u8 func, u8 vfunc,
			 phys_addr_t phys, u64 pci_addr, size_t size)
{
	struct epc_loop *loop = epc_get_drvdata(epc);

	if (loop->translates)
		return epc_loop_reach(loop, phys, pci_addr, size);
	return epc_loop_map(loop, phys, pci_addr, size);
}

static void loop_unmap_addr(struct pci_epc *epc, u8 func, u8 vfunc,
			    phys_addr_t phys)
{
	struct epc_loop *loop = epc_get_drvdata(epc);

	if (loop->translates)
		epc_loop_leave(loop, phys);
	else
		epc_loop_unmap(loop, phys);
}

static u64 loop_align_addr(struct pci_epc *epc, u64 pci_addr, size_t *size,
			   size_t *offset)
{
	return epc_loop_align(epc_get_drvdata(epc), pci_addr, size, offset);
}

static int loop_set_msi(struct pci_epc *epc, u8 func, u8 vfunc, u8 count)
{
	epc_loop_set_msi(epc_get_drvdata(epc), count);
	return 0;
}

static int loop_get_msi(struct pci_epc *epc, u8 func, u8 vfunc)
{
	return epc_loop_get_msi(epc_get_drvdata(epc));
}

static int loop_set_msix(struct pci_epc *epc, u8 func, u8 vfunc, u16 count,
			 enum pci_barno barno, u32 offset)
{
	return epc_loop_set_msix(epc_get_drvdata(epc), count, barno, offset);
}

static int loop_get_msix(struct pci_epc *epc, u8 func, u8 vfunc)
{
	return epc_loop_get_msix(epc_get_drvdata(epc));
}

static int loop_raise_irq(struct pci_epc *epc, u8 func, u8 vfunc,
			  unsigned int type, u16 number)
{
	struct epc_loop *loop = epc_get_drvdata(epc);

	switch (type) {
	case PCI_IRQ_MSI:
		return epc_loop_raise_msi(loop, number);
	case PCI_IRQ_MSIX:
		return epc_loop_raise_msix(loop, number);
	case PCI_IRQ_INTX:
		return epc_loop_raise_intx(loop);
	default:
		return -EINVAL;
	}
}

static int loop_map_msi_irq(struct pci_epc *epc, u8 func, u8 vfunc,
			    phys_addr_t phys, u8 count, u32 entry, u32 *data,
			    u32 *offset)
{
	return epc_loop_map_msi(epc_get_drvdata(epc), phys, count, entry, data,
				offset);
}

static int loop_start(struct pci_epc *epc)
{
	struct epc_loop *loop = epc_get_drvdata(epc);

	WRITE_ONCE(loop->started, true);
	schedule_work(&loop->attach);
	return 0;
}

static void loop_stop(struct pci_epc *epc)
{
	struct epc_loop *loop = epc_get_drvdata(epc);

	WRITE_ONCE(loop->started, false);
	schedule_work(&loop->attach);
}

static const struct pci_epc_features *
loop_get_features(struct pci_epc *epc, u8 func, u8 vfunc)
{
	struct epc_loop *loop = epc_get_drvdata(epc);

	return &loop->features;
}

static int loop_get_aux_resources_count(struct pci_epc *epc, u8 func, u8 vfunc)
{
	struct epc_loop *loop = epc_get_drvdata(epc);

	return loop->doorbell == EPC_LOOP_EMBEDDED;
}

static int loop_get_aux_resources(struct pci_epc *epc, u8 func, u8 vfunc,
				  struct pci_epc_aux_resource *resources,
				  int count)
{
	return epc_loop_doorbell_resource(epc_get_drvdata(epc), resources);
}

/* .align_addr is what tells functions that they need not align. */
static struct pci_epc_ops loop_ops = {
	.write_header			= loop_write_header,
	.set_bar			= loop_set_bar,
	.clear_bar			= loop_clear_bar,
	.map_addr			= loop_map_addr,
	.unmap_addr			= loop_unmap_addr,
	.set_msi			= loop_set_msi,
	.get_msi			= loop_get_msi,
	.set_msix			= loop_set_msix,
	.get_msix			= loop_get_msix,
	.raise_irq			= loop_raise_irq,
	.map_msi_irq			= EPC_LOOP_BRIDGES ? loop_map_msi_irq : NULL,
	.start				= loop_start,
	.stop				= loop_stop,
	.get_features			= loop_get_features,
	.get_aux_resources_count	= loop_get_aux_resources_count,
	.get_aux_resources		= loop_get_aux_resources,
	.owner				= THIS_MODULE,
};

static void free_outbound(void *epc)
{
	pci_epc_mem_exit(epc);
}

/* A page of outbound memory is a whole window: the n-th address is window n. */
static int create_epc(struct epc_loop *loop)
{
	size_t page = loop->translates ? loop->reach_size : loop->window_size;
	int ret;

	loop->epc = devm_pci_epc_create(loop->dev, &loop_ops);
	if (IS_ERR(loop->epc))
		return PTR_ERR(loop->epc);
	epc_set_drvdata(loop->epc, loop);
	loop->epc->max_functions = 1;
	ret = pci_epc_mem_init(loop->epc, loop->base,
			       epc_loop_outbound_size(loop), page);
	if (ret)
		return ret;
	ret = devm_add_action_or_reset(loop->dev, free_outbound, loop->epc);
	if (ret)
		return ret;
	pci_epc_init_notify(loop->epc);
	return 0;
}

/* --- debugfs -------------------------------------------------------------- */

static int stats_show(struct seq_file *file, void *unused)
{
	struct epc_loop *loop = file->private;
	int i;

	seq_printf(file, "broken %u\nrefused %lu\ndoorbell_irqs %u\n",
		   loop->broken, loop->refused, epc_loop_doorbell_irqs(loop));
	for (i = 0; i < loop->vectors; i++) {
		struct epc_loop_vector *vector = &loop->vector[i];

		if (vector->virq)
			seq_printf(file, "msi %d irq %u cpu %u raised %lu merged %lu\n",
				   i + 1, vector->virq, vector->cpu,
				   vector->raised, vector->merged);
	}
	for (i = 0; i < PCI_STD_NUM_BARS; i++)
		if (loop->bar[i].size)
			seq_printf(file, "bar %d at %pa size %zu window %d\n",
				   i, &loop->bar[i].phys, loop->bar[i].size,
				   loop->bar[i].window);
	if (loop->translates)
		seq_printf(file, "strays %lu\nintx %lu\n", loop->strays,
			   loop->intx.raised);
	for (i = 0; i < EPC_LOOP_WINDOWS; i++)
		if (loop->outbound[i].size)
			seq_printf(file, "outbound %d at %pa size %zu\n", i,
				   &loop->outbound[i].phys,
				   loop->outbound[i].size);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(stats);

static void remove_debugfs(void *folder)
{
	debugfs_remove_recursive(folder);
}

static int create_debugfs(struct epc_loop *loop)
{
	loop->debugfs = debugfs_create_dir(dev_name(loop->dev), NULL);
	debugfs_create_file("stats", 0444, loop->debugfs, loop, &stats_fops);
	epc_loop_doorbell_debugfs(loop);
	return devm_add_action_or_reset(loop->dev, remove_debugfs,
					loop->debugfs);
}

/* --- instances ------------------------------------------------------------ */

static void forget_instance(void *data)
{
	struct epc_loop *loop = data;

	guard(mutex)(&epc_loops_lock);
	list_del(&loop->list);
}

static int remember_instance(struct epc_loop *loop)
{
	scoped_guard(mutex, &epc_loops_lock)
		list_add_tail(&loop->list, &epc_loops);
	return devm_add_action_or_reset(loop->dev, forget_instance, loop);
}

static int doorbell_mode(void)
{
	static const char * const names[] = {
		[EPC_LOOP_POLL]		= "poll",
		[EPC_LOOP_EMBEDDED]	= "embedded",
		[EPC_LOOP_MSI]		= "msi",
	};

	return match_string(names, ARRAY_SIZE(names), doorbell);
}

/* What devres undoes is in the order of use; remove() goes before all of it. */
static int epc_loop_probe(struct platform_device *pdev)
{
	size_t share = rounddown(epc_loop_pool_size / instances, SZ_1M);
	struct epc_loop *loop;
	int ret;

	loop = devm_kzalloc(&pdev->dev, sizeof(*loop), GFP_KERNEL);
	if (!loop)
		return -ENOMEM;
	loop->dev = &pdev->dev;
	loop->id = pdev->id;
	loop->doorbell = doorbell_mode();
	epc_loop_claim(loop);
	epc_loop_reach_init(loop);
	platform_set_drvdata(pdev, loop);
	epc_loop_host_init(loop);
	ret = epc_loop_memory_init(loop, epc_loop_pool_base + loop->id * share,
				   share);
	if (!ret)
		ret = epc_loop_forward_init(loop);
	if (!ret)
		ret = remember_instance(loop);
	if (!ret)
		ret = epc_loop_msi_init(loop);
	if (!ret)
		ret = epc_loop_intx_init(loop);
	if (!ret)
		ret = epc_loop_doorbell_init(loop);
	if (!ret)
		ret = create_debugfs(loop);
	if (!ret)
		ret = create_epc(loop);
	return ret;
}

static void epc_loop_remove(struct platform_device *pdev)
{
	epc_loop_host_exit(platform_get_drvdata(pdev));
}

static struct platform_driver epc_loop_driver = {
	.probe	= epc_loop_probe,
	.remove	= epc_loop_remove,
	.driver	= {
		.name	= EPC_LOOP_NAME,
	},
};

static void remove_devices(void)
{
	int i;

	for (i = INSTANCES_MAX - 1; i >= 0; i--)
		platform_device_unregister(devices[i]);
}

static int create_devices(void)
{
	struct platform_device *pdev;
	int i;

	for (i = 0; i < instances; i++) {
		pdev = platform_device_register_simple(EPC_LOOP_NAME, i, NULL,
						       0);
		if (IS_ERR(pdev)) {
			remove_devices();
			return PTR_ERR(pdev);
		}
		devices[i] = pdev;
		if (!device_is_bound(&pdev->dev)) {
			remove_devices();
			return -ENODEV;
		}
	}
	return 0;
}

static int __init epc_loop_init(void)
{
	int ret;

	if (!instances || instances > INSTANCES_MAX || doorbell_mode() < 0) {
		pr_err("instances is 1 .. %d, doorbell poll, embedded or msi\n",
		       INSTANCES_MAX);
		return -EINVAL;
	}
	if (!epc_loop_features_valid()) {
		pr_err("align and window are powers of 2, windows 1 .. %d, msix 0 .. %d\n",
		       EPC_LOOP_REACHES, EPC_LOOP_MSIXS);
		return -EINVAL;
	}
	loop_ops.align_addr = epc_loop_aligns() ? loop_align_addr : NULL;
	ret = epc_loop_memory_register();
	if (ret)
		return ret;
	ret = platform_driver_register(&epc_loop_driver);
	if (ret)
		goto err_memory;
	ret = create_devices();
	if (ret)
		goto err_driver;
	return 0;

err_driver:
	platform_driver_unregister(&epc_loop_driver);
err_memory:
	epc_loop_memory_unregister();
	return ret;
}

static void __exit epc_loop_exit(void)
{
	remove_devices();
	platform_driver_unregister(&epc_loop_driver);
	epc_loop_memory_unregister();
}

module_init(epc_loop_init);
module_exit(epc_loop_exit);
MODULE_DESCRIPTION("PCI endpoint controller whose host is in the same kernel");
MODULE_LICENSE("GPL");
