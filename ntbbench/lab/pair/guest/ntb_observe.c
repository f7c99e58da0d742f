// SPDX-License-Identifier: GPL-2.0
/*
 * ntb_observe: what either driver of the pair does, asked through its own
 * operations and seen from the wire. No name of a driver's function is used.
 *
 * A client of both NTB devices, loaded before ntb_transport and gone before it
 * comes. Reading /sys/kernel/debug/ntb_observe makes the observations, a line
 * "SIDE KEY=VALUE" each:
 *
 *   masks	db_valid_mask, db_vector_count, db_vector_mask of every vector
 *   slots	each interrupt slot is rung as a correct peer would; which
 *		vectors and link events the driver reports, what db_read shows
 *		and db_clear leaves
 *   rings	each bit is rung by the driver; which slots the wire carries
 *
 * With "probe" it asks more, of what no traffic of ntb_transport shows:
 *
 *   together	pairs of slots and 0x15 at once, cleared bit by bit; one slot
 *		with its bits masked, one masked while it is pending
 *   pairs	pairs of bits and 0x15 in one ring, bits outside the valid
 *		mask, a ring before the work of another one has run, rings while
 *		it runs
 *   rest	interrupts that a handler said were not its own
 *
 * All bits are cleared afterwards.
 *
 * With CONFIG_EPC_LOOP_BRIDGE both devices are hosts that pci-epf-ntb joins, ep
 * the first. What a host rings is seen as the MSI of the other one; what its
 * table says is asked by ntb_bridge.
 */
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/io.h>
#include <linux/irq.h>
#include <linux/irqdesc.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/ntb.h>
#include <linux/pci.h>
#include <linux/pci-epc.h>
#include <linux/seq_file.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include "epc_loop.h"

/* What the endpoint publishes in BAR 0: the wire between the two drivers. */
#define CTRL_BAR	0
#define DB_BAR		2
#define DB_ENTRY_SIZE	0x30
#define DB_DATA(n)	(0x34 + (n) * 4)
#define DB_OFFSET(n)	(0xb4 + (n) * 4)
#define TABLE_SLOTS	32

#define EDU_STATUS	0x24	/* QEMU's edu: bits raised, not acknowledged */
#define FIRST_DB_SLOT	2	/* slot 0: link, 1: never used */
#define RINGS		14	/* bits that both sides have slots for */
#define SEVERAL		0x15ULL	/* bits 0, 2 and 4 */
#define NO_SLOT_BIT	20	/* beyond the slots of the root complex */
#define FAR_BIT		40	/* no driver's ffs() sees it */
#define VECTORS		33	/* one more than any driver reports */
#define SEEN_MAX	64
#define POLL_MS		20	/* three polls of the endpoint */
#define WORK_MS		5	/* deferred work, and the interrupt it raises */
#define WORK_RINGS	12	/* more than the snapshots that a work takes at once */
#define BUFFER_SIZE	SZ_64K

/* What raises an MSI, and which of its arguments is the number. */
#if EPC_LOOP_BRIDGES
#define RAISE		"epc_loop_raise_msi"
#define RAISE_NUMBER	1
#else
#define RAISE		"pci_epc_raise_irq"
#define RAISE_NUMBER	4
#endif

static char *ep = "0000:10:00.0";
module_param(ep, charp, 0444);
MODULE_PARM_DESC(ep, "PCI address of the endpoint's NTB device");

static char *rc = "0010:00:00.0";
module_param(rc, charp, 0444);
MODULE_PARM_DESC(rc, "PCI address of the root complex's NTB device");

static bool polled = true;
module_param(polled, bool, 0444);
MODULE_PARM_DESC(polled, "the endpoint polls its doorbells");

static unsigned int slots = 8;
module_param(slots, uint, 0444);
MODULE_PARM_DESC(slots, "slots of the endpoint: its db_count");

static bool probe;
module_param(probe, bool, 0444);
MODULE_PARM_DESC(probe, "ask also what no traffic of ntb_transport shows");

struct seen_event {
	int vector;
	u64 read;
};

/**
 * struct side - one NTB device and what it was seen to do
 * @name:	"ep" or "rc"
 * @ntb:	the device; NULL: there is none
 * @links:	calls of ntb_link_event()
 * @lock:	protects what follows
 * @events:	calls of ntb_db_event(), with db_read() at that moment
 * @count:	how many
 * @work:	the work function that called, of a driver that polls
 */
