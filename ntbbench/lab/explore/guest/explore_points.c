// SPDX-License-Identifier: GPL-2.0
/*
 * ntb_explore: points in the code of the pair.
 *
 * A point is a kprobe on an instruction. A hit is noted with its CPU and, where
 * the instruction accesses memory, with the address. A schedule delays chosen
 * hits. The handler of a breakpoint runs with interrupts off, where a delay would
 * keep out what is to come in between: so the delay is a detour. The interrupted
 * code is made to call explore_detour() before the instruction, in its own
 * context, and comes to the breakpoint a second time afterwards.
 *
 * While a CPU waits it gives way: QEMU runs its CPUs in turn, and a pause lets
 * the next one run.
 */
#include <linux/hashtable.h>
#include <linux/io.h>
#include <linux/kprobes.h>
#include <linux/mm.h>
#include <linux/objtool.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/vmalloc.h>
#include <asm/text-patching.h>
#include <asm/tsc.h>

#include "explore.h"

#define LOG_SIZE	65536
#define NO_REGISTER	16
#define PASSES		16
#define SPENT		100	/* turns of a loop: about a microsecond */
#define BUDGET_US	20000	/* of one delay, all its hits together */
#define WORD		8	/* bytes that count as one place */
#define PLACE_BITS	12

/**
 * struct point - an instruction
 * @probe:	where
 * @id:		its number
 * @access:	'r', 'w', 'm' (reads and writes), or '-': it touches no memory
 * @base:	register of its address, in the order of the instruction set
 * @index:	the other one
 * @scale:	of @index
 * @disp:	what is added
 * @hits:	in this schedule
 */
struct point {
	struct kprobe probe;
	int id;
	char access;
	u8 base, index, scale;
	s32 disp;
	atomic_t hits;
	char symbol[96];
};

/**
 * struct delay - what a schedule changes
 * @point:	number of the point; -1: any, @hit counts the hits of all
 * @hit:	which hit, from 1; 0: each
 * @us:		how long
 * @met:	how often it came about: until BUDGET_US are used up, for a CPU that
 *		is held works as hard as one that is not
 */
struct delay {
	int point;
	int hit;
	u32 us;
	unsigned int met;
};

struct event {
	u64 time;
	u64 value;	/* address, or what a mark says */
	s16 what;	/* point, or a mark */
	u8 cpu;
	u8 context;	/* 0: task, 1: softirq, 2: hard interrupt */
};

/**
 * struct pass - a detour that is not over
 * @task:	who; NULL: this one is free
 * @sp:		and where on which stack
 * @point:	at which point
 * @us:		the delay
 */
struct pass {
	struct task_struct *task;
	unsigned long sp;
	struct point *point;
	u32 us;
};

static struct point *points[POINTS];	/* by their number */
static struct kprobe *probes[POINTS];	/* theirs, as they came */
static unsigned int probe_count;
static struct delay delays[DELAYS];
static unsigned int delay_count;
static struct pass passes[PASSES];
static atomic_t passing;
static atomic_t delayed_us;	/* of all CPUs together */

static struct event *events;
static atomic_t event_count;
static atomic_t steps;
static bool running;
static u64 started;

static unsigned long *met;	/* bitmap: of pairs of points, all schedules */

/* Flags and what a C function may change; the pass lies on the stack. */
asm(".text\n"
	".type explore_detour, @function\n"
	"explore_detour:\n"
	"\tpushfq\n"
	"\tpush %rax\n\tpush %rcx\n\tpush %rdx\n\tpush %rsi\n\tpush %rdi\n"
	"\tpush %r8\n\tpush %r9\n\tpush %r10\n\tpush %r11\n"
	"\tmov 80(%rsp), %rdi\n"
	"\tcall explore_wait\n"
	"\tpop %r11\n\tpop %r10\n\tpop %r9\n\tpop %r8\n"
	"\tpop %rdi\n\tpop %rsi\n\tpop %rdx\n\tpop %rcx\n\tpop %rax\n"
	"\tpopfq\n"
	"\tlea 8(%rsp), %rsp\n"
	"\tret\n"
	".size explore_detour, . - explore_detour\n");
STACK_FRAME_NON_STANDARD(explore_detour);

/* --- the log ---------------------------------------------------------------- */

/* Nanoseconds since the schedule began. */
u64 explore_clock(void)
{
	return div_u64((rdtsc_ordered() - started) * 1000000, tsc_khz);
}

/* A breakpoint counts as an interrupt that no mask keeps out. */
static u8 context(void)
{
	if (hardirq_count() > (in_nmi() ? HARDIRQ_OFFSET : 0))
		return 2;
	return in_serving_softirq() ? 1 : 0;
}

void explore_note(int what, u64 value)
{
	int n;

	if (!READ_ONCE(running))
		return;
	n = atomic_inc_return(&event_count) - 1;
	if (n < LOG_SIZE)
		events[n] = (struct event){
			.time = explore_clock(), .value = value, .what = what,
			.cpu = raw_smp_processor_id(), .context = context() };
}

