// SPDX-License-Identifier: GPL-2.0
/*
 * ntb_probe: link, scratchpads and memory windows of the two drivers, asked
 * through their own operations and held against the wire between them.
 *
 * A client of both NTB devices, loaded before ntb_transport and gone before it
 * comes. Reading /sys/kernel/debug/ntb_probe asks, a line "SIDE KEY=VALUE" for
 * each answer. The link is down afterwards, as it was, and the windows are free.
 *
 * With "registers" it is no client: it reads the doorbell registers of devices
 * that ntb_transport has.
 *
 * With CONFIG_EPC_LOOP_BRIDGE both devices are hosts that pci-epf-ntb joins, ep
 * the first. Each is held against its own BARs; where those lead is asked by
 * ntb_bridge.
 */
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/dma-mapping.h>
#include <linux/io.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/ntb.h>
#include <linux/pci.h>
#include <linux/seq_file.h>
#include <linux/string_choices.h>

#include "epc_loop.h"
#include "epc_loop_writel.h"

/* What the endpoint publishes in BAR 0: the wire between the two drivers. */
#define CTRL_BAR	0
#define PEER_SPAD_BAR	1		/* of a host that pci-epf-ntb joins */
#define COMMAND		0x00
#define ARGUMENT	0x04
#define STATUS		0x08
#define LINK		0x0a
#define ADDR		0x10
#define SIZE		0x18
#define SPAD_OFFSET	0x28
#define SPAD_COUNT	0x2c

#define CONFIGURE_DOORBELL	1
#define TEARDOWN_DOORBELL	2
#define CONFIGURE_MW		3
#define TEARDOWN_MW		4
#define LINK_UP			5
#define LINK_DOWN		6
#define TRIES			400	/* of 5 ms: an endpoint may look every 500 ms */

#define WINDOWS		4
#define FAR_ADDR	0x123456789000ULL	/* no memory: only its words are looked at */
#define FAR_SIZE	SZ_8K
#define BUFFER_SIZE	SZ_16K

static char *ep = "0000:10:00.0";
module_param(ep, charp, 0444);
MODULE_PARM_DESC(ep, "PCI address of the endpoint's NTB device");

static char *rc = "0010:00:00.0";
module_param(rc, charp, 0444);
MODULE_PARM_DESC(rc, "PCI address of the root complex's NTB device");

static bool registers;
module_param(registers, bool, 0444);
MODULE_PARM_DESC(registers, "only read the doorbell registers of both devices");

/**
 * struct window - memory that the peer reaches through a window
 * @virt:	as its owner sees it
 * @addr:	as its owner's device does
 * @size:	in bytes; 0: there is none
 */
struct window {
	void *virt;
	dma_addr_t addr;
	resource_size_t size;
};

/**
 * struct side - one NTB device
 * @name:	"ep" or "rc"
 * @ntb:	the device; NULL: there is none
 * @events:	calls of ntb_link_event()
 * @windows:	what its peer reaches
 * @ctrl:	of a host, its BAR 0; of an endpoint, that of its host
 * @peer_spads:	of a host that pci-epf-ntb joins, its BAR 1
 */
struct side {
	const char *name;
	struct ntb_dev *ntb;
	atomic_t events;
	struct window windows[WINDOWS];
	void __iomem *ctrl;
	void __iomem *peer_spads;
};

static struct side sides[] = { { .name = "ep" }, { .name = "rc" } };

#define EP	(&sides[0])
#define RC	(&sides[1])

static struct dentry *file;

/* What the endpoint's driver asked its controller for. */
static phys_addr_t mapped, unmapped;
static u64 mapped_addr, mapped_size;
static bool far;	/* a window leads to no memory: the controller is not told */

static int see_map(struct kprobe *probe, struct pt_regs *regs)
{
	mapped = regs->cx;
	mapped_addr = regs->r8;
	mapped_size = regs->r9;
	if (far)
		regs->r8 = regs->cx;
	return 0;
}

