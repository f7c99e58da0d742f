// SPDX-License-Identifier: GPL-2.0
/*
 * epc_loop: who gets which memory.
 *
 * Endpoint and host share one physical address space, and no access is
 * translated or copied: an address on the host's bus *is* the address of the
 * memory behind it. So the memory must be chosen before the drivers ask for
 * it, and given to the one that asks on the other side:
 *
 *   inbound window n	behind the n-th BAR that pci-epf-vntb reserves without
 *			memory; the endpoint's DMA allocator hands it out
 *   outbound window n	the n-th address that pci_epc_mem_alloc_addr() gives;
 *			the host's DMA allocator hands it out
 *
 * Both allocators go by order, as the drivers do. What set_bar() and map_addr()
 * are told later must name the very same memory; if not, epc_loop_broken().
 *
 * A function that maps whatever the host tells it takes other outbound windows:
 * see epc_loop_reach.c.
 */
#include <linux/bitmap.h>
#include <linux/dma-map-ops.h>
#include <linux/io.h>
#include <linux/ioport.h>
#include <linux/log2.h>

#include "epc_loop.h"

/* Where the kernel sees memory of the pool. */
void *epc_loop_virt(struct epc_loop *loop, phys_addr_t phys)
{
	return loop->virt + (phys - loop->base);
}

static phys_addr_t registers_base(struct epc_loop *loop)
{
	return loop->base + 2 * EPC_LOOP_WINDOWS * loop->window_size;
}

/* --- BARs: the host's way to inbound windows and registers --------------- */

/*
 * The instance that reserved a window last: see virtual_device_event(). Its
 * lock orders nothing here: configfs binds one function at a time.
 */
static struct epc_loop *last_bound;

static int reserve_window(struct epc_loop *loop, enum pci_barno barno,
			  size_t size)
{
	int n;

	for (n = 0; n < EPC_LOOP_WINDOWS; n++)
		if (loop->inbound[n].bar == NO_BAR)
			break;
	if (n == EPC_LOOP_WINDOWS || size > loop->window_size) {
		dev_err(loop->dev, "BAR%d: no window of %zu bytes is free\n",
			barno, size);
		return -ENOMEM;
	}
	loop->inbound[n].bar = barno;
	loop->inbound[n].size = size;
	loop->bar[barno].phys = loop->inbound[n].phys;
	loop->bar[barno].size = size;
	loop->bar[barno].window = n;
	WRITE_ONCE(last_bound, loop);
	return 0;
}

static int check_bar(struct epc_loop *loop, const struct pci_epf_bar *asked)
{
	struct epc_loop_bar *bar = &loop->bar[asked->barno];

	if (asked->phys_addr == bar->phys && asked->size == bar->size)
		return 0;
	epc_loop_broken(loop, "BAR%d leads to %pa+%zx, not to %pad+%zx",
			asked->barno, &bar->phys, bar->size, &asked->phys_addr,
			asked->size);
	return -EINVAL;
}

int epc_loop_set_bar(struct epc_loop *loop, const struct pci_epf_bar *asked)
{
	struct epc_loop_bar *bar = &loop->bar[asked->barno];

	guard(mutex)(&loop->lock);
	if (bar->size && bar->window >= 0)
		return check_bar(loop, asked);
	if (!asked->phys_addr)
		return reserve_window(loop, asked->barno, asked->size);
	if (loop->translates && bar->size)
		return epc_loop_redirect(loop, asked);
	if (!is_power_of_2(asked->size) ||
	    !IS_ALIGNED(asked->phys_addr, asked->size)) {
		epc_loop_broken(loop, "BAR%d: no BAR starts at %pad with %zx bytes",
				asked->barno, &asked->phys_addr, asked->size);
		return -EINVAL;
	}
	/* the other host's scratchpads, at an address that nobody else has */
	if (EPC_LOOP_BRIDGES && asked->barno == BAR_1)
		loop->bus_bar[BAR_1] = loop->inbound[0].phys;
	bar->phys = asked->phys_addr;
	bar->size = asked->size;
	bar->window = -1;
	bar->flags = asked->flags;
	return 0;
}

