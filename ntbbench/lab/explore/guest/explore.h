/* SPDX-License-Identifier: GPL-2.0 */
/*
 * ntb_explore - one schedule after another of the driver pair on several CPUs.
 *
 *   explore_main.c	the file that takes a schedule and the one that tells of it
 *   explore_points.c	points in the code: hits, delays, the accesses that met
 *   explore_traffic.c	packets on every QP both ways, and which of them arrived
 *   explore_counts.c	rings, MSIs, events and tasklet runs
 */
#ifndef NTB_EXPLORE_H
#define NTB_EXPLORE_H

#include <linux/ntb.h>
#include <linux/seq_file.h>
#include <linux/types.h>

#define SIDES		2	/* 0: the endpoint, 1: the root complex */
#define QPS		16
#define DELAYS		64	/* of a schedule */
#define POINTS		4096
#define SENDERS		8
#define PACKETS		128	/* of a sender */
#define ACTIONS		16	/* of the actor */

/* explore_points.c */
int explore_add_point(char *words);
int explore_add_delay(char *words);
void explore_clear_delays(void);
int explore_points_init(void);
void explore_points_exit(void);
void explore_begin(void);
void explore_end(void);
bool explore_is_delaying(void);
u32 explore_delayed_us(void);
void explore_detour(void);
u64 explore_clock(void);
void explore_note(int mark, u64 value);
void explore_show_points(struct seq_file *s);
void explore_show_log(struct seq_file *s);
void explore_show_met(struct seq_file *s);

/* Marks in the log, beside the numbers of points. */
enum explore_mark {
	MARK_SENT	= -1,	/* value: side << 32 | qp << 16 | number */
	MARK_RECEIVED	= -2,
	MARK_DELAYED	= -3,	/* value: us */
	MARK_RESUMED	= -4,
	MARK_EVENT	= -5,	/* value: side << 32 | vector */
	MARK_RUN	= -6,	/* value: side << 32 | qp */
	MARK_RANG	= -7,	/* value: side << 32 | bits */
};

/* explore_traffic.c */
int explore_add_sender(char *words);
int explore_add_actor(char *words);
void explore_clear_senders(void);
int explore_run_traffic(void);
void explore_show_traffic(struct seq_file *s);
int explore_traffic_init(const char *const *names);
void explore_traffic_exit(void);
struct ntb_dev *explore_ntb(int side);

/* explore_counts.c */
int explore_counts_init(void);
void explore_counts_exit(void);
void explore_clear_counts(void);
void explore_show_counts(struct seq_file *s);

#endif /* NTB_EXPLORE_H */