static int see_unmap(struct kprobe *probe, struct pt_regs *regs)
{
	unmapped = regs->cx;
	return 0;
}

static struct kprobe map_probe = {
	.symbol_name	= "pci_epc_map_addr",
	.pre_handler	= see_map,
};

static struct kprobe unmap_probe = {
	.symbol_name	= "pci_epc_unmap_addr",
	.pre_handler	= see_unmap,
};

static struct kprobe *kprobes[] = { &map_probe, &unmap_probe };

static void see_link(void *ctx)
{
	struct side *side = ctx;

	atomic_inc(&side->events);
}

static const struct ntb_ctx_ops ctx_ops = {
	.link_event = see_link,
};

/* --- link ------------------------------------------------------------------ */

static int is_up(struct side *side)
{
	return !!(ntb_link_is_up(side->ntb, NULL, NULL) & BIT_ULL(0));
}

/* Sends a command as a correct root complex would; what the endpoint says. */
static int send(struct side *side, u32 command, u32 argument)
{
	int tries, status;

	writel(argument, side->ctrl + ARGUMENT);
	writel(command, side->ctrl + COMMAND);
	for (tries = 0; tries < TRIES; tries++) {
		status = readw(side->ctrl + STATUS);
		if (status)
			break;
		usleep_range(5000, 6000);
	}
	writew(0, side->ctrl + STATUS);
	return status;
}

static void show_command(struct seq_file *s, const char *name, u32 command)
{
	int status;

	atomic_set(&EP->events, 0);
	status = send(EP, command, 0);
	seq_printf(s, "ep command %s, status=%d\n", name, status);
	seq_printf(s, "ep command %s, link events=%d\n", name,
		   atomic_read(&EP->events));
	seq_printf(s, "ep command %s, link_is_up=%d\n", name, is_up(EP));
}

static void show_endpoint_link(struct seq_file *s)
{
	show_command(s, "CONFIGURE_DOORBELL", CONFIGURE_DOORBELL);
	show_command(s, "LINK_UP", LINK_UP);
	show_command(s, "LINK_DOWN", LINK_DOWN);
	show_command(s, "TEARDOWN_DOORBELL", TEARDOWN_DOORBELL);
	seq_printf(s, "ep link_enable=%d\n",
		   ntb_link_enable(EP->ntb, NTB_SPEED_AUTO, NTB_WIDTH_AUTO));
	seq_printf(s, "ep link_enable, link_is_up=%d\n", is_up(EP));
	seq_printf(s, "ep link_disable=%d\n", ntb_link_disable(EP->ntb));
}

static int link_status(struct side *side)
{
	return readw(side->ctrl + LINK);
}

static void show_is_up(struct seq_file *s, struct side *side)
{
	int status;

	for (status = 1; status >= 0; status--) {
		writew(status, side->ctrl + LINK);
		seq_printf(s, "%s link status %d, link_is_up=%d\n", side->name,
			   status, is_up(side));
	}
}

static void show_host_link(struct seq_file *s)
{
	show_is_up(s, RC);
	seq_printf(s, "rc link_enable=%d\n",
		   ntb_link_enable(RC->ntb, NTB_SPEED_AUTO, NTB_WIDTH_AUTO));
	seq_printf(s, "rc link_enable, link status=%d\n", link_status(RC));
	seq_printf(s, "rc link_disable=%d\n", ntb_link_disable(RC->ntb));
	seq_printf(s, "rc link_disable, link status=%d\n", link_status(RC));
}