struct side {
	const char *name;
	struct ntb_dev *ntb;
	atomic_t links;
	spinlock_t lock;	/* events, count, work */
	struct seen_event events[SEEN_MAX];
	unsigned int count;
	work_func_t work;
};

static struct side sides[] = {
	{ .name = "ep", .lock = __SPIN_LOCK_UNLOCKED(sides[0].lock) },
	{ .name = "rc", .lock = __SPIN_LOCK_UNLOCKED(sides[1].lock) },
};

#define EP	(&sides[0])
#define RC	(&sides[1])

/* Whether a side has ntb_hw_epf: its doorbells are MSIs of a controller. */
static bool is_host(const struct side *side)
{
	return EPC_LOOP_BRIDGES || side == RC;
}

static void __iomem *ctrl;
static void __iomem *doorbells;
static struct pci_epc *epcs[EPC_LOOP_BRIDGES ? 2 : 1];
static struct dentry *file;

static u32 raised[SEEN_MAX];	/* MSI numbers, 1-based */
static atomic_t raised_count;
static atomic_t vector_lookups;
static atomic_t work_rings;	/* left to make while deferred work raises */
static struct task_struct *ringer;	/* no deferred work of the driver's */

/* --- what is seen --------------------------------------------------------- */

static void see_event(void *ctx, int vector)
{
	struct side *side = ctx;
	struct work_struct *work = current_work();
	u64 read = ntb_db_read(side->ntb);
	unsigned long flags;

	spin_lock_irqsave(&side->lock, flags);
	if (side->count < SEEN_MAX)
		side->events[side->count++] = (struct seen_event){
			.vector = vector, .read = read };
	if (work)
		side->work = work->func;
	spin_unlock_irqrestore(&side->lock, flags);
}

static void see_link(void *ctx)
{
	struct side *side = ctx;

	atomic_inc(&side->links);
}

static const struct ntb_ctx_ops ctx_ops = {
	.link_event	= see_link,
	.db_event	= see_event,
};

static int see_raise(struct kprobe *probe, struct pt_regs *regs)
{
	int n = atomic_inc_return(&raised_count) - 1;

	if (n < SEEN_MAX)
		raised[n] = (u16)regs_get_kernel_argument(regs, RAISE_NUMBER);
	if (current != ringer && atomic_dec_if_positive(&work_rings) >= 0)
		ntb_peer_db_set(EP->ntb, BIT_ULL(n & 1));
	return 0;
}

static int see_lookup(struct kprobe *probe, struct pt_regs *regs)
{
	atomic_inc(&vector_lookups);
	return 0;
}

static struct kprobe raise_probe = {
	.symbol_name	= RAISE,
	.pre_handler	= see_raise,
};

static struct kprobe lookup_probe = {
	.symbol_name	= "pci_irq_vector",
	.pre_handler	= see_lookup,
};

static void forget(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(sides); i++) {
		spin_lock_irq(&sides[i].lock);
		sides[i].count = 0;
		spin_unlock_irq(&sides[i].lock);
		atomic_set(&sides[i].links, 0);
	}
	atomic_set(&raised_count, 0);
}

/* --- the wire ------------------------------------------------------------- */

static void __iomem *word(unsigned int slot)
{
	return doorbells + readl(ctrl + DB_ENTRY_SIZE) * slot +
	       readl(ctrl + DB_OFFSET(slot));
}

/* Rings a slot of the endpoint as its table tells a peer to. */
static void ring_ep(unsigned int slot)
{
	writel(readl(ctrl + DB_DATA(slot)), word(slot));
	msleep(polled ? POLL_MS : WORK_MS);
	if (polled)
		writel(0, word(slot));
}

static void raise(struct side *side, unsigned int slot)
{
	struct pci_epc *epc = epcs[EPC_LOOP_BRIDGES ? side - sides : 0];

	pci_epc_raise_irq(epc, 0, 0, PCI_IRQ_MSI, slot + 1);
}

static void ring_host(struct side *side, unsigned int slot)
{
	raise(side, slot);
	msleep(WORK_MS);
}

static void ring_slot(struct side *side, unsigned int slot)
{
	if (is_host(side))
		ring_host(side, slot);
	else
		ring_ep(slot);
}

