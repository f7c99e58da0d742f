/* SPDX-License-Identifier: GPL-2.0 */
/*
 * epc_loop - a software PCI endpoint controller whose host is in the same
 * kernel. docs/pair-rig.md draws its memory and its interrupts.
 *
 *   epc_loop_core.c	 the module, its instances, the endpoint controller
 *   epc_loop_memory.c	 who gets which memory: windows, registers, DMA
 *   epc_loop_host.c	 the host's view: configuration space and root bus
 *   epc_loop_msi.c	 interrupts from the endpoint to the host
 *   epc_loop_doorbell.c interrupts from the host to the endpoint
 *   epc_loop_features.c what it claims to endpoint functions
 *   epc_loop_reach.c	 outbound windows that translate: any memory of the host
 *   epc_loop_forward.c	 a BAR that is led elsewhere while the host uses it
 *   epc_loop_msix.c	 MSI-X and INTx
 *   epc_loop_bridge.c	 two controllers for pci-epf-ntb; CONFIG_EPC_LOOP_BRIDGE
 */
#ifndef EPC_LOOP_H
#define EPC_LOOP_H

#include <linux/irq_work.h>
#include <linux/of.h>
#include <linux/pci.h>
#include <linux/pci-epc.h>
#include <linux/pci-epf.h>
#include <linux/platform_device.h>
#include <linux/smp.h>

#define EPC_LOOP_NAME		"epc_loop"
#define EPC_LOOP_MSIS		32	/* of the MSI capability, PCI spec 6.8.1.3 */
#define EPC_LOOP_WINDOWS	4	/* pci-epf-vntb.c: MAX_MW */
#define EPC_LOOP_SHARE		(2 * EPC_LOOP_WINDOWS + 1)	/* windows, registers */
#define EPC_LOOP_BRIDGES	IS_ENABLED(CONFIG_EPC_LOOP_BRIDGE)
#define EPC_LOOP_MSI_CAP	0x50	/* where it lies in configuration space */
#define EPC_LOOP_MSIX_CAP	0x70
#define EPC_LOOP_MSIXS		2048	/* of the MSI-X capability, PCI spec 6.8.2 */
#define EPC_LOOP_REACHES	16	/* outbound windows that translate */
#define EPC_LOOP_CONFIG_SIZE	256
#define EPC_LOOP_DOMAIN		0x10	/* PCI domain of the first instance */

enum epc_loop_doorbell {
	EPC_LOOP_POLL,			/* the endpoint polls its memory */
	EPC_LOOP_EMBEDDED,		/* one interrupt for all slots */
	EPC_LOOP_MSI,			/* one interrupt a slot */
};

/**
 * struct epc_loop_vector - one interrupt of the endpoint function
 * @work: raises @virq in hard interrupt context, on this CPU
 * @call: the same, on another CPU
 * @virq: Linux' number of the interrupt; 0: the host has not allocated it
 * @cpu: where it is raised, by the host's affinity
 * @raised: calls of raise_irq() for it
 * @merged: those that found it pending
 */
struct epc_loop_vector {
	struct irq_work work;
	call_single_data_t call;
	unsigned int virq;
	unsigned int cpu;
	unsigned long raised;
	unsigned long merged;
};

/**
 * struct epc_loop_bar - one BAR of the endpoint function
 * @phys: its memory; also its address on the host's bus
 * @size: of the memory; 0: the BAR is not set
 * @window: number of the inbound window behind it, or -1
 * @flags: its type, as in the BAR
 * @sizing: the host has written all ones to learn the size
 */
struct epc_loop_bar {
	phys_addr_t phys;
	size_t size;
	int window;
	u32 flags;
	bool sizing;
};

/**
 * struct epc_loop_window - one memory window, the same in either direction
 * @phys: its memory
 * @bar: the BAR that leads to it; NO_BAR: unused, or outbound
 * @size: that the BAR or the mapping has
 * @allocated: a driver got it from its DMA allocator
 */
struct epc_loop_window {
	phys_addr_t phys;
	enum pci_barno bar;
	size_t size;
	bool allocated;
};

/**
 * struct epc_loop_reach - one outbound window that translates
 * @pci_addr: where it leads on the host's bus
 * @size: that it was mapped with; 0: it is not mapped
 * @before: what the endpoint found in it
 */
struct epc_loop_reach {
	u64 pci_addr;
	size_t size;
	void *before;
};

