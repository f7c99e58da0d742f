// SPDX-License-Identifier: GPL-2.0
/*
 * ntb_loop - a pair of NTB ports inside one kernel, to measure the way from a
 * doorbell to ntb_transport on the unmodified NTB core.
 *
 * Every two QEMU "ivshmem-plain" PCI functions make a pair. BAR 2 of a
 * function is the inbound memory of its port: the DMA operations of the
 * function hand out that BAR, and the outbound window of the peer is the
 * physical address of the same BAR, so nothing is ever copied.
 *
 * Doorbell bits are latched and maskable, and each is delivered from hard
 * interrupt context through an irq_work of its own.
 */
#include <linux/bits.h>
#include <linux/debugfs.h>
#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/io.h>
#include <linux/irq_work.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/ntb.h>
#include <linux/pci.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#define LOOP_PCI_VENDOR		0x1af4
#define LOOP_PCI_DEVICE		0x1110	/* QEMU's ivshmem */
#define LOOP_BAR		2
#define LOOP_SPADS		32
#define LOOP_DBS		16
#define LOOP_VALID_MASK		GENMASK_ULL(LOOP_DBS - 1, 0)
#define LOOP_WINDOWS		1
#define LOOP_ANNOUNCE_MS	50

struct loop_port;
struct loop_pair;

struct loop_db {
	struct irq_work work;
	struct loop_port *port;
	unsigned int bit;
	u64 rung;
	u64 delivered;
};

struct loop_port {
	struct ntb_dev ntb;
	struct pci_dev *pdev;
	struct loop_pair *pair;
	struct loop_port *peer;
	bool enabled;
	spinlock_t lock;	/* protects db_bits, db_mask and db[].rung */
	u64 db_bits;
	u64 db_mask;
	struct loop_db db[LOOP_DBS];
	u32 spad[LOOP_SPADS];
	phys_addr_t bar;
	resource_size_t bar_len;
	void __iomem *va;
	size_t used;
};

struct loop_pair {
	struct list_head entry;
	struct loop_port *port[2];
	struct delayed_work announce;
	struct dentry *debugfs;
	bool announced;
	bool registered;
};

static LIST_HEAD(loop_pairs);
static DEFINE_MUTEX(loop_mutex);	/* protects loop_pairs and vectors */

static struct dentry *loop_debugfs;
static const struct ntb_dev_ops loop_ops_fallback;
static const struct ntb_dev_ops loop_ops_vectors;

static unsigned int vectors;
static bool db_latched = true;

static struct loop_port *to_loop(struct ntb_dev *ntb)
{
	return container_of(ntb, struct loop_port, ntb);
}

static const struct ntb_dev_ops *loop_ops(void)
{
	return vectors ? &loop_ops_vectors : &loop_ops_fallback;
}

/*
 * ntb.h looks at the operations twice, first whether a callback is there and
 * then at the callback: change this only while no doorbell is on its way.
 */
static int vectors_set(const char *value, const struct kernel_param *kp)
{
	struct loop_pair *pair;
	int rc;

	mutex_lock(&loop_mutex);
	rc = param_set_uint_minmax(value, kp, 0, LOOP_DBS);
	if (!rc)
		list_for_each_entry(pair, &loop_pairs, entry)
			if (pair->registered) {
				WRITE_ONCE(pair->port[0]->ntb.ops, loop_ops());
				WRITE_ONCE(pair->port[1]->ntb.ops, loop_ops());
			}
	mutex_unlock(&loop_mutex);
	return rc;
}

static const struct kernel_param_ops vectors_param = {
	.set = vectors_set,
	.get = param_get_uint,
};
module_param_cb(vectors, &vectors_param, &vectors, 0644);
MODULE_PARM_DESC(vectors,
		 "0: no db_vector callbacks; k: bit b belongs to vector b % k");

static void loop_forget_delivered(struct loop_port *port)
{
	unsigned long flags;

	spin_lock_irqsave(&port->lock, flags);
	port->db_bits &= port->db_mask;
	spin_unlock_irqrestore(&port->lock, flags);
}

/*
 * While db_read() reads 0 nobody clears a bit: bits that were delivered
 * meanwhile must not show up once it reads the latch again.
 */