/* The slots whose words the root complex has just written. */
static void show_written(struct seq_file *s)
{
	u32 status = polled ? 0 : readl(doorbells + EDU_STATUS);
	unsigned int slot;

	for (slot = 0; slot < TABLE_SLOTS; slot++) {
		u32 found = polled ? readl(word(slot)) :
			    readl(ctrl + DB_DATA(slot)) & status;

		if (!found)
			continue;
		seq_printf(s, " %u", slot);
		if (polled)
			writel(0, word(slot));
	}
}

static void show_raised(struct seq_file *s)
{
	int n = min(atomic_read(&raised_count), SEEN_MAX);
	int i;

	for (i = 0; i < n; i++)
		seq_printf(s, " %d", (int)raised[i] - 1);
}

/* The slots that the endpoint's table lets a peer ring. */
static void show_table(struct seq_file *s, struct side *side)
{
	unsigned int slot;

	seq_printf(s, "%s slots filled=", side->name);
	for (slot = 0; slot < TABLE_SLOTS; slot++)
		if (readl(ctrl + DB_DATA(slot)))
			seq_printf(s, " %u", slot);
	seq_puts(s, "\n");
}

/* --- observations --------------------------------------------------------- */

static void show_functions(struct seq_file *s, struct side *side)
{
	seq_printf(s, "%s function peer_db_set=0x%lx\n", side->name,
		   (unsigned long)side->ntb->ops->peer_db_set);
	if (side->work)
		seq_printf(s, "%s function poll=0x%lx\n", side->name,
			   (unsigned long)side->work);
}

/* The handlers of the root complex's interrupts, each once. */
static void show_handlers(struct seq_file *s, struct side *side)
{
	irq_handler_t last = NULL;
	int irq, i;

	for (i = 0; (irq = pci_irq_vector(side->ntb->pdev, i)) > 0; i++) {
		struct irq_data *data = irq_get_irq_data(irq);
		struct irqaction *action = data ?
			irq_data_to_desc(data)->action : NULL;

		if (!action || action->handler == last)
			continue;
		last = action->handler;
		seq_printf(s, "%s function isr=0x%lx\n", side->name,
			   (unsigned long)last);
	}
}

static void show_masks(struct seq_file *s, struct side *side)
{
	int vector;

	seq_printf(s, "%s db_valid_mask=%#llx\n", side->name,
		   ntb_db_valid_mask(side->ntb));
	seq_printf(s, "%s db_vector_count=%d\n", side->name,
		   ntb_db_vector_count(side->ntb));
	for (vector = probe ? -1 : 0; vector < VECTORS; vector++)
		seq_printf(s, "%s db_vector_mask(%d)=%#llx\n", side->name,
			   vector, ntb_db_vector_mask(side->ntb, vector));
}

static void show_vectors(struct seq_file *s, struct side *side)
{
	unsigned int i;

	for (i = 0; i < side->count; i++)
		seq_printf(s, " %d", side->events[i].vector);
	seq_puts(s, "\n");
}

static void show_events(struct seq_file *s, struct side *side,
			unsigned int slot)
{
	unsigned int i;

	seq_printf(s, "%s slot %u, vectors=", side->name, slot);
	show_vectors(s, side);
	seq_printf(s, "%s slot %u, db_read in the events=", side->name,
		   slot);
	for (i = 0; i < side->count; i++)
		seq_printf(s, " %#llx", side->events[i].read);
	seq_puts(s, "\n");
}

static void show_slot(struct seq_file *s, struct side *side, unsigned int slot)
{
	u64 read;

	forget();
	ring_slot(side, slot);
	if (probe)
		seq_printf(s, "%s slot %u, link events=%d\n", side->name, slot,
			   atomic_read(&side->links));
	show_events(s, side, slot);
	read = ntb_db_read(side->ntb);
	ntb_db_clear(side->ntb, read);
	seq_printf(s, "%s slot %u, db_read=%#llx\n", side->name, slot, read);
	seq_printf(s, "%s slot %u, db_read after db_clear=%#llx\n", side->name,
		   slot, ntb_db_read(side->ntb));
}

/* Two slots together, and one bit of them cleared. */
static void show_clear(struct seq_file *s, struct side *side)
{
	ring_slot(side, FIRST_DB_SLOT);
	ring_slot(side, FIRST_DB_SLOT + 1);
	seq_printf(s, "%s slots 2 and 3, db_read=%#llx\n", side->name,
		   ntb_db_read(side->ntb));
	ntb_db_clear(side->ntb, BIT_ULL(0));
	seq_printf(s, "%s slots 2 and 3, db_read after db_clear(0x1)=%#llx\n",
		   side->name, ntb_db_read(side->ntb));
	ntb_db_clear(side->ntb, ~0ULL);
	seq_printf(s, "%s slots 2 and 3, db_read after db_clear of all=%#llx\n",
		   side->name, ntb_db_read(side->ntb));
}