/**
 * struct epc_loop_edu - QEMU's "edu" device: a register that interrupts
 * @pdev: the device, or NULL
 * @regs: its registers
 * @phys: their address, also on the host's bus
 * @irq: its one MSI
 */
struct epc_loop_edu {
	struct pci_dev *pdev;
	void __iomem *regs;
	phys_addr_t phys;
	int irq;
};

/**
 * struct epc_loop - one instance: a controller, its memory, its host bus
 * @list: in the list of instances
 * @id: number of the instance
 * @dev: the controller's parent
 * @virtual_dev: PCI device of a pci-epf-vntb without get_dma_dev(), or NULL
 * @epc: the endpoint controller
 * @features: what it tells endpoint functions
 * @doorbell: how the host rings the endpoint
 * @lock: of @inbound to @broken
 * @base: the instance's share of the pool
 * @virt: the same, as the kernel sees it
 * @window_size: largest window, and the distance between two
 * @inbound: the host's BARs lead here; the endpoint's DMA memory
 * @outbound: the endpoint's outbound windows; the host's DMA memory
 * @registers: bitmap of pages for the endpoint's small allocations
 * @register_pages: its length
 * @bar: the function's BARs
 * @broken: identities that did not hold; a run with one is worthless
 * @config: the function's configuration space, BARs left out
 * @attach: attaches or detaches the host bus, as @started says
 * @started: configfs has started the controller
 * @sysdata: of the host bus
 * @bus: the host bus, or NULL
 * @busn: its bus number
 * @mem: its window to the pool
 * @db_mem: its window to the doorbell register
 * @msi_domain: the host bus' interrupts
 * @vector: its MSIs, or its MSI-Xs
 * @vectors: how many there may be
 * @msix_bar: the BAR that holds the MSI-X table
 * @msix_offset: where in it
 * @intx: its INTx
 * @refused: raise_irq() calls that no interrupt came of
 * @edu: the doorbell register
 * @db_domain: the interrupts behind the doorbell register: one a slot, or one
 * @db_irq: Linux' number of the one for all slots
 * @labels: what rings each slot of an embedded doorbell, in the function's BAR
 * @changeset: the nodes that lead a driver to @db_domain
 * @debugfs: the instance's folder
 * @bus_bar: addresses of BARs on the host's bus that differ from their memory
 * @db_phys: the other host's doorbell entries, in our outbound space
 * @db_entry: bytes of one
 * @db_count: how many lead to our host's MSIs
 * @translates: outbound windows lead to any memory of the host
 * @reach: those windows
 * @reach_size: largest mapping, and the distance between two
 * @dma: the host's memory that it let the endpoint reach
 * @dma_lock: of @dma
 * @strays: bytes that the endpoint wrote anywhere else, and mappings that never were
 * @forward: looks whether the host has written to @forwarded
 * @forwarded: the word of a BAR that leads to the doorbell register
 */
struct epc_loop {
	struct list_head list;
	int id;
	struct device *dev;
	struct device *virtual_dev;
	struct pci_epc *epc;
	struct pci_epc_features features;
	enum epc_loop_doorbell doorbell;

	struct mutex lock;	/* of @inbound to @broken */
	phys_addr_t base;
	void *virt;
	size_t window_size;
	struct epc_loop_window inbound[EPC_LOOP_WINDOWS];
	struct epc_loop_window outbound[EPC_LOOP_WINDOWS];
	unsigned long *registers;
	unsigned int register_pages;
	struct epc_loop_bar bar[PCI_STD_NUM_BARS];
	unsigned int broken;

	u8 config[EPC_LOOP_CONFIG_SIZE];
	struct work_struct attach;
	bool started;
	struct pci_sysdata sysdata;
	struct pci_bus *bus;
	struct resource busn;
	struct resource mem;
	struct resource db_mem;

	struct irq_domain *msi_domain;
	struct epc_loop_vector *vector;
	unsigned int vectors;
	enum pci_barno msix_bar;
	u32 msix_offset;
	struct epc_loop_vector intx;
	unsigned long refused;

	struct epc_loop_edu edu;
	struct irq_domain *db_domain;
	unsigned int db_irq;
	u32 *labels;
	struct of_changeset changeset;
	struct dentry *debugfs;

	phys_addr_t bus_bar[PCI_STD_NUM_BARS];
	phys_addr_t db_phys;
	u32 db_entry;
	u32 db_count;

	bool translates;
	struct epc_loop_reach reach[EPC_LOOP_REACHES];
	size_t reach_size;
	struct list_head dma;
	spinlock_t dma_lock;	/* of @dma */
	unsigned long strays;
	struct delayed_work forward;
	u32 *forwarded;
};

