// SPDX-License-Identifier: GPL-2.0
/*
 * epc_loop: outbound windows that translate, to any memory of the host.
 *
 * Nothing can make one address of a processor lead to another's memory while a
 * driver uses it, so a window is a copy: it is filled when the endpoint maps it,
 * and what was written to it goes to the host when the endpoint unmaps it. What
 * the host changes in between is not seen, and a window that stays mapped shows
 * nothing new: good for a transfer, not for a queue that is watched.
 *
 * The host's memory is what its driver mapped for DMA, at an address that no
 * processor knows. Elsewhere an endpoint reads all ones. What it writes there, or
 * to memory that the host let it read alone, is lost, counted and told.
 */
#include <linux/dma-map-ops.h>
#include <linux/mm.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>

#include "epc_loop.h"

#define BUS_OFFSET	BIT_ULL(40)	/* between physical and bus addresses */

/**
 * struct host_memory - a piece of memory that the host mapped for DMA
 * @list: in the list of the instance
 * @bus: its address on the bus
 * @size: of it
 * @dir: what the endpoint may do
 */
struct host_memory {
	struct list_head list;
	dma_addr_t bus;
	size_t size;
	enum dma_data_direction dir;
};

static u8 *host_virt(u64 bus)
{
	return phys_to_virt(bus - BUS_OFFSET);
}

/* --- the host's side ------------------------------------------------------ */

static dma_addr_t map_phys(struct device *dev, phys_addr_t phys, size_t size,
			   enum dma_data_direction dir, unsigned long attrs)
{
	struct epc_loop *loop = epc_loop_of_host(to_pci_dev(dev));
	struct host_memory *memory;

	if (attrs & DMA_ATTR_MMIO)
		return DMA_MAPPING_ERROR;
	memory = kmalloc_obj(*memory, GFP_ATOMIC);
	if (!memory)
		return DMA_MAPPING_ERROR;
	memory->bus = phys + BUS_OFFSET;
	memory->size = size;
	memory->dir = dir;
	guard(spinlock_irqsave)(&loop->dma_lock);
	list_add_tail(&memory->list, &loop->dma);
	return memory->bus;
}

static void unmap_phys(struct device *dev, dma_addr_t handle, size_t size,
		       enum dma_data_direction dir, unsigned long attrs)
{
	struct epc_loop *loop = epc_loop_of_host(to_pci_dev(dev));
	struct host_memory *memory;

	guard(spinlock_irqsave)(&loop->dma_lock);
	list_for_each_entry(memory, &loop->dma, list)
		if (memory->bus == handle && memory->size == size) {
			list_del(&memory->list);
			kfree(memory);
			return;
		}
	loop->strays++;
	dev_err(loop->dev, "the host unmaps %pad+%zx, which it has not mapped\n",
		&handle, size);
}

static void unmap_sg(struct device *dev, struct scatterlist *first, int count,
		     enum dma_data_direction dir, unsigned long attrs)
{
	struct scatterlist *sg;
	int i;

	for_each_sg(first, sg, count, i)
		unmap_phys(dev, sg_dma_address(sg), sg_dma_len(sg), dir, attrs);
}

static int map_sg(struct device *dev, struct scatterlist *first, int count,
		  enum dma_data_direction dir, unsigned long attrs)
{
	struct scatterlist *sg;
	int i;

	for_each_sg(first, sg, count, i) {
		sg_dma_address(sg) = map_phys(dev, sg_phys(sg), sg->length,
					      dir, attrs);
		if (sg_dma_address(sg) == DMA_MAPPING_ERROR) {
			unmap_sg(dev, first, i, dir, attrs);
			return -EIO;
		}
		sg_dma_len(sg) = sg->length;
	}
	return count;
}

static void *alloc(struct device *dev, size_t size, dma_addr_t *handle,
		   gfp_t gfp, unsigned long attrs)
{
	void *virt = alloc_pages_exact(size, gfp | __GFP_ZERO);

	if (!virt)
		return NULL;
	*handle = map_phys(dev, virt_to_phys(virt), size, DMA_BIDIRECTIONAL, 0);
	if (*handle != DMA_MAPPING_ERROR)
		return virt;
	free_pages_exact(virt, size);
	return NULL;
}

static void free(struct device *dev, size_t size, void *virt, dma_addr_t handle,
		 unsigned long attrs)
{
	unmap_phys(dev, handle, size, DMA_BIDIRECTIONAL, 0);
	free_pages_exact(virt, size);
}

static int supports(struct device *dev, u64 mask)
{
	return mask >= 2 * BUS_OFFSET - 1;
}

const struct dma_map_ops epc_loop_reach_ops = {
	.alloc		= alloc,
	.free		= free,
	.map_phys	= map_phys,
	.unmap_phys	= unmap_phys,
	.map_sg		= map_sg,
	.unmap_sg	= unmap_sg,
	.dma_supported	= supports,
};

/* --- the endpoint's side -------------------------------------------------- */

