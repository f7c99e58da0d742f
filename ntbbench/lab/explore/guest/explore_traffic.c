// SPDX-License-Identifier: GPL-2.0
/*
 * ntb_explore: packets on every QP, both ways, from threads on chosen CPUs.
 *
 * They go through ntb_netdev as the stack's do, each by the queue that it is
 * for. Each must arrive within two polls of the endpoint and the time that CPUs
 * were held: one that has not waits for a doorbell that is lost, and the QP is
 * stuck. If it arrives after all, a later packet's doorbell woke the QP; where
 * none comes one is sent, and if that does not help the packets are lost.
 */
#include <linux/delay.h>
#include <linux/etherdevice.h>
#include <linux/ethtool.h>
#include <linux/kthread.h>
#include <linux/netdevice.h>
#include <linux/rtnetlink.h>
#include <linux/skbuff.h>

#include "explore.h"

#define PROTOCOL	0x88b5	/* IEEE 802: for local experiments */
#define PACKET_SIZE	128
#define NUMBERS		1024	/* packets of a QP in one schedule */
#define LOOK_US		500
#define STILL_US	13000	/* two polls and what they wake */
#define TICKS_AFTER_POLL	2
#define SEND_TRIES	400	/* of LOOK_US, while a queue is stopped */

struct packet {
	u16 qp;
	u32 gap_us;	/* after it */
};

/**
 * struct sender - a thread that sends
 * @side:	from which end
 * @cpu:	where it runs
 * @count:	of its packets
 * @packets:	in order
 * @task:	the thread
 * @refused:	packets that the network device did not take
 */
struct sender {
	int side;
	int cpu;
	unsigned int count;
	struct packet packets[PACKETS];
	struct task_struct *task;
	unsigned int refused;
};

/* When a packet was sent, and how long CPUs had been held by then. */
struct stamp {
	u64 ns;
	u32 delayed_us;
};

/* What the actor does to a network device while packets fly. */
struct action {
	char what;	/* 'd'own, 'u'p, or the number of channels */
	int side;
	u32 gap_us;	/* before it */
};

static struct net_device *devices[SIDES];
static struct sender senders[SENDERS];
static unsigned int sender_count;
static struct action actions[ACTIONS];
static unsigned int action_count;
static int actor_cpu;
static unsigned long last_arrival;	/* at the endpoint, in jiffies */
static int last_cpu;		/* there, of any packet */
static int first_cpu;		/* where the endpoint was served in the warm-up */
static atomic_t busy;		/* threads that are not done */
static atomic_t sent[SIDES][QPS];	/* by the sender's side */
static atomic_t received[SIDES][QPS];	/* by the sender's side as well */
static struct stamp stamps[SIDES][QPS][NUMBERS];	/* of packets sent */
static const char *outcome;
static u64 stuck_at;
static u64 waited_ns;		/* the longest that a packet did */
static unsigned long stuck[SIDES];	/* QPs, by the sender's side */
static unsigned long late[SIDES];	/* those that came to themselves */

struct ntb_dev *explore_ntb(int side)
{
	return dev_ntb(devices[side]->dev.parent->parent);
}

/* --- sending and receiving ---------------------------------------------------- */

static int send(int side, u16 qp)
{
	struct net_device *dev = devices[side];
	struct sk_buff *skb;
	int number;

	skb = alloc_skb(PACKET_SIZE + LL_RESERVED_SPACE(dev), GFP_KERNEL);
	if (!skb)
		return -ENOMEM;
	skb_reserve(skb, LL_RESERVED_SPACE(dev));
	skb_reset_network_header(skb);
	skb_put_zero(skb, PACKET_SIZE - ETH_HLEN);
	((u16 *)skb->data)[0] = qp;
	skb->dev = dev;
	skb->protocol = htons(PROTOCOL);
	eth_header(skb, dev, PROTOCOL, dev->broadcast, dev->dev_addr, 0);
	skb_reset_mac_header(skb);
	number = atomic_inc_return(&sent[side][qp]);
	stamps[side][qp][number % NUMBERS] = (struct stamp){
		.ns = explore_clock(), .delayed_us = explore_delayed_us() };
	explore_note(MARK_SENT, (u64)side << 32 | qp << 16 | number);
	if (dev_direct_xmit(skb, qp) == NETDEV_TX_OK)
		return 0;
	atomic_dec(&sent[side][qp]);
	return -EBUSY;
}

/* Whether a packet came so late that only another doorbell can have brought it. */
static void see_wait(int side, u16 qp, int number)
{
	const struct stamp *stamp = &stamps[side][qp][number % NUMBERS];
	u64 ns = explore_clock() - stamp->ns;
	u32 held_us = explore_delayed_us() - stamp->delayed_us;

	if (ns <= (u64)(STILL_US + held_us) * 1000)
		return;
	__set_bit(qp, &late[side]);
	if (ns <= waited_ns)
		return;
	waited_ns = ns;
	stuck_at = explore_clock();
}