static int db_latched_set(const char *value, const struct kernel_param *kp)
{
	struct loop_pair *pair;
	int rc;

	mutex_lock(&loop_mutex);
	rc = param_set_bool(value, kp);
	if (!rc)
		list_for_each_entry(pair, &loop_pairs, entry)
			if (pair->registered) {
				loop_forget_delivered(pair->port[0]);
				loop_forget_delivered(pair->port[1]);
			}
	mutex_unlock(&loop_mutex);
	return rc;
}

static const struct kernel_param_ops db_latched_param = {
	.flags = KERNEL_PARAM_OPS_FL_NOARG,
	.set = db_latched_set,
	.get = param_get_bool,
};
module_param_cb(db_latched, &db_latched_param, &db_latched, 0644);
MODULE_PARM_DESC(db_latched,
		 "db_read() shows a rung bit until db_clear(); N: always 0");

/* DMA memory of a port: its BAR, handed out from the start */

static void *loop_dma_alloc(struct device *dev, size_t size, dma_addr_t *handle,
			    gfp_t gfp, unsigned long attrs)
{
	struct loop_port *port = dev_get_drvdata(dev);
	size_t offset = port->used;

	size = PAGE_ALIGN(size);
	if (size > port->bar_len - offset)
		return NULL;
	port->used += size;
	memset_io(port->va + offset, 0, size);
	*handle = port->bar + offset;
	return (void __force *)port->va + offset;
}

static void loop_dma_free(struct device *dev, size_t size, void *va,
			  dma_addr_t handle, unsigned long attrs)
{
	struct loop_port *port = dev_get_drvdata(dev);
	size_t offset = handle - port->bar;

	/* a stack: what was handed out last can be handed out again */
	if (port->used == offset + PAGE_ALIGN(size))
		port->used = offset;
}

static const struct dma_map_ops loop_dma_ops = {
	.alloc = loop_dma_alloc,
	.free = loop_dma_free,
};

/* link */

static u64 loop_link_is_up(struct ntb_dev *ntb, enum ntb_speed *speed,
			   enum ntb_width *width)
{
	if (speed)
		*speed = NTB_SPEED_GEN3;
	if (width)
		*width = NTB_WIDTH_4;
	return READ_ONCE(to_loop(ntb)->pair->announced);
}

/*
 * The probe of ntb_transport raises a link event while the peer is absent.
 * That queues its link cleanup, which cancels the link work and zeroes the
 * scratchpads; an announcement before it has run would be lost.
 */
static void loop_announce(struct work_struct *work)
{
	struct loop_pair *pair = container_of(to_delayed_work(work),
					      struct loop_pair, announce);

	WRITE_ONCE(pair->announced, true);
	ntb_link_event(&pair->port[0]->ntb);
	ntb_link_event(&pair->port[1]->ntb);
}

static int loop_link_enable(struct ntb_dev *ntb, enum ntb_speed max_speed,
			    enum ntb_width max_width)
{
	struct loop_port *port = to_loop(ntb);

	port->enabled = true;
	if (port->peer->enabled)
		schedule_delayed_work(&port->pair->announce,
				      msecs_to_jiffies(LOOP_ANNOUNCE_MS));
	return 0;
}

static int loop_link_disable(struct ntb_dev *ntb)
{
	struct loop_port *port = to_loop(ntb);

	port->enabled = false;
	WRITE_ONCE(port->pair->announced, false);
	return 0;
}

/* memory windows */

static int loop_mw_count(struct ntb_dev *ntb, int pidx)
{
	return LOOP_WINDOWS;
}

static int loop_peer_mw_count(struct ntb_dev *ntb)
{
	return LOOP_WINDOWS;
}

static int loop_mw_get_align(struct ntb_dev *ntb, int pidx, int widx,
			     resource_size_t *addr_align,
			     resource_size_t *size_align,
			     resource_size_t *size_max)
{
	if (addr_align)
		*addr_align = PAGE_SIZE;
	if (size_align)
		*size_align = PAGE_SIZE;
	if (size_max)
		*size_max = to_loop(ntb)->bar_len;
	return 0;
}

static int loop_mw_set_trans(struct ntb_dev *ntb, int pidx, int widx,
			     dma_addr_t addr, resource_size_t size)
{
	/* nothing translates: the buffer must lie where the peer writes */
	return addr == to_loop(ntb)->bar ? 0 : -EINVAL;
}