void epc_loop_clear_bar(struct epc_loop *loop, enum pci_barno barno)
{
	struct epc_loop_bar *bar = &loop->bar[barno];

	guard(mutex)(&loop->lock);
	epc_loop_restore(loop, barno);
	if (bar->size && bar->window >= 0)
		loop->inbound[bar->window].bar = NO_BAR;
	*bar = (struct epc_loop_bar){ .window = -1 };
}

/* What the host has behind a BAR; NULL: no memory of the pool. */
void *epc_loop_bar_memory(struct epc_loop *loop, enum pci_barno barno)
{
	struct epc_loop_bar *bar = &loop->bar[barno];
	phys_addr_t end = loop->base + EPC_LOOP_SHARE * loop->window_size;

	guard(mutex)(&loop->lock);
	if (!bar->size || bar->phys < loop->base || bar->phys >= end)
		return NULL;
	return epc_loop_virt(loop, bar->phys);
}

/* --- outbound windows: the endpoint's way to the host's memory ------------ */

static struct epc_loop_window *outbound_at(struct epc_loop *loop,
					   phys_addr_t phys)
{
	int n;

	for (n = 0; n < EPC_LOOP_WINDOWS; n++) {
		phys_addr_t start = loop->outbound[n].phys;

		/* window 0 of a bridge lies behind the doorbells */
		if (phys == start || (EPC_LOOP_BRIDGES && phys > start &&
				      phys < start + loop->window_size))
			return &loop->outbound[n];
	}
	return NULL;
}

int epc_loop_map(struct epc_loop *loop, phys_addr_t phys, u64 pci_addr,
		 size_t size)
{
	struct epc_loop_window *window;

	guard(mutex)(&loop->lock);
	window = outbound_at(loop, phys);
	if (window && pci_addr == phys &&
	    phys + size <= window->phys + loop->window_size) {
		window->size = size;
		return 0;
	}
	epc_loop_broken(loop, "outbound %pa+%zx is to reach %llx", &phys, size,
			pci_addr);
	return -EINVAL;
}

void epc_loop_unmap(struct epc_loop *loop, phys_addr_t phys)
{
	struct epc_loop_window *window;

	guard(mutex)(&loop->lock);
	if (EPC_LOOP_BRIDGES && phys == loop->db_phys) {
		WRITE_ONCE(loop->db_count, 0);
		return;
	}
	window = outbound_at(loop, phys);
	if (window)
		window->size = 0;
}

/* --- DMA allocators ------------------------------------------------------- */

static void *zeroed(struct epc_loop *loop, phys_addr_t phys, size_t size,
		    dma_addr_t *handle)
{
	*handle = phys;
	return memset(epc_loop_virt(loop, phys), 0, size);
}

static struct epc_loop_window *window_of(struct epc_loop_window *windows,
					 phys_addr_t phys)
{
	int n;

	for (n = 0; n < EPC_LOOP_WINDOWS; n++)
		if (windows[n].allocated && windows[n].phys == phys)
			return &windows[n];
	return NULL;
}

static phys_addr_t registers_alloc(struct epc_loop *loop, size_t size)
{
	int page = bitmap_find_free_region(loop->registers,
					   loop->register_pages,
					   get_order(size));

	if (page < 0)
		return 0;
	return registers_base(loop) + ((phys_addr_t)page << PAGE_SHIFT);
}

static phys_addr_t inbound_alloc(struct epc_loop *loop, size_t size)
{
	struct epc_loop_window *window;

	for (window = loop->inbound;
	     window < loop->inbound + EPC_LOOP_WINDOWS; window++)
		if (window->bar != NO_BAR && !window->allocated &&
		    window->size == size) {
			window->allocated = true;
			return window->phys;
		}
	return 0;
}

static struct epc_loop *endpoint_of(struct device *dev)
{
	struct epc_loop *loop, *found = NULL;

	guard(mutex)(&epc_loops_lock);
	list_for_each_entry(loop, &epc_loops, list)
		if (loop->dev == dev || loop->virtual_dev == dev)
			found = loop;
	return found;
}

