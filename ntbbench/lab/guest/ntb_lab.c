// SPDX-License-Identifier: GPL-2.0
/*
 * ntb_lab - a client of ntb_transport that opens some queue pairs on every
 * transport and sends packets on demand. In /sys/kernel/debug/ntb_lab/:
 *
 *   send    write "PORT QP_MASK ROUNDS GAP_US": ROUNDS times, one packet on
 *           each queue pair of the mask, lowest first, and a gap after each
 *   refill  write anything: top up the receive buffers of all queue pairs
 *   state   read: one line a queue pair
 *
 * The receive handler posts no buffer: posting one schedules the receive
 * tasklet, which is what this client is there to count.
 */
#include <linux/atomic.h>
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/ntb.h>
#include <linux/ntb_transport.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#define LAB_NAME		"ntb_lab"
#define LAB_QPS_MAX		32
#define LAB_RX_BUFFERS		96	/* ntb_transport has 100 entries a queue */
#define LAB_GAP_SLACK_US	50
#define LAB_RETRY_US		100
#define LAB_RETRIES		10000	/* a second in all */
#define LAB_COMMAND_MAX		64

static unsigned int queues = 4;
module_param(queues, uint, 0444);
MODULE_PARM_DESC(queues, "queue pairs to open on each transport");

struct lab_packet {
	u32 sequence;
	u8 qp_num;
	u8 padding[59];
};

struct lab_qp {
	struct ntb_transport_qp *qp;
	unsigned int qp_num;
	atomic_t posted;
	atomic_t rx;
	atomic_t tx;
	atomic_t up;
	atomic_t bad;
	struct mutex tx_mutex;	/* ntb_transport_tx_enqueue wants one sender */
	struct lab_packet packet;
};

struct lab_port {
	struct list_head entry;
	unsigned int num;
	struct lab_qp qp[];
};

static LIST_HEAD(lab_ports);
static DEFINE_MUTEX(lab_mutex);	/* protects lab_ports */
static struct dentry *lab_debugfs;

/* what ntb_transport calls */

static void lab_rx(struct ntb_transport_qp *qp, void *qp_data, void *data,
		   int len)
{
	struct lab_qp *lab = qp_data;
	struct lab_packet *packet = data;

	if (len != sizeof(*packet) || packet->qp_num != lab->qp_num)
		atomic_inc(&lab->bad);
	atomic_inc(&lab->rx);
	atomic_dec(&lab->posted);
	kfree(data);
}

static void lab_tx(struct ntb_transport_qp *qp, void *qp_data, void *data,
		   int len)
{
	struct lab_qp *lab = qp_data;

	atomic_inc(&lab->tx);
}

static void lab_event(void *qp_data, int link_is_up)
{
	struct lab_qp *lab = qp_data;

	atomic_set(&lab->up, link_is_up);
}

static const struct ntb_queue_handlers lab_handlers = {
	.rx_handler = lab_rx,
	.tx_handler = lab_tx,
	.event_handler = lab_event,
};

static int lab_post(struct lab_qp *lab)
{
	struct lab_packet *buffer = kmalloc(sizeof(*buffer), GFP_KERNEL);
	int rc;

	if (!buffer)
		return -ENOMEM;
	atomic_inc(&lab->posted);
	rc = ntb_transport_rx_enqueue(lab->qp, buffer, buffer,
				      sizeof(*buffer));
	if (rc) {
		atomic_dec(&lab->posted);
		kfree(buffer);
	}
	return rc;
}

static int lab_fill(struct lab_qp *lab)
{
	int rc = 0;

	while (!rc && atomic_read(&lab->posted) < LAB_RX_BUFFERS)
		rc = lab_post(lab);
	return rc;
}

/* ports */

static int lab_open(struct lab_qp *lab, struct device *client_dev)
{
	mutex_init(&lab->tx_mutex);
	lab->qp = ntb_transport_create_queue(lab, client_dev, &lab_handlers);
	if (!lab->qp)
		return -ENOSPC;
	lab->qp_num = ntb_transport_qp_num(lab->qp);
	return lab_fill(lab);
}

static void lab_close(struct lab_qp *lab)
{
	unsigned int len;
	void *buffer;

	if (!lab->qp)
		return;
	ntb_transport_link_down(lab->qp);
	while ((buffer = ntb_transport_rx_remove(lab->qp, &len)))
		kfree(buffer);
	ntb_transport_free_queue(lab->qp);
}

static void lab_close_all(struct lab_port *port)
{
	unsigned int i;

	for (i = 0; i < queues; i++)
		lab_close(&port->qp[i]);
}

static int lab_probe(struct device *client_dev)
{
	struct lab_port *port;
	unsigned int i;
	int rc;

	port = kzalloc(struct_size(port, qp, queues), GFP_KERNEL);
	if (!port)
		return -ENOMEM;
	for (i = 0; i < queues; i++) {
		rc = lab_open(&port->qp[i], client_dev);
		if (rc) {
			dev_err(client_dev, "queue %u of %u: %d\n", i, queues, rc);
			lab_close_all(port);
			kfree(port);
			return rc;
		}
	}
	dev_set_drvdata(client_dev, port);
	mutex_lock(&lab_mutex);
	port->num = list_empty(&lab_ports) ? 0 :
		list_last_entry(&lab_ports, struct lab_port, entry)->num + 1;
	list_add_tail(&port->entry, &lab_ports);
	mutex_unlock(&lab_mutex);
	for (i = 0; i < queues; i++)
		ntb_transport_link_up(port->qp[i].qp);
	return 0;
}