/* A host's calls do what its commands do, whatever that is; the other is up. */
static void show_joined_link(struct seq_file *s, struct side *side)
{
	struct side *peer = side == EP ? RC : EP;
	int up, down;

	show_is_up(s, side);
	send(peer, LINK_UP, 0);
	send(side, LINK_UP, 0);
	up = link_status(side);
	send(side, LINK_DOWN, 0);
	down = link_status(side);
	seq_printf(s, "%s link_enable=%d\n", side->name,
		   ntb_link_enable(side->ntb, NTB_SPEED_AUTO, NTB_WIDTH_AUTO));
	seq_printf(s, "%s link_enable does as LINK_UP=%s\n", side->name,
		   str_yes_no(link_status(side) == up));
	seq_printf(s, "%s link_disable=%d\n", side->name,
		   ntb_link_disable(side->ntb));
	seq_printf(s, "%s link_disable does as LINK_DOWN=%s\n", side->name,
		   str_yes_no(link_status(side) == down));
	send(peer, LINK_DOWN, 0);
}

/* --- scratchpads ------------------------------------------------------------ */

/* A side's own scratchpad on the wire: in one BAR the root complex's are first. */
static void __iomem *spad(struct side *side, int idx)
{
	void __iomem *ctrl = side->ctrl;
	u32 own = !EPC_LOOP_BRIDGES && side == EP ? readl(ctrl + SPAD_COUNT) : 0;

	return ctrl + readl(ctrl + SPAD_OFFSET) + 4 * (own + idx);
}

/* Where a side has its peer's. */
static void __iomem *peer_spad(struct side *side, int idx)
{
	if (EPC_LOOP_BRIDGES)
		return side->peer_spads + 4 * idx;
	return spad(side == EP ? RC : EP, idx);
}

static u32 pattern(struct side *side, int idx)
{
	return (side == EP ? 0x5a000000 : 0xa5000000) + idx * 0x10101;
}

enum spad_op { SPAD_READ, SPAD_WRITE, SPAD_PEER_READ, SPAD_PEER_WRITE, SPAD_OPS };

static const char * const spad_names[] = {
	[SPAD_READ] = "spad_read", [SPAD_WRITE] = "spad_write",
	[SPAD_PEER_READ] = "peer_spad_read", [SPAD_PEER_WRITE] = "peer_spad_write",
};

/* Carries out @op; a write that is refused leaves another value. */
static void carry_out(struct side *side, enum spad_op op, int idx, u32 value)
{
	switch (op) {
	case SPAD_WRITE:
		ntb_spad_write(side->ntb, idx, value);
		break;
	case SPAD_PEER_WRITE:
		ntb_peer_spad_write(side->ntb, 0, idx, value);
		break;
	case SPAD_READ:
		writel(value, spad(side, idx));
		break;
	default:
		writel(value, peer_spad(side, idx));
	}
}

static u32 found(struct side *side, enum spad_op op, int idx)
{
	switch (op) {
	case SPAD_READ:
		return ntb_spad_read(side->ntb, idx);
	case SPAD_PEER_READ:
		return ntb_peer_spad_read(side->ntb, 0, idx);
	case SPAD_WRITE:
		return readl(spad(side, idx));
	default:
		return readl(peer_spad(side, idx));
	}
}

/* How many scratchpads are right, once all of them were written. */
static void show_spads(struct seq_file *s, struct side *side)
{
	int count = ntb_spad_count(side->ntb), idx, right;
	enum spad_op op;

	seq_printf(s, "%s spad_count=%d\n", side->name, count);
	for (op = SPAD_READ; op < SPAD_OPS; op++) {
		for (idx = 0; idx < count; idx++) {
			writel(0, spad(EP, idx));
			writel(0, spad(RC, idx));
		}
		for (idx = 0; idx < count; idx++)
			carry_out(side, op, idx, pattern(side, idx));
		for (idx = 0, right = 0; idx < count; idx++)
			right += found(side, op, idx) == pattern(side, idx);
		seq_printf(s, "%s %s, right=%d\n", side->name, spad_names[op],
			   right);
	}
}

