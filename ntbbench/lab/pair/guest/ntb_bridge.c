// SPDX-License-Identifier: GPL-2.0
/*
 * ntb_bridge: what pci-epf-ntb does between two hosts, asked through the BARs
 * of either, as a correct host would. No driver of a host is asked.
 *
 * A client of both NTB devices, loaded before ntb_transport and gone before it
 * comes. Reading /sys/kernel/debug/ntb_bridge asks, a line "soc KEY=VALUE" for
 * each answer:
 *
 *   registers	what the control region says of windows, scratchpads, entries
 *   rings	each slot that a host may ring: which MSI comes to which host
 *   commands	doorbells taken away and given back, link, windows
 *   BARs	where the scratchpads and the windows of a host lead
 *
 * The link is down afterwards, as it was; scratchpads and doorbells are clear.
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

/* BARs and control region: the wire between a host and pci-epf-ntb. */
#define CTRL_BAR	0
#define PEER_SPAD_BAR	1
#define DB_BAR		2	/* and window 1 behind the doorbells */
#define COMMAND		0x00
#define ARGUMENT	0x04
#define STATUS		0x08
#define LINK		0x0a
#define ADDRESS		0x10
#define SIZE		0x18
#define MW_COUNT	0x20
#define MW1_OFFSET	0x24
#define SPAD_OFFSET	0x28
#define SPAD_COUNT	0x2c
#define DB_ENTRY_SIZE	0x30
#define DB_DATA(n)	(0x34 + (n) * 4)
#define DB_OFFSET(n)	(0xb4 + (n) * 4)

#define CONFIGURE_DOORBELL	1
#define TEARDOWN_DOORBELL	2
#define CONFIGURE_MW		3
#define TEARDOWN_MW		4
#define LINK_UP			5
#define LINK_DOWN		6
#define OK			1
#define TRIES			200	/* of 5 ms */

#define FIRST_DB_SLOT	2	/* slot 0: link, 1: never used */
#define WINDOWS		4
#define SEEN_MAX	16
#define INTERRUPT_MS	2
#define PATTERN		0x600d0000
#define BUFFER_SIZE	SZ_32K

static char *first = "0010:00:00.0";
module_param(first, charp, 0444);
MODULE_PARM_DESC(first, "PCI address of host 1's NTB device");

static char *second = "0011:00:00.0";
module_param(second, charp, 0444);
MODULE_PARM_DESC(second, "PCI address of host 2's NTB device");

static unsigned int windows = 1;
module_param(windows, uint, 0444);
MODULE_PARM_DESC(windows, "memory windows");

static unsigned int window_size = SZ_1M;
module_param(window_size, uint, 0444);
MODULE_PARM_DESC(window_size, "bytes of each");

/**
 * struct host - one host behind a controller of its own
 * @number:	1 or 2
 * @ntb:	its NTB device; NULL: there is none
 * @ctrl:	its BAR 0
 * @vectors:	MSIs that it was granted
 */
struct host {
	int number;
	struct ntb_dev *ntb;
	void __iomem *ctrl;
	unsigned int vectors;
};

static struct host hosts[] = { { .number = 1 }, { .number = 2 } };
static struct dentry *file;

/* MSIs as they were raised: of which host, and their 1-based number */
static struct {
	int host;
	u16 number;
} seen[SEEN_MAX];
static atomic_t seen_count;

static int see_raise(struct kprobe *probe, struct pt_regs *regs)
{
	struct epc_loop *loop = (void *)regs_get_kernel_argument(regs, 0);
	int n = atomic_inc_return(&seen_count) - 1;

	if (n < SEEN_MAX) {
		seen[n].host = loop->id + 1;
		seen[n].number = regs_get_kernel_argument(regs, 1);
	}
	return 0;
}

static struct kprobe raise_probe = {
	.symbol_name	= "epc_loop_raise_msi",
	.pre_handler	= see_raise,
};

static struct host *peer_of(struct host *host)
{
	return host == &hosts[0] ? &hosts[1] : &hosts[0];
}

static void forget(void)
{
	atomic_set(&seen_count, 0);
}

/* The MSIs of host 1 first: in which order the SoC raises them is its own. */
static void show_seen(struct seq_file *s)
{
	int count = min(atomic_read(&seen_count), SEEN_MAX);
	const char *before = "";
	int host, n;

	for (host = 1; host <= 2; host++)
		for (n = 0; n < count; n++)
			if (seen[n].host == host) {
				seq_printf(s, "%s%u at host %d", before,
					   seen[n].number, host);
				before = ", ";
			}
	seq_puts(s, "\n");
}

static int send(struct host *host, u32 command, u32 argument)
{
	int tries, status = 0;

	writel(argument, host->ctrl + ARGUMENT);
	writel(command, host->ctrl + COMMAND);
	for (tries = 0; tries < TRIES && !status; tries++) {
		usleep_range(5000, 6000);
		status = readw(host->ctrl + STATUS);
	}
	writew(0, host->ctrl + STATUS);
	return status;
}