/* Lets the driver ring; @then: at once after it, before deferred work runs. */
static int ring_peer(struct side *side, u64 bits, u64 then)
{
	int ret, again;

	if (!then)
		return ntb_peer_db_set(side->ntb, bits);
	preempt_disable();	/* as in netdev's transmit path */
	ret = ntb_peer_db_set(side->ntb, bits);
	again = ntb_peer_db_set(side->ntb, then);
	preempt_enable();
	return ret ?: again;
}

static void show_rings(struct seq_file *s, struct side *side, u64 bits,
		       u64 then)
{
	struct side *peer = side == EP ? RC : EP;
	unsigned long flags;
	char name[64];
	int ret;

	if (then)
		snprintf(name, sizeof(name), "%s peer_db_set(%#llx), then (%#llx)",
			 side->name, bits, then);
	else
		snprintf(name, sizeof(name), "%s peer_db_set(%#llx)",
			 side->name, bits);
	forget();
	seq_printf(s, "%s, slots=", name);
	if (!EPC_LOOP_BRIDGES && side == RC) {
		local_irq_save(flags);	/* before the endpoint takes them */
		ret = ring_peer(side, bits, then);
		show_written(s);
		local_irq_restore(flags);
	} else {
		ret = ring_peer(side, bits, then);
	}
	msleep(WORK_MS);
	if (EPC_LOOP_BRIDGES || side == EP)
		show_raised(s);
	seq_printf(s, "\n%s=%d\n", name, ret);
	ntb_db_clear(peer->ntb, ~0ULL);
}

static void show_ring(struct seq_file *s, struct side *side, u64 bits)
{
	show_rings(s, side, bits, 0);
}

/* --- what no traffic shows ------------------------------------------------- */

/* What db_read shows; then less each of @clears, the last of them all bits. */
static void show_clearing(struct seq_file *s, struct side *side,
			  const u64 *clears, unsigned int count)
{
	unsigned int i;

	seq_printf(s, " %#llx", ntb_db_read(side->ntb));
	for (i = 0; i < count; i++) {
		ntb_db_clear(side->ntb, clears[i]);
		seq_printf(s, " %#llx", ntb_db_read(side->ntb));
	}
	ntb_db_clear(side->ntb, ~0ULL);
	seq_puts(s, "\n");
}

static void show_pair(struct seq_file *s, struct side *side,
		      unsigned int first, unsigned int second)
{
	u64 clears[] = { BIT_ULL(first), BIT_ULL(second) };

	ring_slot(side, FIRST_DB_SLOT + first);
	ring_slot(side, FIRST_DB_SLOT + second);
	seq_printf(s, "%s bits %u and %u, db_read as they are cleared=",
		   side->name, first, second);
	show_clearing(s, side, clears, ARRAY_SIZE(clears));
}

/* Bits 0, 2 and 4 before the driver is let to any of them. */
static void show_several(struct seq_file *s, struct side *side,
			 unsigned int bits)
{
	u64 clears[] = { BIT_ULL(2), ~SEVERAL, BIT_ULL(0), BIT_ULL(4) };
	unsigned int bit;

	forget();
	for (bit = 0; bit <= 4 && bit < bits; bit += 2) {
		unsigned int slot = FIRST_DB_SLOT + bit;

		if (is_host(side))
			raise(side, slot);
		else if (polled)
			writel(readl(ctrl + DB_DATA(slot)), word(slot));
		else
			ring_ep(slot);	/* one word for all may merge rings */
	}
	msleep(POLL_MS);
	seq_printf(s, "%s bits 0x15 at once, vectors=", side->name);
	show_vectors(s, side);
	seq_printf(s, "%s bits 0x15 at once, db_read as they are cleared=",
		   side->name);
	show_clearing(s, side, clears, ARRAY_SIZE(clears));
	if (is_host(side) || !polled)
		return;
	for (bit = 0; bit <= 4; bit += 2)
		writel(0, word(FIRST_DB_SLOT + bit));
}