/* What lies beyond a host's scratchpads, and beyond its one peer. */
static void show_beyond(struct seq_file *s, struct side *side)
{
	int count = ntb_spad_count(side->ntb);

	seq_printf(s, "%s spad_write(-1)=%d\n", side->name,
		   ntb_spad_write(side->ntb, -1, 1));
	seq_printf(s, "%s spad_write(%d)=%d\n", side->name, count,
		   ntb_spad_write(side->ntb, count, 1));
	seq_printf(s, "%s peer_spad_write(%d)=%d\n", side->name, count,
		   ntb_peer_spad_write(side->ntb, 0, count, 1));
	seq_printf(s, "%s mw_count of peer 1=%d\n", side->name,
		   ntb_mw_count(side->ntb, 1));
}

static void clear_spads(void)
{
	int idx;

	for (idx = 0; idx < readl(RC->ctrl + SPAD_COUNT); idx++) {
		writel(0, spad(EP, idx));
		writel(0, spad(RC, idx));
	}
}

/* --- windows ---------------------------------------------------------------- */

static void open_windows(struct seq_file *s, struct side *side)
{
	int count = ntb_mw_count(side->ntb, 0), idx;

	seq_printf(s, "%s mw_count=%d\n", side->name, count);
	seq_printf(s, "%s peer_mw_count=%d\n", side->name,
		   ntb_peer_mw_count(side->ntb));
	for (idx = 0; idx < min(count, WINDOWS); idx++) {
		struct window *window = &side->windows[idx];
		resource_size_t align = 0, step = 0;
		int ret;

		ret = ntb_mw_get_align(side->ntb, 0, idx, &align, &step,
				       &window->size);
		seq_printf(s, "%s mw_get_align(%d)= %d %#llx %#llx %#llx\n",
			   side->name, idx, ret, (u64)align, (u64)step,
			   (u64)window->size);
		/* the doorbells in front of the first are no part of it */
		if (EPC_LOOP_BRIDGES && !ret)
			ret = ntb_peer_mw_get_addr(side->ntb, idx, NULL,
						   &window->size);
		if (!ret)
			window->virt = dma_alloc_coherent(ntb_get_dma_dev(side->ntb),
							  window->size,
							  &window->addr,
							  GFP_KERNEL);
		if (!window->virt) {
			window->size = 0;
			continue;
		}
		seq_printf(s, "%s mw_set_trans(%d)=%d\n", side->name, idx,
			   ntb_mw_set_trans(side->ntb, 0, idx, window->addr,
					    window->size));
	}
}

static bool reaches(phys_addr_t base, struct window *window)
{
	resource_size_t places[] = { 0, window->size / 2, window->size - 4 };
	void __iomem *mapped = ioremap_wc(base, window->size);
	bool same = mapped;
	int i;

	for (i = 0; same && i < ARRAY_SIZE(places); i++) {
		writel(0x600d0000 + i, mapped + places[i]);
		mb();	/* there before it is read at the other end */
		same = READ_ONCE(*(u32 *)(window->virt + places[i])) ==
			0x600d0000 + i;
	}
	if (mapped)
		iounmap(mapped);
	return same;
}

/* What @side reaches of its peer's memory. */
static void cross_windows(struct seq_file *s, struct side *side)
{
	struct side *peer = side == EP ? RC : EP;
	int idx;

	for (idx = 0; idx < WINDOWS; idx++) {
		struct window *window = &peer->windows[idx];
		resource_size_t size = 0;
		phys_addr_t base = 0;
		int ret;

		if (!window->size)
			continue;
		ret = ntb_peer_mw_get_addr(side->ntb, idx, &base, &size);
		seq_printf(s, "%s peer_mw_get_addr(%d)= %d %#llx\n",
			   side->name, idx, ret, (u64)size);
		seq_printf(s, "%s window %d reaches the peer=%s\n", side->name,
			   idx, !ret && reaches(base, window) ? "yes" : "no");
	}
}