static int take(struct sk_buff *skb, struct net_device *dev,
		struct packet_type *type, struct net_device *original)
{
	int side = dev == devices[0] ? 1 : 0, number;
	u16 qp = ((u16 *)skb->data)[0];

	if (qp < QPS) {
		if (side) {
			last_arrival = jiffies;
			last_cpu = raw_smp_processor_id();
		}
		number = atomic_inc_return(&received[side][qp]);
		see_wait(side, qp, number);
		explore_note(MARK_RECEIVED,
			     (u64)side << 32 | qp << 16 | number);
	}
	kfree_skb(skb);
	return NET_RX_SUCCESS;
}

static struct packet_type packets_of_ours = {
	.type	= htons(PROTOCOL),
	.func	= take,
};

static void wait_us(u32 us)
{
	if (us >= LOOK_US)
		usleep_range(us, us + 1);
	else if (us)
		udelay(us);
}

static int send_all(void *data)
{
	struct sender *sender = data;
	unsigned int i, tries;

	for (i = 0; i < sender->count; i++) {
		const struct packet *packet = &sender->packets[i];

		for (tries = 0; send(sender->side, packet->qp); tries++) {
			if (tries == SEND_TRIES) {
				sender->refused++;
				break;
			}
			usleep_range(LOOK_US, LOOK_US + 1);
		}
		wait_us(packet->gap_us);
	}
	atomic_dec(&busy);
	return 0;
}

static void act(const struct action *action)
{
	struct net_device *dev = devices[action->side];
	struct ethtool_channels channels = { };

	rtnl_lock();
	if (action->what == 'd') {
		dev_close(dev);
	} else if (action->what == 'u') {
		dev_open(dev, NULL);
	} else {
		dev->ethtool_ops->get_channels(dev, &channels);
		channels.combined_count = action->what - '0';
		dev->ethtool_ops->set_channels(dev, &channels);
	}
	rtnl_unlock();
}

static int act_all(void *unused)
{
	unsigned int i;

	for (i = 0; i < action_count; i++) {
		wait_us(actions[i].gap_us);
		act(&actions[i]);
	}
	atomic_dec(&busy);
	return 0;
}

static int start(int (*function)(void *), void *data, int cpu)
{
	struct task_struct *task;

	task = kthread_create(function, data, "explore/%d", cpu);
	if (IS_ERR(task))
		return PTR_ERR(task);
	kthread_bind(task, cpu);
	atomic_inc(&busy);
	wake_up_process(task);
	return 0;
}

/* --- what became of them ------------------------------------------------------- */

static unsigned int waiting(void)
{
	unsigned int count = 0, side, qp;

	for (side = 0; side < SIDES; side++) {
		stuck[side] = 0;
		for (qp = 0; qp < QPS; qp++) {
			int left = atomic_read(&sent[side][qp]) -
				   atomic_read(&received[side][qp]);

			if (left > 0)
				__set_bit(qp, &stuck[side]);
			count += abs(left);
		}
	}
	return count;
}

/* Waits until nothing is on its way, or until nothing moves any more. */
static bool settle(void)
{
	unsigned int left = waiting(), before;
	u32 still_us = 0;

	while ((left || atomic_read(&busy)) && still_us < STILL_US) {
		usleep_range(LOOK_US, LOOK_US + 1);
		before = left;
		left = waiting();
		still_us += LOOK_US;
		if (left != before || atomic_read(&busy) ||
		    explore_is_delaying())
			still_us = 0;
	}
	return !left;
}

static void send_again(void)
{
	unsigned int side, qp;

	for (side = 0; side < SIDES; side++)
		for_each_set_bit(qp, &stuck[side], QPS)
			send(side, qp);
}

/* A schedule begins so many ticks after a poll, whatever ran before it. */
static void wait_for_tick(void)
{
	do
		schedule_timeout_uninterruptible(1);
	while (time_before(jiffies, last_arrival + TICKS_AFTER_POLL));
}

/* A packet for a QP each way: the pair works, and a poll has just been. */
static int warm_up(void)
{
	unsigned int side, qp;

	memset(sent, 0, sizeof(sent));
	memset(received, 0, sizeof(received));
	for (side = 0; side < SIDES; side++)
		for (qp = 0; qp < devices[side]->real_num_tx_queues; qp++)
			send(side, qp);
	if (!settle())
		return -EIO;
	first_cpu = last_cpu;
	wait_for_tick();
	memset(sent, 0, sizeof(sent));
	memset(received, 0, sizeof(received));
	return 0;
}

static void judge(void)
{
	bool arrived = settle();

	explore_end();
	if (arrived) {
		outcome = late[0] | late[1] ? "stuck" : "ok";
		return;
	}
	stuck_at = explore_clock();
	late[0] |= stuck[0];
	late[1] |= stuck[1];
	send_again();
	outcome = settle() ? "stuck" : "lost";
}