/* Neither driver masks a doorbell: it says so by doing nothing. */
static void show_masked(struct seq_file *s, struct side *side)
{
	u64 valid = ntb_db_valid_mask(side->ntb);
	u64 clears[] = { valid };

	forget();
	seq_printf(s, "%s db_set_mask=%d\n", side->name,
		   ntb_db_set_mask(side->ntb, valid));
	ring_slot(side, FIRST_DB_SLOT);
	seq_printf(s, "%s slot 2 masked, vectors=", side->name);
	show_vectors(s, side);
	seq_printf(s, "%s slot 2 masked, db_read as it is cleared=",
		   side->name);
	show_clearing(s, side, clears, ARRAY_SIZE(clears));
	seq_printf(s, "%s db_clear_mask=%d\n", side->name,
		   ntb_db_clear_mask(side->ntb, valid));
}

/* Nor does it forget one, or report it again, that was pending before. */
static void show_pending_masked(struct seq_file *s, struct side *side)
{
	u64 valid = ntb_db_valid_mask(side->ntb);

	ring_slot(side, FIRST_DB_SLOT);
	forget();
	ntb_db_set_mask(side->ntb, valid);
	seq_printf(s, "%s slot 2 pending, db_read masked, unmasked= %#llx",
		   side->name, ntb_db_read(side->ntb));
	ntb_db_clear_mask(side->ntb, valid);
	seq_printf(s, " %#llx\n", ntb_db_read(side->ntb));
	seq_printf(s, "%s slot 2 pending, then masked and unmasked, vectors=",
		   side->name);
	show_vectors(s, side);
	ntb_db_clear(side->ntb, ~0ULL);
}

/* Every bit with its neighbour and with bit 0. */
static void probe_receiver(struct seq_file *s, struct side *side,
			   unsigned int count)
{
	unsigned int bits = clamp_t(int, count - FIRST_DB_SLOT, 0, RINGS), bit;

	for (bit = 1; bit < bits; bit++) {
		show_pair(s, side, bit, bit - 1);
		show_pair(s, side, 0, bit);
	}
	show_several(s, side, bits);
	show_masked(s, side);
	show_pending_masked(s, side);
}

/* Rings that come while deferred work raises others; a driver without raises once. */
static void show_rings_of_work(struct seq_file *s, struct side *side)
{
	forget();
	ringer = current;
	atomic_set(&work_rings, WORK_RINGS);
	ntb_peer_db_set(side->ntb, BIT_ULL(0));
	msleep(POLL_MS);
	atomic_set(&work_rings, 0);
	seq_printf(s, "%s peer_db_set from its own work, slots=", side->name);
	show_raised(s);
	seq_puts(s, "\n");
	ntb_db_clear(RC->ntb, ~0ULL);
}

static void probe_sender(struct seq_file *s, struct side *side)
{
	unsigned int bit;

	if (!is_host(side))
		show_rings_of_work(s, side);
	for (bit = 1; bit < RINGS; bit++) {
		show_ring(s, side, BIT_ULL(bit) | BIT_ULL(bit - 1));
		if (bit > 1)
			show_ring(s, side, BIT_ULL(bit) | BIT_ULL(0));
		show_rings(s, side, BIT_ULL(bit), BIT_ULL(bit - 1));
		show_rings(s, side, BIT_ULL(0), BIT_ULL(bit));
	}
	show_ring(s, side, SEVERAL);
	show_ring(s, side, BIT_ULL(1) | BIT_ULL(FAR_BIT));
	show_ring(s, side, BIT_ULL(NO_SLOT_BIT));
}

/* A handler that did its work and says that it had none. */
static void show_unhandled(struct seq_file *s, struct side *side)
{
	unsigned int count = 0;
	int irq, i;

	for (i = 0; (irq = pci_irq_vector(side->ntb->pdev, i)) > 0; i++) {
		struct irq_data *data = irq_get_irq_data(irq);

		count += data && irq_data_to_desc(data)->irqs_unhandled;
	}
	seq_printf(s, "%s irqs not handled=%u\n", side->name, count);
}

static unsigned int slots_of(struct side *side)
{
	unsigned int count = 0;

	if (!is_host(side))
		return slots;
	while (pci_irq_vector(side->ntb->pdev, count) > 0)
		count++;
	return count;
}

static void observe_receiver(struct seq_file *s, struct side *side)
{
	unsigned int count = slots_of(side), slot;

	show_masks(s, side);
	if (!is_host(side))
		show_table(s, side);
	atomic_set(&vector_lookups, 0);
	for (slot = 0; slot < count; slot++)
		show_slot(s, side, slot);
	show_clear(s, side);
	if (probe)
		probe_receiver(s, side, count);
	if (is_host(side))
		seq_printf(s, "%s irq looked up by the handler=%s\n",
			   side->name,
			   atomic_read(&vector_lookups) ? "yes" : "no");
	if (is_host(side) && probe)
		show_unhandled(s, side);
}