static int loop_mw_clear_trans(struct ntb_dev *ntb, int pidx, int widx)
{
	return 0;
}

static int loop_peer_mw_get_addr(struct ntb_dev *ntb, int widx,
				 phys_addr_t *base, resource_size_t *size)
{
	struct loop_port *peer = to_loop(ntb)->peer;

	if (base)
		*base = peer->bar;
	if (size)
		*size = peer->bar_len;
	return 0;
}

/* doorbells */

static unsigned int loop_vector(unsigned int bit)
{
	unsigned int count = READ_ONCE(vectors);

	return count ? bit % count : bit;
}

static void loop_interrupt(struct irq_work *work)
{
	struct loop_db *db = container_of(work, struct loop_db, work);

	db->delivered++;
	ntb_db_event(&db->port->ntb, loop_vector(db->bit));
}

/* An interrupt that is still pending takes the next ring in, as a latch does */
static void loop_raise(struct loop_port *port, u64 bits)
{
	unsigned int bit;

	for (bit = 0; bit < LOOP_DBS; bit++)
		if (bits & BIT_ULL(bit))
			irq_work_queue(&port->db[bit].work);
}

static u64 loop_db_valid_mask(struct ntb_dev *ntb)
{
	return LOOP_VALID_MASK;
}

static int loop_db_vector_count(struct ntb_dev *ntb)
{
	return vectors;
}

static u64 loop_db_vector_mask(struct ntb_dev *ntb, int db_vector)
{
	u64 mask = 0;
	unsigned int bit;

	for (bit = 0; bit < LOOP_DBS; bit++)
		if (loop_vector(bit) == db_vector)
			mask |= BIT_ULL(bit);
	return mask;
}

static u64 loop_db_read(struct ntb_dev *ntb)
{
	return db_latched ? READ_ONCE(to_loop(ntb)->db_bits) : 0;
}

static int loop_db_clear(struct ntb_dev *ntb, u64 db_bits)
{
	struct loop_port *port = to_loop(ntb);
	unsigned long flags;

	spin_lock_irqsave(&port->lock, flags);
	port->db_bits &= ~db_bits;
	spin_unlock_irqrestore(&port->lock, flags);
	return 0;
}

static int loop_db_set_mask(struct ntb_dev *ntb, u64 db_bits)
{
	struct loop_port *port = to_loop(ntb);
	unsigned long flags;

	if (db_bits & ~LOOP_VALID_MASK)
		return -EINVAL;
	spin_lock_irqsave(&port->lock, flags);
	port->db_mask |= db_bits;
	spin_unlock_irqrestore(&port->lock, flags);
	return 0;
}

static int loop_db_clear_mask(struct ntb_dev *ntb, u64 db_bits)
{
	struct loop_port *port = to_loop(ntb);
	unsigned long flags;
	u64 fire;

	if (db_bits & ~LOOP_VALID_MASK)
		return -EINVAL;
	spin_lock_irqsave(&port->lock, flags);
	fire = port->db_mask & db_bits & port->db_bits;
	port->db_mask &= ~db_bits;
	spin_unlock_irqrestore(&port->lock, flags);
	loop_raise(port, fire);
	return 0;
}

static int loop_peer_db_set(struct ntb_dev *ntb, u64 db_bits)
{
	struct loop_port *peer = to_loop(ntb)->peer;
	unsigned long flags;
	unsigned int bit;
	u64 fire;

	if (db_bits & ~LOOP_VALID_MASK)
		return -EINVAL;
	spin_lock_irqsave(&peer->lock, flags);
	for (bit = 0; bit < LOOP_DBS; bit++)
		if (db_bits & BIT_ULL(bit))
			peer->db[bit].rung++;
	peer->db_bits |= db_bits;
	fire = db_bits & ~peer->db_mask;
	spin_unlock_irqrestore(&peer->lock, flags);
	loop_raise(peer, fire);
	return 0;
}

/* scratchpads: a write to the peer's lands in the peer's own registers */

static int loop_spad_count(struct ntb_dev *ntb)
{
	return LOOP_SPADS;
}