/* --- registers ------------------------------------------------------------- */

static void show_registers(struct seq_file *s, struct host *host)
{
	static const struct {
		const char *name;
		u32 offset;
	} registers[] = {
		{ "num_mws", MW_COUNT },
		{ "mw1_offset", MW1_OFFSET },
		{ "spad_offset", SPAD_OFFSET },
		{ "spad_count", SPAD_COUNT },
		{ "db_entry_size", DB_ENTRY_SIZE },
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(registers); i++)
		seq_printf(s, "soc host %d %s=%u\n", host->number,
			   registers[i].name,
			   readl(host->ctrl + registers[i].offset));
}

/* --- doorbells -------------------------------------------------------------- */

/* Rings a slot of the other host as the table tells a host to. */
static void ring(struct host *host, unsigned int slot)
{
	void __iomem *entry = epc_loop_iomap(host->ntb->pdev, DB_BAR, 0);

	entry += readl(host->ctrl + DB_ENTRY_SIZE) * slot;
	entry += readl(host->ctrl + DB_OFFSET(slot));
	forget();
	epc_loop_writel(readl(host->ctrl + DB_DATA(slot)), entry);
	msleep(INTERRUPT_MS);
	ntb_db_clear(peer_of(host)->ntb, ~0ULL);
}

static void show_rings(struct seq_file *s, struct host *host)
{
	unsigned int slot;

	for (slot = 0; slot < peer_of(host)->vectors; slot++) {
		ring(host, slot);
		seq_printf(s, "soc host %d rings slot %u, MSIs=", host->number,
			   slot);
		show_seen(s);
	}
}

/* A host takes its doorbells away from the other one, and gives them back. */
static void show_teardown(struct seq_file *s, struct host *host)
{
	struct host *peer = peer_of(host);

	seq_printf(s, "soc host %d TEARDOWN_DOORBELL, status=%d\n", host->number,
		   send(host, TEARDOWN_DOORBELL, host->vectors));
	ring(peer, FIRST_DB_SLOT);
	seq_printf(s, "soc host %d rings slot 2 after TEARDOWN_DOORBELL, MSIs=",
		   peer->number);
	show_seen(s);
	seq_printf(s, "soc host %d CONFIGURE_DOORBELL, status=%d\n",
		   host->number,
		   send(host, CONFIGURE_DOORBELL, host->vectors));
	ring(peer, FIRST_DB_SLOT);
	seq_printf(s, "soc host %d rings slot 2 after CONFIGURE_DOORBELL, MSIs=",
		   peer->number);
	show_seen(s);
}

/* --- link ------------------------------------------------------------------- */

static void show_link(struct seq_file *s, struct host *host, const char *name,
		      u32 command)
{
	int status;

	forget();
	status = send(host, command, 0);
	seq_printf(s, "soc host %d %s, status=%d\n", host->number, name, status);
	seq_printf(s, "soc host %d %s, link status of both=%d %d\n",
		   host->number, name, readw(hosts[0].ctrl + LINK),
		   readw(hosts[1].ctrl + LINK));
	seq_printf(s, "soc host %d %s, MSIs=", host->number, name);
	show_seen(s);
}

/* --- scratchpads ------------------------------------------------------------ */

static void __iomem *spad(struct host *host, int idx)
{
	return host->ctrl + readl(host->ctrl + SPAD_OFFSET) + 4 * idx;
}

static void clear_spads(void)
{
	u32 idx;

	for (idx = 0; idx < readl(hosts[0].ctrl + SPAD_COUNT); idx++) {
		writel(0, spad(&hosts[0], idx));
		writel(0, spad(&hosts[1], idx));
	}
}

static void show_spads(struct seq_file *s, struct host *host)
{
	void __iomem *bar = epc_loop_iomap(host->ntb->pdev, PEER_SPAD_BAR, 0);
	struct host *peer = peer_of(host);
	u32 count = readl(host->ctrl + SPAD_COUNT), idx, right = 0;

	clear_spads();
	for (idx = 0; idx < count; idx++)
		writel(PATTERN + idx, bar + 4 * idx);
	for (idx = 0; idx < count; idx++)
		right += readl(spad(peer, idx)) == PATTERN + idx;
	seq_printf(s, "soc host %d reaches scratchpads of host %d=%u\n",
		   host->number, peer->number, right);
	clear_spads();
}

/* --- windows ---------------------------------------------------------------- */

static int configure(struct host *host, unsigned int idx, dma_addr_t addr,
		     u64 size)
{
	writel(lower_32_bits(addr), host->ctrl + ADDRESS);
	writel(upper_32_bits(addr), host->ctrl + ADDRESS + 4);
	writel(lower_32_bits(size), host->ctrl + SIZE);
	writel(upper_32_bits(size), host->ctrl + SIZE + 4);
	return send(host, CONFIGURE_MW, idx);
}