static u64 value_of(struct pt_regs *regs, u8 number)
{
	const unsigned long *in_order[] = {
		&regs->ax, &regs->cx, &regs->dx, &regs->bx,
		&regs->sp, &regs->bp, &regs->si, &regs->di,
		&regs->r8, &regs->r9, &regs->r10, &regs->r11,
		&regs->r12, &regs->r13, &regs->r14, &regs->r15 };

	return number < NO_REGISTER ? *in_order[number] : 0;
}

static u64 address(const struct point *point, struct pt_regs *regs)
{
	if (point->access == '-')
		return 0;
	return value_of(regs, point->base) + point->disp +
	       value_of(regs, point->index) * point->scale;
}

/* --- delays ----------------------------------------------------------------- */

void explore_wait(struct pass *pass);

/* Giving way costs QEMU as much as many instructions do. */
static void spend(void)
{
	int i;

	for (i = 0; i < SPENT; i++)
		barrier();
}

__visible void explore_wait(struct pass *pass)
{
	u64 end = rdtsc_ordered() + (u64)pass->us * tsc_khz / 1000;

	atomic_add(pass->us, &delayed_us);
	explore_note(MARK_DELAYED, pass->us);
	while ((s64)(end - rdtsc_ordered()) > 0) {
		spend();
		cpu_relax();
	}
	explore_note(MARK_RESUMED, pass->point->id);
}

static u32 delay_of(const struct point *point, int hit, int step)
{
	unsigned int i;
	u32 us = 0;

	for (i = 0; i < delay_count; i++) {
		struct delay *delay = &delays[i];
		bool of_point = delay->point == point->id &&
				(!delay->hit || delay->hit == hit);

		if (!of_point && !(delay->point < 0 && delay->hit == step))
			continue;
		if (delay->met * delay->us >= BUDGET_US)
			continue;
		delay->met++;
		us = max(us, delay->us);
	}
	return us;
}

/* Whether this is the breakpoint that a detour led back to. */
static bool comes_back(struct point *point, struct pt_regs *regs)
{
	int i;

	if (!atomic_read(&passing))
		return false;
	for (i = 0; i < PASSES; i++) {
		struct pass *pass = &passes[i];

		if (READ_ONCE(pass->task) != current ||
		    pass->sp != regs->sp || pass->point != point)
			continue;
		WRITE_ONCE(pass->task, NULL);
		atomic_dec(&passing);
		return true;
	}
	return false;
}

static bool detour(struct point *point, struct pt_regs *regs, u32 us)
{
	int i;

	for (i = 0; i < PASSES; i++) {
		struct pass *pass = &passes[i];

		if (cmpxchg(&pass->task, NULL, current))
			continue;
		pass->sp = regs->sp;
		pass->point = point;
		pass->us = us;
		atomic_inc(&passing);
		int3_emulate_push(regs, (unsigned long)point->probe.addr);
		int3_emulate_push(regs, (unsigned long)pass);
		int3_emulate_jmp(regs, (unsigned long)explore_detour);
		return true;
	}
	return false;
}

static int at_point(struct kprobe *probe, struct pt_regs *regs)
{
	struct point *point = container_of(probe, struct point, probe);
	int hit, step;
	u32 us;

	if (comes_back(point, regs) || !READ_ONCE(running))
		return 0;
	hit = atomic_inc_return(&point->hits);
	step = atomic_inc_return(&steps);
	explore_note(point->id, address(point, regs));
	us = delay_of(point, hit, step);
	return us && detour(point, regs, us);
}

/* Keeps the kernel from replacing the breakpoint by a jump. */
static void after_point(struct kprobe *probe, struct pt_regs *regs,
			unsigned long flags)
{
}

/* "ID SYMBOL OFFSET ACCESS BASE INDEX SCALE DISP" */
int explore_add_point(char *words)
{
	unsigned int offset, base, index, scale;
	struct point *point;
	int ret, id;

	point = kzalloc_obj(*point);
	if (!point)
		return -ENOMEM;
	ret = -EINVAL;
	if (sscanf(words, "%d %95s %i %c %u %u %u %i", &id, point->symbol,
		   &offset, &point->access, &base, &index, &scale,
		   &point->disp) != 8 ||
	    id < 0 || id >= POINTS || points[id])
		goto err;
	point->id = id;
	point->base = base;
	point->index = index;
	point->scale = scale;
	point->probe.symbol_name = point->symbol;
	point->probe.offset = offset;
	point->probe.pre_handler = at_point;
	point->probe.post_handler = after_point;
	ret = register_kprobe(&point->probe);
	if (ret)
		goto err;
	points[id] = point;
	probes[probe_count++] = &point->probe;
	return 0;
err:
	kfree(point);
	return ret;
}