static u32 loop_spad_read(struct ntb_dev *ntb, int sidx)
{
	return READ_ONCE(to_loop(ntb)->spad[sidx]);
}

static int loop_spad_write(struct ntb_dev *ntb, int sidx, u32 value)
{
	WRITE_ONCE(to_loop(ntb)->spad[sidx], value);
	return 0;
}

static u32 loop_peer_spad_read(struct ntb_dev *ntb, int pidx, int sidx)
{
	return READ_ONCE(to_loop(ntb)->peer->spad[sidx]);
}

static int loop_peer_spad_write(struct ntb_dev *ntb, int pidx, int sidx,
				u32 value)
{
	WRITE_ONCE(to_loop(ntb)->peer->spad[sidx], value);
	return 0;
}

#define LOOP_OPS_COMMON					\
	.link_is_up = loop_link_is_up,			\
	.link_enable = loop_link_enable,		\
	.link_disable = loop_link_disable,		\
	.mw_count = loop_mw_count,			\
	.mw_get_align = loop_mw_get_align,		\
	.mw_set_trans = loop_mw_set_trans,		\
	.mw_clear_trans = loop_mw_clear_trans,		\
	.peer_mw_count = loop_peer_mw_count,		\
	.peer_mw_get_addr = loop_peer_mw_get_addr,	\
	.db_valid_mask = loop_db_valid_mask,		\
	.db_read = loop_db_read,			\
	.db_clear = loop_db_clear,			\
	.db_set_mask = loop_db_set_mask,		\
	.db_clear_mask = loop_db_clear_mask,		\
	.peer_db_set = loop_peer_db_set,		\
	.spad_count = loop_spad_count,			\
	.spad_read = loop_spad_read,			\
	.spad_write = loop_spad_write,			\
	.peer_spad_read = loop_peer_spad_read,		\
	.peer_spad_write = loop_peer_spad_write

static const struct ntb_dev_ops loop_ops_fallback = {
	LOOP_OPS_COMMON,
};

static const struct ntb_dev_ops loop_ops_vectors = {
	LOOP_OPS_COMMON,
	.db_vector_count = loop_db_vector_count,
	.db_vector_mask = loop_db_vector_mask,
};

/* debugfs: what was rung at each port and what came of it */

static int stats_show(struct seq_file *file, void *unused)
{
	struct loop_pair *pair = file->private;
	struct loop_db *db;
	int i, bit;

	for (i = 0; i < 2; i++)
		for (bit = 0; bit < LOOP_DBS; bit++) {
			db = &pair->port[i]->db[bit];
			seq_printf(file, "port %d bit %d rung %llu delivered %llu\n",
				   i, bit, db->rung, db->delivered);
		}
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(stats);

/* pairs */

/* Put the port into the pair that waits for its second, or into a new one */
static int loop_join(struct loop_port *port)
{
	struct loop_pair *pair;

	list_for_each_entry(pair, &loop_pairs, entry)
		if (!pair->port[1]) {
			pair->port[1] = port;
			port->pair = pair;
			port->peer = pair->port[0];
			port->peer->peer = port;
			return 0;
		}
	pair = kzalloc(sizeof(*pair), GFP_KERNEL);
	if (!pair)
		return -ENOMEM;
	INIT_DELAYED_WORK(&pair->announce, loop_announce);
	pair->port[0] = port;
	port->pair = pair;
	list_add_tail(&pair->entry, &loop_pairs);
	return 0;
}

static void loop_leave(struct loop_port *port)
{
	struct loop_pair *pair = port->pair;

	if (pair->port[0] == port)
		pair->port[0] = pair->port[1];
	pair->port[1] = NULL;
	if (pair->port[0])
		return;
	list_del(&pair->entry);
	kfree(pair);
}

static int loop_register(struct loop_pair *pair)
{
	int rc;

	pair->port[0]->ntb.topo = NTB_TOPO_B2B_USD;
	pair->port[1]->ntb.topo = NTB_TOPO_B2B_DSD;
	pair->port[0]->ntb.ops = loop_ops();
	pair->port[1]->ntb.ops = loop_ops();
	rc = ntb_register_device(&pair->port[0]->ntb);
	if (rc)
		return rc;
	rc = ntb_register_device(&pair->port[1]->ntb);
	if (rc) {
		ntb_unregister_device(&pair->port[0]->ntb);
		return rc;
	}
	pair->registered = true;
	pair->debugfs = debugfs_create_dir(pci_name(pair->port[0]->pdev),
					   loop_debugfs);
	debugfs_create_file("stats", 0400, pair->debugfs, pair, &stats_fops);
	return 0;
}

/* Both ports go when the first is removed: neither is a device without the other */
static void loop_unregister(struct loop_pair *pair)
{
	int i, bit;

	if (!pair->registered)
		return;
	pair->registered = false;
	debugfs_remove_recursive(pair->debugfs);
	for (i = 0; i < 2; i++)
		ntb_unregister_device(&pair->port[i]->ntb);
	cancel_delayed_work_sync(&pair->announce);
	for (i = 0; i < 2; i++)
		for (bit = 0; bit < LOOP_DBS; bit++)
			irq_work_sync(&pair->port[i]->db[bit].work);
}

/* PCI */

static int loop_map_bar(struct loop_port *port)
{
	struct pci_dev *pdev = port->pdev;
	int rc;

	rc = pcim_enable_device(pdev);
	if (rc)
		return rc;
	rc = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(64));
	if (rc)
		return rc;
	port->bar = pci_resource_start(pdev, LOOP_BAR);
	port->bar_len = pci_resource_len(pdev, LOOP_BAR);
	/* write-combining, as ntb_transport maps the same pages */
	port->va = devm_ioremap_wc(&pdev->dev, port->bar, port->bar_len);
	return port->va ? 0 : -ENOMEM;
}