/* Whether the peer's BAR leads to @virt, from its first word to its last. */
static bool reaches(struct host *peer, unsigned int idx, void *virt)
{
	void __iomem *bar = epc_loop_iomap(peer->ntb->pdev, DB_BAR + idx, 0);
	u32 places[] = { 0, window_size / 2, window_size - 4 };
	bool same = true;
	int i;

	if (!idx)
		bar += readl(peer->ctrl + MW1_OFFSET);
	for (i = 0; i < ARRAY_SIZE(places); i++) {
		writel(PATTERN + i, bar + places[i]);
		same &= READ_ONCE(*(u32 *)(virt + places[i])) == PATTERN + i;
	}
	return same;
}

static void show_window(struct seq_file *s, struct host *host,
			unsigned int idx, void *virt, dma_addr_t addr)
{
	int status = configure(host, idx, addr, window_size);

	seq_printf(s, "soc host %d CONFIGURE_MW(%u), status=%d\n", host->number,
		   idx, status);
	seq_printf(s, "soc host %d reaches window %u of host %d=%s\n",
		   peer_of(host)->number, idx, host->number,
		   str_yes_no(status == OK && reaches(peer_of(host), idx, virt)));
	seq_printf(s, "soc host %d CONFIGURE_MW(%u) of a byte more, status=%d\n",
		   host->number, idx,
		   configure(host, idx, addr, window_size + 1ULL));
	seq_printf(s, "soc host %d TEARDOWN_MW(%u), status=%d\n", host->number,
		   idx, send(host, TEARDOWN_MW, idx));
}

/* The memory of window n is what the n-th allocation gives: all are held at once. */
static void show_windows(struct seq_file *s, struct host *host)
{
	struct device *dev = &host->ntb->pdev->dev;
	unsigned int count = min(windows, WINDOWS), idx;
	dma_addr_t addr[WINDOWS];
	void *virt[WINDOWS];

	for (idx = 0; idx < count; idx++)
		virt[idx] = dma_alloc_coherent(dev, window_size, &addr[idx],
					       GFP_KERNEL);
	for (idx = 0; idx < count; idx++)
		if (virt[idx])
			show_window(s, host, idx, virt[idx], addr[idx]);
	for (idx = 0; idx < count; idx++)
		if (virt[idx])
			dma_free_coherent(dev, window_size, virt[idx], addr[idx]);
}

/* ---------------------------------------------------------------------------- */

static int bridge_show(struct seq_file *s, void *unused)
{
	int i;

	if (!hosts[0].ntb || !hosts[1].ntb)
		return -ENODEV;
	for (i = 0; i < ARRAY_SIZE(hosts); i++) {
		show_registers(s, &hosts[i]);
		show_rings(s, &hosts[i]);
		show_teardown(s, &hosts[i]);
		show_spads(s, &hosts[i]);
		show_windows(s, &hosts[i]);
	}
	for (i = 0; i < ARRAY_SIZE(hosts); i++)
		show_link(s, &hosts[i], "LINK_UP", LINK_UP);
	for (i = 0; i < ARRAY_SIZE(hosts); i++)
		show_link(s, &hosts[i], "LINK_DOWN", LINK_DOWN);
	return 0;
}

static int bridge_open(struct inode *inode, struct file *opened)
{
	return single_open_size(opened, bridge_show, NULL, BUFFER_SIZE);
}

static const struct file_operations bridge_fops = {
	.owner		= THIS_MODULE,
	.open		= bridge_open,
	.read		= seq_read,
	.llseek		= seq_lseek,
	.release	= single_release,
};

static int bridge_probe(struct ntb_client *client, struct ntb_dev *ntb)
{
	const char *name = pci_name(ntb->pdev);
	struct host *host = !strcmp(name, first) ? &hosts[0] : &hosts[1];

	if (host == &hosts[1] && strcmp(name, second))
		return -ENODEV;
	host->ctrl = epc_loop_iomap(ntb->pdev, CTRL_BAR, 0);
	if (!host->ctrl)
		return -ENOMEM;
	while (pci_irq_vector(ntb->pdev, host->vectors) > 0)
		host->vectors++;
	host->ntb = ntb;
	return 0;
}

static void bridge_remove(struct ntb_client *client, struct ntb_dev *ntb)
{
}

static struct ntb_client bridge_client = {
	.ops = {
		.probe	= bridge_probe,
		.remove	= bridge_remove,
	},
};

static int __init bridge_init(void)
{
	int ret = register_kprobe(&raise_probe);

	if (ret)
		return ret;
	ret = ntb_register_client(&bridge_client);
	if (ret) {
		unregister_kprobe(&raise_probe);
		return ret;
	}
	file = debugfs_create_file("ntb_bridge", 0400, NULL, NULL,
				   &bridge_fops);
	return 0;
}
module_init(bridge_init);

static void __exit bridge_exit(void)
{
	debugfs_remove(file);
	ntb_unregister_client(&bridge_client);
	unregister_kprobe(&raise_probe);
}
module_exit(bridge_exit);

MODULE_DESCRIPTION("Ask pci-epf-ntb what it does between two hosts");
MODULE_LICENSE("GPL");