/* CPUs are counted from the one that serves the endpoint: it differs by boot. */
static int cpu_of(int number)
{
	return (first_cpu + number) % num_online_cpus();
}

/* Returns an error where the pair does not even carry a packet by itself. */
int explore_run_traffic(void)
{
	unsigned int i;
	int ret;

	outcome = "dead";
	ret = warm_up();
	if (ret)
		return ret;
	memset(late, 0, sizeof(late));
	stuck_at = 0;
	waited_ns = 0;
	explore_clear_counts();
	explore_begin();
	for (i = 0; i < sender_count && !ret; i++) {
		senders[i].refused = 0;
		ret = start(send_all, &senders[i], cpu_of(senders[i].cpu));
	}
	if (!ret && action_count)
		ret = start(act_all, NULL, cpu_of(actor_cpu));
	judge();
	explore_end();
	return ret;
}

static void show_sides(struct seq_file *s, const char *name,
		       atomic_t counts[SIDES][QPS])
{
	unsigned int side, qp;

	for (side = 0; side < SIDES; side++) {
		seq_printf(s, "%s.%s", name, side ? "rc" : "ep");
		for (qp = 0; qp < QPS; qp++)
			if (atomic_read(&sent[side][qp]))
				seq_printf(s, " %u:%d", qp,
					   atomic_read(&counts[side][qp]));
		seq_puts(s, "\n");
	}
}

void explore_show_traffic(struct seq_file *s)
{
	unsigned int refused = 0, i;

	for (i = 0; i < sender_count; i++)
		refused += senders[i].refused;
	seq_printf(s, "outcome %s\nrefused %u\nstuck.ep %lx\nstuck.rc %lx\nns %llu\nwaited %llu\n",
		   outcome, refused, late[0], late[1], stuck_at, waited_ns);
	show_sides(s, "sent", sent);
	show_sides(s, "received", received);
}

/* --- a schedule's part ---------------------------------------------------------- */

/* "SIDE CPU QP:GAP QP:GAP ..." */
int explore_add_sender(char *words)
{
	struct sender *sender = &senders[sender_count];
	unsigned int qp, gap;
	char *word;
	int used;

	if (sender_count == SENDERS ||
	    sscanf(words, "%d %d%n", &sender->side, &sender->cpu, &used) != 2 ||
	    sender->side < 0 || sender->side >= SIDES ||
	    !cpu_online(sender->cpu))
		return -EINVAL;
	words += used;
	sender->count = 0;
	while ((word = strsep(&words, " "))) {
		if (!*word)
			continue;
		if (sscanf(word, "%u:%u", &qp, &gap) != 2 || qp >= QPS ||
		    sender->count == PACKETS)
			return -EINVAL;
		sender->packets[sender->count++] =
			(struct packet){ .qp = qp, .gap_us = gap };
	}
	sender_count++;
	return 0;
}

/* "CPU SIDE:WHAT:GAP ...": WHAT is d, u, or a number of channels */
int explore_add_actor(char *words)
{
	unsigned int side, gap;
	char *word, what;
	int used;

	if (sscanf(words, "%d%n", &actor_cpu, &used) != 1 ||
	    !cpu_online(actor_cpu))
		return -EINVAL;
	words += used;
	while ((word = strsep(&words, " "))) {
		if (!*word)
			continue;
		if (sscanf(word, "%u:%c:%u", &side, &what, &gap) != 3 ||
		    side >= SIDES || action_count == ACTIONS)
			return -EINVAL;
		actions[action_count++] = (struct action){
			.what = what, .side = side, .gap_us = gap };
	}
	return 0;
}

void explore_clear_senders(void)
{
	sender_count = 0;
	action_count = 0;
}

/* --- devices --------------------------------------------------------------------- */

static struct net_device *device_on(const char *name)
{
	struct net_device *dev, *found = NULL;

	rtnl_lock();
	for_each_netdev(&init_net, dev) {
		struct device *client = dev->dev.parent;

		if (client && client->parent &&
		    !strcmp(dev_name(client->parent), name))
			found = dev;
	}
	if (found)
		dev_hold(found);
	rtnl_unlock();
	return found;
}

int explore_traffic_init(const char *const *names)
{
	unsigned int side;

	for (side = 0; side < SIDES; side++) {
		devices[side] = device_on(names[side]);
		if (!devices[side]) {
			explore_traffic_exit();
			return -ENODEV;
		}
	}
	dev_add_pack(&packets_of_ours);
	return 0;
}

void explore_traffic_exit(void)
{
	unsigned int side;

	if (devices[SIDES - 1])
		dev_remove_pack(&packets_of_ours);
	for (side = 0; side < SIDES; side++)
		dev_put(devices[side]);
}