/* "POINT HIT US" */
int explore_add_delay(char *words)
{
	struct delay *delay = &delays[delay_count];

	if (delay_count == DELAYS ||
	    sscanf(words, "%d %d %u", &delay->point, &delay->hit,
		   &delay->us) != 3)
		return -EINVAL;
	delay->met = 0;
	delay_count++;
	return 0;
}

void explore_clear_delays(void)
{
	delay_count = 0;
}

/* Whether a CPU is in a detour: nothing is stuck before it is over. */
bool explore_is_delaying(void)
{
	return atomic_read(&passing);
}

/* No packet of a sound pair is later by more than this and two polls. */
u32 explore_delayed_us(void)
{
	return atomic_read(&delayed_us);
}

void explore_begin(void)
{
	int i;

	for (i = 0; i < POINTS; i++)
		if (points[i])
			atomic_set(&points[i]->hits, 0);
	atomic_set(&event_count, 0);
	atomic_set(&steps, 0);
	atomic_set(&delayed_us, 0);
	started = rdtsc_ordered();
	WRITE_ONCE(running, true);
}

void explore_end(void)
{
	WRITE_ONCE(running, false);
}

/* --- accesses that met ------------------------------------------------------- */

struct place {
	struct hlist_node node;
	u64 phys;
	const struct event *last;
};

static DEFINE_HASHTABLE(places, PLACE_BITS);

/* Either side maps the memory between them where it likes. */
static u64 physical(u64 address)
{
	void *virt = (void *)address;

	if (is_vmalloc_or_module_addr(virt))
		return (u64)vmalloc_to_pfn(virt) << PAGE_SHIFT |
		       offset_in_page(virt);
	return virt_addr_valid(virt) ? virt_to_phys(virt) : 0;
}

static struct place *place_of(u64 phys)
{
	struct place *place;

	hash_for_each_possible(places, place, node, phys)
		if (place->phys == phys)
			return place;
	place = kzalloc_obj(*place);
	if (place) {
		place->phys = phys;
		hash_add(places, &place->node, phys);
	}
	return place;
}

static void forget_places(void)
{
	struct hlist_node *next;
	struct place *place;
	int bucket;

	hash_for_each_safe(places, bucket, next, place, node) {
		hash_del(&place->node);
		kfree(place);
	}
}

static bool writes(const struct event *event)
{
	return points[event->what]->access != 'r';
}

static bool conflict(const struct event *first, const struct event *second)
{
	return (first->cpu != second->cpu ||
		first->context != second->context) &&
	       (writes(first) || writes(second));
}

static void show_met(struct seq_file *s, const struct event *event)
{
	u64 phys = physical(event->value) / WORD;
	struct place *place = phys ? place_of(phys) : NULL;
	const struct event *last;

	if (!place)
		return;
	last = place->last;
	place->last = event;
	if (last && conflict(last, event) &&
	    !test_and_set_bit(last->what * POINTS + event->what, met))
		seq_printf(s, " %d>%d", last->what, event->what);
}

/* Pairs of points whose accesses met in this order for the first time. */
void explore_show_met(struct seq_file *s)
{
	int count = min(atomic_read(&event_count), LOG_SIZE), i;

	seq_puts(s, "met");
	for (i = 0; i < count; i++)
		if (events[i].what >= 0 && points[events[i].what]->access != '-' &&
		    events[i].value)
			show_met(s, &events[i]);
	seq_puts(s, "\n");
	forget_places();
}

void explore_show_points(struct seq_file *s)
{
	int i;

	seq_puts(s, "hits");
	for (i = 0; i < POINTS; i++)
		if (points[i] && atomic_read(&points[i]->hits))
			seq_printf(s, " %d:%d", i,
				   atomic_read(&points[i]->hits));
	seq_puts(s, "\ndelayed");
	for (i = 0; i < delay_count; i++)
		seq_printf(s, " %u", delays[i].met);
	seq_printf(s, "\nsteps %d\n", atomic_read(&steps));
}

/* A line an event: ns, CPU, context, point or mark, place or value. */
void explore_show_log(struct seq_file *s)
{
	int count = min(atomic_read(&event_count), LOG_SIZE), i;

	for (i = 0; i < count; i++) {
		const struct event *event = &events[i];
		bool access = event->what >= 0 && event->value;

		seq_printf(s, "event %llu %u %u %d %llx\n", event->time,
			   event->cpu, event->context, event->what,
			   access ? physical(event->value) : event->value);
	}
}

int explore_points_init(void)
{
	events = vzalloc(array_size(LOG_SIZE, sizeof(*events)));
	met = vzalloc(BITS_TO_LONGS(POINTS * POINTS) * sizeof(long));
	if (events && met)
		return 0;
	explore_points_exit();
	return -ENOMEM;
}

void explore_points_exit(void)
{
	unsigned int i;

	unregister_kprobes(probes, probe_count);	/* one grace period for all */
	for (i = 0; i < probe_count; i++)
		kfree(container_of(probes[i], struct point, probe));
	vfree(events);
	vfree(met);
}