/* Which of the endpoint's windows lies there; -1: none. */
static int window_at(phys_addr_t phys)
{
	resource_size_t size;
	phys_addr_t base;
	int idx;

	for (idx = 0; idx < min(ntb_mw_count(EP->ntb, 0), WINDOWS); idx++)
		if (!ntb_peer_mw_get_addr(EP->ntb, idx, &base, &size) &&
		    base == phys)
			return idx;
	return -1;
}

static void close_windows(struct seq_file *s, struct side *side)
{
	int idx;

	for (idx = 0; idx < WINDOWS; idx++) {
		struct window *window = &side->windows[idx];

		if (!window->size)
			continue;
		unmapped = 0;
		seq_printf(s, "%s mw_clear_trans(%d)=%d\n", side->name, idx,
			   ntb_mw_clear_trans(side->ntb, 0, idx));
		if (!EPC_LOOP_BRIDGES && side == RC)
			seq_printf(s, "rc mw_clear_trans(%d), unmapped=%d\n",
				   idx, window_at(unmapped));
		dma_free_coherent(ntb_get_dma_dev(side->ntb), window->size,
				  window->virt, window->addr);
		*window = (struct window){};
	}
}

static u64 on_wire(unsigned int place)
{
	return readl(RC->ctrl + place) |
	       (u64)readl(RC->ctrl + place + 4) << 32;
}

static void put_on_wire(u64 value, unsigned int place)
{
	writel(lower_32_bits(value), RC->ctrl + place);
	writel(upper_32_bits(value), RC->ctrl + place + 4);
}

/* Each window with an address that has more than 32 bits, and too large a one. */
static void show_far_windows(struct seq_file *s)
{
	int idx, status;

	far = true;
	for (idx = 0; idx < min(ntb_mw_count(EP->ntb, 0), WINDOWS); idx++) {
		put_on_wire(FAR_ADDR, ADDR);
		put_on_wire(FAR_SIZE, SIZE);
		mapped = 0;
		unmapped = 0;
		status = send(EP, CONFIGURE_MW, idx);
		seq_printf(s, "ep command CONFIGURE_MW(%d)= %d, maps %d %#llx %#llx\n",
			   idx, status, window_at(mapped), mapped_addr,
			   mapped_size);
		status = send(EP, TEARDOWN_MW, idx);
		seq_printf(s, "ep command TEARDOWN_MW(%d)= %d, unmaps %d\n", idx,
			   status, window_at(unmapped));
		put_on_wire(0, ADDR);
		put_on_wire(0, SIZE);
		ntb_mw_set_trans(RC->ntb, 0, idx, FAR_ADDR, FAR_SIZE);
		seq_printf(s, "rc mw_set_trans(%d) far, on the wire= %#llx %#llx\n",
			   idx, on_wire(ADDR), on_wire(SIZE));
		ntb_mw_clear_trans(RC->ntb, 0, idx);
	}
	seq_printf(s, "rc mw_set_trans(0) too large=%d\n",
		   ntb_mw_set_trans(RC->ntb, 0, 0, FAR_ADDR, SZ_1G));
	far = false;
}

/* The core hands out no window while the link is down. */
static void show_windows(struct seq_file *s)
{
	ntb_link_enable(RC->ntb, NTB_SPEED_AUTO, NTB_WIDTH_AUTO);
	if (EPC_LOOP_BRIDGES)
		ntb_link_enable(EP->ntb, NTB_SPEED_AUTO, NTB_WIDTH_AUTO);
	open_windows(s, EP);
	open_windows(s, RC);
	cross_windows(s, EP);
	cross_windows(s, RC);
	close_windows(s, EP);
	close_windows(s, RC);
	if (!EPC_LOOP_BRIDGES)
		show_far_windows(s);	/* of two hosts ntb_bridge asks */
	ntb_link_disable(RC->ntb);
	if (EPC_LOOP_BRIDGES)
		ntb_link_disable(EP->ntb);
}

/* ---------------------------------------------------------------------------- */