static void *endpoint_alloc(struct device *dev, size_t size,
			    dma_addr_t *handle, gfp_t gfp, unsigned long attrs)
{
	struct epc_loop *loop = endpoint_of(dev);
	phys_addr_t phys;

	if (!loop)
		return NULL;
	guard(mutex)(&loop->lock);
	phys = inbound_alloc(loop, size);
	if (!phys)
		phys = registers_alloc(loop, size);
	return phys ? zeroed(loop, phys, size, handle) : NULL;
}

static void endpoint_free(struct device *dev, size_t size, void *virt,
			  dma_addr_t handle, unsigned long attrs)
{
	struct epc_loop *loop = endpoint_of(dev);
	struct epc_loop_window *window;

	if (!loop)
		return;
	guard(mutex)(&loop->lock);
	window = window_of(loop->inbound, handle);
	if (window)
		window->allocated = false;
	else
		bitmap_release_region(loop->registers,
				      (handle - registers_base(loop)) >> PAGE_SHIFT,
				      get_order(size));
}

static int count_reserved(struct epc_loop *loop)
{
	int n, count = 0;

	for (n = 0; n < EPC_LOOP_WINDOWS; n++)
		count += loop->inbound[n].bar != NO_BAR;
	return count;
}

/*
 * Of a host that pci-epf-ntb joins: its memory is where the other host's BARs
 * lead. The first lies behind the doorbells (struct epf_ntb_ctrl, mw1_offset).
 */
static phys_addr_t bridged_window(struct epc_loop *loop, int n)
{
	u32 *mw1_offset = epc_loop_virt(loop, loop->bar[BAR_0].phys) + 0x24;

	return loop->outbound[n].phys + (n ? 0 : *mw1_offset);
}

static void *bridged_alloc(struct epc_loop *loop, size_t size,
			   dma_addr_t *handle)
{
	int n;

	for (n = 0; n < EPC_LOOP_WINDOWS; n++)
		if (!loop->outbound[n].allocated) {
			phys_addr_t phys = bridged_window(loop, n);

			if (phys + size > loop->outbound[n].phys +
					  loop->window_size)
				return NULL;
			loop->outbound[n].allocated = true;
			return zeroed(loop, phys, size, handle);
		}
	return NULL;
}

static void *host_alloc(struct device *dev, size_t size, dma_addr_t *handle,
			gfp_t gfp, unsigned long attrs)
{
	struct epc_loop *loop = epc_loop_of_host(to_pci_dev(dev));
	int n;

	guard(mutex)(&loop->lock);
	if (EPC_LOOP_BRIDGES)
		return bridged_alloc(loop, size, handle);
	/* The endpoint has one outbound window for each that it reserved. */
	for (n = 0; n < count_reserved(loop); n++)
		if (!loop->outbound[n].allocated && size <= loop->window_size) {
			loop->outbound[n].allocated = true;
			return zeroed(loop, loop->outbound[n].phys, size,
				      handle);
		}
	return NULL;
}

static void host_free(struct device *dev, size_t size, void *virt,
		      dma_addr_t handle, unsigned long attrs)
{
	struct epc_loop *loop = epc_loop_of_host(to_pci_dev(dev));
	struct epc_loop_window *window;

	guard(mutex)(&loop->lock);
	window = EPC_LOOP_BRIDGES ? outbound_at(loop, handle) :
				    window_of(loop->outbound, handle);
	if (window)
		window->allocated = false;
}

static dma_addr_t map_identity(struct device *dev, phys_addr_t phys,
			       size_t size, enum dma_data_direction dir,
			       unsigned long attrs)
{
	return phys;
}

static void unmap_identity(struct device *dev, dma_addr_t handle, size_t size,
			   enum dma_data_direction dir, unsigned long attrs)
{
}

static const struct dma_map_ops endpoint_dma_ops = {
	.alloc		= endpoint_alloc,
	.free		= endpoint_free,
	.map_phys	= map_identity,
	.unmap_phys	= unmap_identity,
};

