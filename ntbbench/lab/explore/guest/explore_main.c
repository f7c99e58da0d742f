// SPDX-License-Identifier: GPL-2.0
/*
 * ntb_explore: schedules are written to /sys/kernel/debug/ntb_explore/control,
 * a line at a time, and told of in "result" and "log" beside it:
 *
 *   point ID MODULE:FUNCTION OFFSET ACCESS BASE INDEX SCALE DISP
 *   sender SIDE CPU QP:GAP ...
 *   actor CPU SIDE:WHAT:GAP ...
 *   delay POINT HIT US
 *   run NAME
 *
 * A run forgets senders and delays; the points stay.
 */
#include <linux/debugfs.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "explore.h"

#define LINE_MAX	8192
#define RESULT_SIZE	SZ_64K
#define LOG_TEXT	SZ_4M
#define NAME_SIZE	32

static char *ep = "0000:10:00.0";
module_param(ep, charp, 0444);
MODULE_PARM_DESC(ep, "PCI address of the endpoint's NTB device");

static char *rc = "0010:00:00.0";
module_param(rc, charp, 0444);
MODULE_PARM_DESC(rc, "PCI address of the root complex's NTB device");

static struct dentry *folder;
static DEFINE_MUTEX(lock);	/* of the schedule that is being made or run */
static char name[NAME_SIZE];

static int run(char *words)
{
	int ret;

	strscpy(name, words, sizeof(name));
	/* what the kernel complains of after this is this schedule's */
	pr_warn("ntb_explore: schedule %s\n", name);
	ret = explore_run_traffic();
	return ret;
}

static const struct {
	const char *name;
	int (*function)(char *words);
} commands[] = {
	{ "point", explore_add_point },
	{ "sender", explore_add_sender },
	{ "actor", explore_add_actor },
	{ "delay", explore_add_delay },
	{ "run", run },
};

static int obey(char *line)
{
	char *word = strsep(&line, " ");
	int i;

	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(word, commands[i].name) && line)
			return commands[i].function(line);
	return -EINVAL;
}

static ssize_t control_write(struct file *file, const char __user *from,
			     size_t size, loff_t *position)
{
	char *line;
	int ret;

	if (size > LINE_MAX)
		return -E2BIG;
	line = memdup_user_nul(from, size);
	if (IS_ERR(line))
		return PTR_ERR(line);
	mutex_lock(&lock);
	ret = obey(strim(line));
	mutex_unlock(&lock);
	kfree(line);
	return ret ?: size;
}

static const struct file_operations control_fops = {
	.owner	= THIS_MODULE,
	.write	= control_write,
};

static int result_show(struct seq_file *s, void *unused)
{
	mutex_lock(&lock);
	seq_printf(s, "schedule %s\n", name);
	explore_show_traffic(s);
	explore_show_counts(s);
	explore_show_points(s);
	explore_show_met(s);
	explore_clear_senders();
	explore_clear_delays();
	mutex_unlock(&lock);
	return 0;
}

static int result_open(struct inode *inode, struct file *file)
{
	return single_open_size(file, result_show, NULL, RESULT_SIZE);
}

static const struct file_operations result_fops = {
	.owner		= THIS_MODULE,
	.open		= result_open,
	.read		= seq_read,
	.llseek		= seq_lseek,
	.release	= single_release,
};

static int log_show(struct seq_file *s, void *unused)
{
	explore_show_log(s);
	return 0;
}

static int log_open(struct inode *inode, struct file *file)
{
	return single_open_size(file, log_show, NULL, LOG_TEXT);
}

static const struct file_operations log_fops = {
	.owner		= THIS_MODULE,
	.open		= log_open,
	.read		= seq_read,
	.llseek		= seq_lseek,
	.release	= single_release,
};

static int __init explore_init(void)
{
	const char *const names[SIDES] = { ep, rc };
	int ret;

	ret = explore_points_init();
	if (ret)
		return ret;
	ret = explore_traffic_init(names);
	if (ret)
		goto err_points;
	ret = explore_counts_init();
	if (ret)
		goto err_traffic;
	folder = debugfs_create_dir("ntb_explore", NULL);
	debugfs_create_file("control", 0200, folder, NULL, &control_fops);
	debugfs_create_file("result", 0400, folder, NULL, &result_fops);
	debugfs_create_file("log", 0400, folder, NULL, &log_fops);
	return 0;

err_traffic:
	explore_traffic_exit();
err_points:
	explore_points_exit();
	return ret;
}
module_init(explore_init);

static void __exit explore_exit(void)
{
	debugfs_remove(folder);
	explore_counts_exit();
	explore_points_exit();
	explore_traffic_exit();
}
module_exit(explore_exit);

MODULE_DESCRIPTION("Schedules of an NTB driver pair on several CPUs");
MODULE_LICENSE("GPL");