static void show_register(struct seq_file *s, const char *side,
			  const char *address)
{
	unsigned int domain, bus, slot, function;
	struct pci_dev *pdev;
	struct device *dev;

	if (sscanf(address, "%x:%x:%x.%u", &domain, &bus, &slot, &function) != 4)
		return;
	pdev = pci_get_domain_bus_and_slot(domain, bus, PCI_DEVFN(slot, function));
	if (!pdev)
		return;
	dev = device_find_any_child(&pdev->dev);
	if (dev) {
		seq_printf(s, "%s db_read=%#llx\n", side,
			   ntb_db_read(dev_ntb(dev)));
		put_device(dev);
	}
	pci_dev_put(pdev);
}

static int probe_show(struct seq_file *s, void *unused)
{
	if (registers) {
		show_register(s, "ep", ep);
		show_register(s, "rc", rc);
		return 0;
	}
	if (!EP->ntb || !RC->ntb)
		return -ENODEV;
	if (EPC_LOOP_BRIDGES) {
		show_joined_link(s, EP);
		show_joined_link(s, RC);
	} else {
		show_endpoint_link(s);
		show_host_link(s);
	}
	show_spads(s, EP);
	show_spads(s, RC);
	if (EPC_LOOP_BRIDGES)
		show_beyond(s, EP);
	show_beyond(s, RC);
	clear_spads();
	show_windows(s);
	return 0;
}

static int probe_open(struct inode *inode, struct file *opened)
{
	return single_open_size(opened, probe_show, NULL, BUFFER_SIZE);
}

static const struct file_operations probe_fops = {
	.owner		= THIS_MODULE,
	.open		= probe_open,
	.read		= seq_read,
	.llseek		= seq_lseek,
	.release	= single_release,
};

static int client_probe(struct ntb_client *client, struct ntb_dev *ntb)
{
	const char *name = pci_name(ntb->pdev);
	struct side *side = !strcmp(name, ep) ? EP : RC;

	if (side == RC && strcmp(name, rc))
		return -ENODEV;
	if (EPC_LOOP_BRIDGES) {
		side->ctrl = epc_loop_iomap(ntb->pdev, CTRL_BAR, 0);
		side->peer_spads = epc_loop_iomap(ntb->pdev, PEER_SPAD_BAR, 0);
		if (!side->ctrl || !side->peer_spads)
			return -ENOMEM;
	} else if (side == RC) {
		RC->ctrl = pci_ioremap_bar(ntb->pdev, CTRL_BAR);
		EP->ctrl = RC->ctrl;
		if (!RC->ctrl)
			return -ENOMEM;
	}
	side->ntb = ntb;
	return ntb_set_ctx(ntb, side, &ctx_ops);
}

static void client_remove(struct ntb_client *client, struct ntb_dev *ntb)
{
	ntb_clear_ctx(ntb);
	if (!EPC_LOOP_BRIDGES && RC->ntb == ntb)
		iounmap(RC->ctrl);
}

static struct ntb_client probe_client = {
	.ops = {
		.probe	= client_probe,
		.remove	= client_remove,
	},
};

static int __init probe_init(void)
{
	int ret = 0;

	if (!registers) {
		ret = register_kprobes(kprobes, ARRAY_SIZE(kprobes));
		if (ret)
			return ret;
		ret = ntb_register_client(&probe_client);
		if (ret) {
			unregister_kprobes(kprobes, ARRAY_SIZE(kprobes));
			return ret;
		}
	}
	file = debugfs_create_file("ntb_probe", 0400, NULL, NULL, &probe_fops);
	return 0;
}
module_init(probe_init);

static void __exit probe_exit(void)
{
	debugfs_remove(file);
	if (registers)
		return;
	ntb_unregister_client(&probe_client);
	unregister_kprobes(kprobes, ARRAY_SIZE(kprobes));
}
module_exit(probe_exit);

MODULE_DESCRIPTION("Ask the two NTB drivers of a pair for links, scratchpads, windows");
MODULE_LICENSE("GPL");