/* What of a window leads to one piece of the host's memory. */
struct overlap {
	u8 *host;
	size_t offset;
	size_t size;
};

static bool overlaps(const struct epc_loop_reach *reach,
		     const struct host_memory *memory, struct overlap *found)
{
	u64 start = max(reach->pci_addr, memory->bus);
	u64 end = min(reach->pci_addr + reach->size,
		      memory->bus + memory->size);

	if (start >= end)
		return false;
	found->host = host_virt(start);
	found->offset = start - reach->pci_addr;
	found->size = end - start;
	return true;
}

static void fill(struct epc_loop *loop, struct epc_loop_reach *reach, u8 *window)
{
	struct host_memory *memory;
	struct overlap part;

	memset(window, 0xff, reach->size);
	scoped_guard(spinlock_irqsave, &loop->dma_lock)
		list_for_each_entry(memory, &loop->dma, list)
			if (overlaps(reach, memory, &part))
				memcpy(window + part.offset, part.host,
				       part.size);
	memcpy(reach->before, window, reach->size);
}

/* Only what the endpoint wrote: the host may have changed the rest. */
static void write_back(struct epc_loop *loop, struct epc_loop_reach *reach,
		       const u8 *window)
{
	struct host_memory *memory;
	u8 *before = reach->before;
	struct overlap part;
	size_t i;

	guard(spinlock_irqsave)(&loop->dma_lock);
	list_for_each_entry(memory, &loop->dma, list) {
		if (memory->dir == DMA_TO_DEVICE ||
		    !overlaps(reach, memory, &part))
			continue;
		for (i = 0; i < part.size; i++) {
			size_t at = part.offset + i;

			if (window[at] != before[at])
				part.host[i] = window[at];
			before[at] = window[at];
		}
	}
}

static void count_strays(struct epc_loop *loop, struct epc_loop_reach *reach,
			 const u8 *window)
{
	const u8 *before = reach->before;
	size_t i, first = reach->size, count = 0;

	for (i = 0; i < reach->size; i++)
		if (window[i] != before[i]) {
			first = min(first, i);
			count++;
		}
	if (!count)
		return;
	loop->strays += count;
	dev_err(loop->dev, "the endpoint writes %zu bytes from %llx, where the host lets it write none\n",
		count, reach->pci_addr + first);
}

static struct epc_loop_reach *reach_at(struct epc_loop *loop, phys_addr_t phys)
{
	size_t n = (phys - loop->base) / loop->reach_size;

	if (phys < loop->base || n >= EPC_LOOP_REACHES ||
	    !IS_ALIGNED(phys - loop->base, loop->reach_size))
		return NULL;
	return &loop->reach[n];
}

/* What a function has to map to reach @size bytes, or the first of them. */
u64 epc_loop_align(struct epc_loop *loop, u64 pci_addr, size_t *size,
		   size_t *offset)
{
	size_t align = loop->features.align;

	*offset = pci_addr & (align - 1);
	*size = min(ALIGN(*offset + *size, align), loop->reach_size);
	return pci_addr - *offset;
}

int epc_loop_reach(struct epc_loop *loop, phys_addr_t phys, u64 pci_addr,
		   size_t size)
{
	struct epc_loop_reach *reach = reach_at(loop, phys);

	guard(mutex)(&loop->lock);
	if (!reach || reach->size)
		return -EINVAL;
	if (!IS_ALIGNED(pci_addr, loop->features.align) ||
	    size > loop->reach_size) {
		dev_err(loop->dev, "no window leads to %llx+%zx: its alignment is %zx, its size %zx\n",
			pci_addr, size, loop->features.align, loop->reach_size);
		return -EINVAL;
	}
	reach->before = kvmalloc(size, GFP_KERNEL);
	if (!reach->before)
		return -ENOMEM;
	reach->pci_addr = pci_addr;
	reach->size = size;
	fill(loop, reach, epc_loop_virt(loop, phys));
	return 0;
}

void epc_loop_leave(struct epc_loop *loop, phys_addr_t phys)
{
	struct epc_loop_reach *reach = reach_at(loop, phys);

	guard(mutex)(&loop->lock);
	if (!reach || !reach->size)
		return;
	write_back(loop, reach, epc_loop_virt(loop, phys));
	count_strays(loop, reach, epc_loop_virt(loop, phys));
	kvfree(reach->before);
	*reach = (struct epc_loop_reach){};
}

/* The host is gone: it has nothing mapped any more. */
void epc_loop_reach_none(struct epc_loop *loop)
{
	struct host_memory *memory, *next;

	guard(spinlock_irqsave)(&loop->dma_lock);
	list_for_each_entry_safe(memory, next, &loop->dma, list) {
		loop->strays++;
		dev_err(loop->dev, "the host leaves %pad+%zx mapped\n",
			&memory->bus, memory->size);
		list_del(&memory->list);
		kfree(memory);
	}
}

void epc_loop_reach_init(struct epc_loop *loop)
{
	INIT_LIST_HEAD(&loop->dma);
	spin_lock_init(&loop->dma_lock);
}