static void loop_init_doorbells(struct loop_port *port)
{
	unsigned int bit;

	spin_lock_init(&port->lock);
	port->db_mask = LOOP_VALID_MASK;
	for (bit = 0; bit < LOOP_DBS; bit++) {
		port->db[bit].work = IRQ_WORK_INIT_HARD(loop_interrupt);
		port->db[bit].port = port;
		port->db[bit].bit = bit;
	}
}

static int loop_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct loop_port *port;
	int rc;

	port = devm_kzalloc(&pdev->dev, sizeof(*port), GFP_KERNEL);
	if (!port)
		return -ENOMEM;
	port->pdev = pdev;
	port->ntb.pdev = pdev;
	loop_init_doorbells(port);
	rc = loop_map_bar(port);
	if (rc)
		return rc;
	pci_set_drvdata(pdev, port);
	set_dma_ops(&pdev->dev, &loop_dma_ops);

	mutex_lock(&loop_mutex);
	rc = loop_join(port);
	if (rc)
		goto err_dma;
	if (port->peer) {
		rc = loop_register(port->pair);
		if (rc)
			goto err_leave;
	}
	mutex_unlock(&loop_mutex);
	return 0;

err_leave:
	port->peer->peer = NULL;
	loop_leave(port);
err_dma:
	mutex_unlock(&loop_mutex);
	set_dma_ops(&pdev->dev, NULL);
	return rc;
}

static void loop_remove(struct pci_dev *pdev)
{
	struct loop_port *port = pci_get_drvdata(pdev);

	mutex_lock(&loop_mutex);
	loop_unregister(port->pair);
	if (port->peer)
		port->peer->peer = NULL;
	loop_leave(port);
	mutex_unlock(&loop_mutex);
	set_dma_ops(&pdev->dev, NULL);
}

static const struct pci_device_id loop_ids[] = {
	{ PCI_DEVICE(LOOP_PCI_VENDOR, LOOP_PCI_DEVICE) },
	{ }
};
MODULE_DEVICE_TABLE(pci, loop_ids);

static struct pci_driver loop_driver = {
	.name = "ntb_loop",
	.id_table = loop_ids,
	.probe = loop_probe,
	.remove = loop_remove,
};

static int __init loop_init(void)
{
	int rc;

	loop_debugfs = debugfs_create_dir("ntb_loop", NULL);
	rc = pci_register_driver(&loop_driver);
	if (rc)
		debugfs_remove(loop_debugfs);
	return rc;
}

static void __exit loop_exit(void)
{
	pci_unregister_driver(&loop_driver);
	debugfs_remove(loop_debugfs);
}

module_init(loop_init);
module_exit(loop_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("A loopback pair of NTB ports");