static void observe_sender(struct seq_file *s, struct side *side)
{
	unsigned int bit;

	for (bit = 0; bit < RINGS; bit++)
		show_ring(s, side, BIT_ULL(bit));
	show_ring(s, side, GENMASK_ULL(RINGS - 1, 0));
	if (probe)
		probe_sender(s, side);
	show_functions(s, side);
	if (is_host(side))
		show_handlers(s, side);
}

static int observe_show(struct seq_file *s, void *unused)
{
	if (!EP->ntb || !RC->ntb)
		return -ENODEV;
	/* a bit that a driver does not clear is told of its receiver first */
	observe_receiver(s, EP);
	observe_receiver(s, RC);
	observe_sender(s, EP);
	observe_sender(s, RC);
	return 0;
}

static int observe_open(struct inode *inode, struct file *opened)
{
	return single_open_size(opened, observe_show, NULL, BUFFER_SIZE);
}

static const struct file_operations observe_fops = {
	.owner		= THIS_MODULE,
	.open		= observe_open,
	.read		= seq_read,
	.llseek		= seq_lseek,
	.release	= single_release,
};

/* --- devices -------------------------------------------------------------- */

static int map_wire(struct pci_dev *pdev)
{
	ctrl = pci_ioremap_bar(pdev, CTRL_BAR);
	doorbells = pci_ioremap_bar(pdev, DB_BAR);
	if (ctrl && doorbells)
		return 0;
	if (ctrl)
		iounmap(ctrl);
	if (doorbells)
		iounmap(doorbells);
	return -ENOMEM;
}

static int observe_probe(struct ntb_client *client, struct ntb_dev *ntb)
{
	const char *name = pci_name(ntb->pdev);
	struct side *side = !strcmp(name, ep) ? EP : RC;
	int ret;

	if (side == RC && strcmp(name, rc))
		return -ENODEV;
	if (!EPC_LOOP_BRIDGES && side == RC) {
		ret = map_wire(ntb->pdev);
		if (ret)
			return ret;
	}
	side->ntb = ntb;
	return ntb_set_ctx(ntb, side, &ctx_ops);
}

static void observe_remove(struct ntb_client *client, struct ntb_dev *ntb)
{
	ntb_clear_ctx(ntb);
	if (EPC_LOOP_BRIDGES || RC->ntb != ntb)
		return;
	iounmap(ctrl);
	iounmap(doorbells);
}

static struct ntb_client observe_client = {
	.ops = {
		.probe	= observe_probe,
		.remove	= observe_remove,
	},
};

static void put_epcs(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(epcs); i++)
		pci_epc_put(epcs[i]);	/* NULL: nothing */
}

static int get_epcs(void)
{
	static const char * const names[] = { "epc_loop.0", "epc_loop.1" };
	int i;

	for (i = 0; i < ARRAY_SIZE(epcs); i++) {
		struct pci_epc *epc = pci_epc_get(names[i]);

		if (IS_ERR(epc)) {
			put_epcs();
			return PTR_ERR(epc);
		}
		epcs[i] = epc;
	}
	return 0;
}

static int __init observe_init(void)
{
	int ret;

	ret = get_epcs();
	if (ret)
		return ret;
	ret = register_kprobe(&raise_probe);
	if (ret)
		goto err_epc;
	ret = register_kprobe(&lookup_probe);
	if (ret)
		goto err_raise;
	ret = ntb_register_client(&observe_client);
	if (ret)
		goto err_lookup;
	file = debugfs_create_file("ntb_observe", 0400, NULL, NULL,
				   &observe_fops);
	return 0;

err_lookup:
	unregister_kprobe(&lookup_probe);
err_raise:
	unregister_kprobe(&raise_probe);
err_epc:
	put_epcs();
	return ret;
}
module_init(observe_init);

static void __exit observe_exit(void)
{
	debugfs_remove(file);
	ntb_unregister_client(&observe_client);
	unregister_kprobe(&lookup_probe);
	unregister_kprobe(&raise_probe);
	put_epcs();
}
module_exit(observe_exit);

MODULE_DESCRIPTION("Observe what the two NTB drivers of a pair do");
MODULE_LICENSE("GPL");