static const struct dma_map_ops host_dma_ops = {
	.alloc		= host_alloc,
	.free		= host_free,
};

void epc_loop_set_host_dma(struct pci_dev *pdev)
{
	struct epc_loop *loop = epc_loop_of_host(pdev);

	set_dma_ops(&pdev->dev, loop->translates ? &epc_loop_reach_ops :
						   &host_dma_ops);
}

/*
 * A pci-epf-vntb without get_dma_dev() lets ntb_transport allocate against the
 * virtual PCI device that it makes while it binds, right after it has reserved
 * its windows. Nothing else leads from that device to the controller.
 */
static int virtual_device_event(struct notifier_block *nb, unsigned long action,
				void *data)
{
	struct device *dev = data;
	struct epc_loop *loop;

	guard(mutex)(&epc_loops_lock);
	if (action == BUS_NOTIFY_BIND_DRIVER) {
		loop = READ_ONCE(last_bound);
		if (!loop || strcmp(dev->driver->name, "pci-vntb"))
			return NOTIFY_OK;
		loop->virtual_dev = dev;
		set_dma_ops(dev, &endpoint_dma_ops);
	} else if (action == BUS_NOTIFY_UNBOUND_DRIVER) {
		list_for_each_entry(loop, &epc_loops, list)
			if (loop->virtual_dev == dev) {
				loop->virtual_dev = NULL;
				set_dma_ops(dev, NULL);
			}
	}
	return NOTIFY_OK;
}

static struct notifier_block virtual_device_notifier = {
	.notifier_call = virtual_device_event,
};

int epc_loop_memory_register(void)
{
	return bus_register_notifier(&pci_bus_type, &virtual_device_notifier);
}

void epc_loop_memory_unregister(void)
{
	bus_unregister_notifier(&pci_bus_type, &virtual_device_notifier);
}

/* --- set-up --------------------------------------------------------------- */

static void forget(void *data)
{
	cmpxchg(&last_bound, data, NULL);
}

static void lay_out(struct epc_loop *loop, size_t size)
{
	int n;

	loop->window_size = rounddown_pow_of_two(size / EPC_LOOP_SHARE);
	for (n = 0; n < EPC_LOOP_WINDOWS; n++) {
		loop->outbound[n].phys = loop->base + n * loop->window_size;
		loop->outbound[n].bar = NO_BAR;
		loop->inbound[n].phys = loop->base +
			(EPC_LOOP_WINDOWS + n) * loop->window_size;
		loop->inbound[n].bar = NO_BAR;
	}
	for (n = 0; n < PCI_STD_NUM_BARS; n++)
		loop->bar[n].window = -1;
	loop->register_pages = loop->window_size >> PAGE_SHIFT;
}

int epc_loop_memory_init(struct epc_loop *loop, phys_addr_t base, size_t size)
{
	struct device *dev = loop->dev;
	int ret;

	loop->base = base;
	lay_out(loop, size);
	if (!IS_ALIGNED(base, loop->window_size) ||
	    loop->window_size < SZ_1M) {
		dev_err(dev, "%pa+%zx holds no aligned windows of 1 MiB\n",
			&base, size);
		return -EINVAL;
	}
	if (region_intersects(base, size, IORESOURCE_SYSTEM_RAM,
			      IORES_DESC_NONE) != REGION_DISJOINT) {
		epc_loop_broken(loop, "%pa+%zx belongs to the kernel: boot with memmap=",
				&base, size);
		return -EBUSY;
	}
	loop->virt = devm_memremap(dev, base, size, MEMREMAP_WB);
	if (IS_ERR(loop->virt))
		return PTR_ERR(loop->virt);
	loop->registers = devm_bitmap_zalloc(dev, loop->register_pages,
					     GFP_KERNEL);
	if (!loop->registers)
		return -ENOMEM;
	ret = devm_mutex_init(dev, &loop->lock);
	if (ret)
		return ret;
	set_dma_ops(dev, &endpoint_dma_ops);
	return devm_add_action_or_reset(dev, forget, loop);
}