static void lab_remove(struct device *client_dev)
{
	struct lab_port *port = dev_get_drvdata(client_dev);

	mutex_lock(&lab_mutex);
	list_del(&port->entry);
	mutex_unlock(&lab_mutex);
	lab_close_all(port);
	kfree(port);
}

static struct ntb_transport_client lab_client = {
	.driver.name = LAB_NAME,
	.driver.owner = THIS_MODULE,
	.probe = lab_probe,
	.remove = lab_remove,
};

static struct lab_port *lab_find(unsigned int num)
{
	struct lab_port *port;

	list_for_each_entry(port, &lab_ports, entry)
		if (port->num == num)
			return port;
	return NULL;
}

/* sending */

/* Send one packet; a full ring is waited for, so that no packet is lost */
static int lab_send_one(struct lab_qp *lab)
{
	unsigned int retries = LAB_RETRIES;
	int rc;

	mutex_lock(&lab->tx_mutex);
	lab->packet.sequence++;
	lab->packet.qp_num = lab->qp_num;
	do {
		rc = ntb_transport_tx_enqueue(lab->qp, &lab->packet,
					      &lab->packet, sizeof(lab->packet));
		if (rc == -EAGAIN)
			usleep_range(LAB_RETRY_US, 2 * LAB_RETRY_US);
	} while (rc == -EAGAIN && --retries && !signal_pending(current));
	mutex_unlock(&lab->tx_mutex);
	return rc;
}

static int lab_send(struct lab_port *port, u32 qp_mask, unsigned int rounds,
		    unsigned int gap)
{
	unsigned int i;
	int rc;

	while (rounds--)
		for (i = 0; i < queues; i++) {
			if (!(qp_mask & BIT(i)))
				continue;
			rc = lab_send_one(&port->qp[i]);
			if (rc)
				return rc;
			if (gap)
				usleep_range(gap, gap + LAB_GAP_SLACK_US);
		}
	return 0;
}

static ssize_t send_write(struct file *file, const char __user *user,
			  size_t len, loff_t *offset)
{
	unsigned int num, rounds, gap;
	char command[LAB_COMMAND_MAX];
	struct lab_port *port;
	ssize_t got;
	u32 qp_mask;
	int rc;

	got = simple_write_to_buffer(command, sizeof(command) - 1, offset, user,
				     len);
	if (got < 0)
		return got;
	command[got] = '\0';
	if (sscanf(command, "%u %x %u %u", &num, &qp_mask, &rounds, &gap) != 4)
		return -EINVAL;
	mutex_lock(&lab_mutex);
	port = lab_find(num);
	mutex_unlock(&lab_mutex);
	if (!port || qp_mask >= BIT_ULL(queues))
		return -EINVAL;
	/* senders may run side by side, so without the mutex: ports stay */
	rc = lab_send(port, qp_mask, rounds, gap);
	return rc ? rc : len;
}

static const struct file_operations send_fops = {
	.owner = THIS_MODULE,
	.write = send_write,
	.llseek = noop_llseek,
};

static ssize_t refill_write(struct file *file, const char __user *user,
			    size_t len, loff_t *offset)
{
	struct lab_port *port;
	unsigned int i;
	int rc = 0;

	mutex_lock(&lab_mutex);
	list_for_each_entry(port, &lab_ports, entry)
		for (i = 0; i < queues && !rc; i++)
			rc = lab_fill(&port->qp[i]);
	mutex_unlock(&lab_mutex);
	return rc ? rc : len;
}

static const struct file_operations refill_fops = {
	.owner = THIS_MODULE,
	.write = refill_write,
	.llseek = noop_llseek,
};

static int state_show(struct seq_file *file, void *unused)
{
	struct lab_port *port;
	struct lab_qp *lab;
	unsigned int i;

	mutex_lock(&lab_mutex);
	list_for_each_entry(port, &lab_ports, entry)
		for (i = 0; i < queues; i++) {
			lab = &port->qp[i];
			seq_printf(file, "port %u qp %u up %d tx %d rx %d bad %d ptr 0x%lx\n",
				   port->num, lab->qp_num, atomic_read(&lab->up),
				   atomic_read(&lab->tx), atomic_read(&lab->rx),
				   atomic_read(&lab->bad),
				   /* the traces name a queue by its address */
				   (unsigned long)lab->qp);
		}
	mutex_unlock(&lab_mutex);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(state);

static int __init lab_init(void)
{
	int rc;

	if (!queues || queues > LAB_QPS_MAX)
		return -EINVAL;
	rc = ntb_transport_register_client_dev(LAB_NAME);
	if (rc)
		return rc;
	rc = ntb_transport_register_client(&lab_client);
	if (rc) {
		ntb_transport_unregister_client_dev(LAB_NAME);
		return rc;
	}
	lab_debugfs = debugfs_create_dir(LAB_NAME, NULL);
	debugfs_create_file("send", 0200, lab_debugfs, NULL, &send_fops);
	debugfs_create_file("refill", 0200, lab_debugfs, NULL, &refill_fops);
	debugfs_create_file("state", 0400, lab_debugfs, NULL, &state_fops);
	return 0;
}

static void __exit lab_exit(void)
{
	debugfs_remove_recursive(lab_debugfs);
	ntb_transport_unregister_client(&lab_client);
	ntb_transport_unregister_client_dev(LAB_NAME);
}

module_init(lab_init);
module_exit(lab_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("A client of ntb_transport that sends on demand");