/* epc_loop_memory.c */
int epc_loop_memory_init(struct epc_loop *loop, phys_addr_t base, size_t size);
int epc_loop_set_bar(struct epc_loop *loop, const struct pci_epf_bar *asked);
void epc_loop_clear_bar(struct epc_loop *loop, enum pci_barno barno);
void *epc_loop_bar_memory(struct epc_loop *loop, enum pci_barno barno);
void *epc_loop_virt(struct epc_loop *loop, phys_addr_t phys);
int epc_loop_map(struct epc_loop *loop, phys_addr_t phys, u64 pci_addr,
		 size_t size);
void epc_loop_unmap(struct epc_loop *loop, phys_addr_t phys);
void epc_loop_set_host_dma(struct pci_dev *pdev);
int epc_loop_memory_register(void);
void epc_loop_memory_unregister(void);

/* epc_loop_host.c */
void epc_loop_host_init(struct epc_loop *loop);
void epc_loop_host_exit(struct epc_loop *loop);
void epc_loop_write_header(struct epc_loop *loop,
			   const struct pci_epf_header *header);
struct epc_loop *epc_loop_of_host(struct pci_dev *pdev);

/* epc_loop_msi.c */
int epc_loop_msi_init(struct epc_loop *loop);
void epc_loop_set_msi(struct epc_loop *loop, u8 count);
int epc_loop_get_msi(struct epc_loop *loop);
int epc_loop_raise_msi(struct epc_loop *loop, u16 number);

void epc_loop_raise(struct epc_loop_vector *vector);
void epc_loop_vector_init(struct epc_loop_vector *vector);
struct epc_loop_vector *epc_loop_vector_of(struct epc_loop *loop, u64 address,
					   u32 data);

/* epc_loop_msix.c */
int epc_loop_intx_init(struct epc_loop *loop);
int epc_loop_raise_intx(struct epc_loop *loop);
int epc_loop_set_msix(struct epc_loop *loop, u16 count, enum pci_barno barno,
		      u32 offset);
int epc_loop_get_msix(struct epc_loop *loop);
int epc_loop_raise_msix(struct epc_loop *loop, u16 number);

/* epc_loop_features.c */
bool epc_loop_features_valid(void);
void epc_loop_claim(struct epc_loop *loop);
size_t epc_loop_outbound_size(struct epc_loop *loop);
bool epc_loop_aligns(void);

/* epc_loop_reach.c */
extern const struct dma_map_ops epc_loop_reach_ops;
void epc_loop_reach_init(struct epc_loop *loop);
void epc_loop_reach_none(struct epc_loop *loop);
u64 epc_loop_align(struct epc_loop *loop, u64 pci_addr, size_t *size,
		   size_t *offset);
int epc_loop_reach(struct epc_loop *loop, phys_addr_t phys, u64 pci_addr,
		   size_t size);
void epc_loop_leave(struct epc_loop *loop, phys_addr_t phys);

/* epc_loop_forward.c */
int epc_loop_forward_init(struct epc_loop *loop);
int epc_loop_redirect(struct epc_loop *loop, const struct pci_epf_bar *asked);
void epc_loop_restore(struct epc_loop *loop, enum pci_barno barno);

/* epc_loop_doorbell.c */
phys_addr_t epc_loop_doorbell_register(struct epc_loop *loop);
void epc_loop_ring(struct epc_loop *loop, u32 val);
int epc_loop_doorbell_init(struct epc_loop *loop);
unsigned int epc_loop_doorbell_irqs(struct epc_loop *loop);
int epc_loop_doorbell_resource(struct epc_loop *loop,
			       struct pci_epc_aux_resource *resource);
void epc_loop_label_slots(struct epc_loop *loop);
void epc_loop_doorbell_debugfs(struct epc_loop *loop);

/* epc_loop_bridge.c */
int epc_loop_map_msi(struct epc_loop *loop, phys_addr_t phys, u8 count,
		     u32 entry, u32 *data, u32 *offset);

/* epc_loop_core.c */
extern ulong epc_loop_pool_base;
extern ulong epc_loop_pool_size;
extern struct list_head epc_loops;
extern struct mutex epc_loops_lock;
__printf(2, 3) void epc_loop_broken(struct epc_loop *loop, const char *fmt, ...);
void epc_loop_rung(struct epc_loop *loop, unsigned int slot);

#endif /* EPC_LOOP_H */
