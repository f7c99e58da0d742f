# SPDX-License-Identifier: BSD-3-Clause
# The caller's buffers of the datapath engines: rows of 64-bit words, each row one struct, filled up
# to a power of two so that a row's address is a shift. The Python side
# (ntbbench/datapath/engine/buffers.py) names the same columns in the same order.

from libc.stdint cimport int64_t, uint64_t

cdef extern from *:
    """
    /* fls64() of the kernel for a word that is not 0. */
    static inline int ntb_bit_length(unsigned long long word)
    {
        return 64 - __builtin_clzll(word);
    }

    #define ntb_unlikely(condition) __builtin_expect(!!(condition), 0)

    /* A module's variable would be loaded anew in each use. */
    #define NTB_NONE 0xFFFFFFFFFFFFFFFFULL
    #define NTB_TIME_END ((1LL << (64 - 11)) - 1)
    """
    const uint64_t NONE "NTB_NONE"  # the key of a slot without an event
    const int64_t TIME_END "NTB_TIME_END"  # 64 - SLOT_BITS bits: no event is later
    int bit_length "ntb_bit_length"(uint64_t word) noexcept nogil
    bint unlikely "ntb_unlikely"(bint condition) noexcept nogil

cdef enum:
    SLOT_BITS = 11  # of a key; above them its time
    SLOT_POLL = 0
    SLOT_WORK = 1
    CAUSES = 4
    LOG_WORDS = 5

    # FlowRow.kind
    CLOSED = 0
    OPEN = 1
    TIMES = 2
    BACK_TO_BACK = 3

    # CpuRow.soft_step and task_step
    NOTHING = 0
    START = 1
    COPY = 2
    READ = 3
    CLEAR = 4
    SPIN = 5
    SEND = 6
    KSOFTIRQD_WAKE = 7
    KSOFTIRQD = 8
    POLL_WAKE = 9
    POLL_SLOT = 10

    # of soft_left and task_left; else what is left of an interrupted step
    RUNNING = -1
    ENDED = -2

    # Cause
    DOORBELL = 0
    RACE_CHECK = 1
    REPOST = 2
    BUDGET = 3

    # columns of CpuRow.counts
    PS_HARDIRQ = 0
    PS_USEFUL = 1
    PS_EMPTY = 2
    PS_SPINNING = 3
    PS_SENDER = 4
    PS_KTHREAD = 5
    LEFT_TO_KSOFTIRQD = 6
    PS_RUN = 7  # of the run on this CPU, not yet known whether useful
    PS_IDLE = 8
    CPU_COUNTS = 9

    # columns of QueueRow.counts
    RINGS = 0
    CALLS = 1
    WAKEUPS = 5
    USEFUL = 9
    EMPTY = 13
    PACKETS = 17
    MISSED = 18
    MISROUTED = 19
    WIPED = 20
    STOPS = 21
    WAKES = 22
    TIMER = 23
    RING_FULL = 24
    QUEUE_COUNTS = 25

    # columns of FlowRow.counts
    OFFERED = 0
    SENT = 1
    DELIVERED = 2
    DROPPED = 3
    FLOW_COUNTS = 4

    # Happening
    LOG_RING = 0
    LOG_IRQ_BEGIN = 1
    LOG_IRQ_END = 2
    LOG_SCHEDULE = 3
    LOG_MERGED = 4
    LOG_RUN_BEGIN = 5
    LOG_RUN_END = 6
    LOG_SPIN = 7
    LOG_KSOFTIRQD = 8
    LOG_SEND_BEGIN = 9
    LOG_SEND_END = 10
    LOG_STOP = 11
    LOG_WAKE = 12
    LOG_DELIVER = 13
    LOG_DROP = 14
    LOG_POLL_BEGIN = 15
    LOG_POLL_END = 16
    LOG_OFFER = 17

cdef struct Duration:
    int64_t mean
    int64_t kind  # 0 constant, 1 exponential, 2 uniform
    int64_t low
    int64_t width

cdef struct CpuRow:
    int64_t soft_step
    int64_t soft_left
    int64_t task_step
    int64_t task_left
    int64_t since
    int64_t at  # the column of counts that time since then belongs to
    int64_t irq
    uint64_t pending
    int64_t raised
    int64_t list_head
    int64_t list_tail
    int64_t taken_head
    int64_t queue
    int64_t got
    int64_t pass_cost
    int64_t copy_flow
    int64_t copy_stamp
    uint64_t irq_rung
    int64_t lock_wait
    int64_t passes
    int64_t deadline
    int64_t resched
    int64_t queued
    int64_t ksoftirqd
    int64_t turn
    int64_t flow
    int64_t ready_head
    int64_t ready_tail
    int64_t poll
    int64_t poll_source
    uint64_t stream
    int64_t counts[CPU_COUNTS]
    int64_t padding[24]

cdef struct QueueRow:
    int64_t bit
    int64_t source
    int64_t entries
    int64_t rx_max_entry
    uint64_t db_bits
    int64_t base  # its entries in the rings' buffer
    int64_t mask  # a power of two less one, at least entries
    int64_t sent  # entry numbers, ever rising: [arrived, sent) is on the link,
    int64_t arrived  # [taken, arrived) in the ring,
    int64_t taken  # [done, taken) on the DMA channel
    int64_t done
    int64_t scheduled
    int64_t cause
    int64_t next
    int64_t running_on
    int64_t run_cause
    int64_t locked
    int64_t holder
    int64_t stopped
    int64_t waiters_head
    int64_t waiters_tail
    int64_t channel_free
    int64_t channel_cpu
    uint64_t copy_stream
    uint64_t channel_stream
    int64_t counts[QUEUE_COUNTS]
    int64_t padding[14]

cdef struct FlowRow:
    int64_t kind
    int64_t queue
    int64_t cpu
    int64_t window
    int64_t ack_ps
    int64_t backlog
    int64_t base  # its words in the buffer of waiting packets' stamps, or acknowledgements' times
    int64_t mask
    int64_t times_base
    int64_t times_count
    Duration send
    Duration copy
    Duration channel
    Duration gap
    int64_t listed
    int64_t started
    int64_t outstanding
    int64_t stamp
    int64_t next_time
    int64_t next
    int64_t head
    int64_t tail
    uint64_t gap_stream
    uint64_t send_stream
    int64_t counts[FLOW_COUNTS]
    int64_t padding[24]

cdef struct SourceRow:
    int64_t cpu
    int64_t section_ps
    int64_t scans
    int64_t callbacks_base
    int64_t callbacks_count
    uint64_t rung
    int64_t interrupts
    int64_t padding

cdef struct EntryRow:
    int64_t flow
    int64_t stamp
    int64_t time  # of its arrival, then of its DMA's completion

# All else; the pointers behind its numbers are set anew in each call.
cdef struct Machine:
    int64_t link_ps
    int64_t hardirq_ps
    int64_t db_read_ps
    int64_t db_clear_ps
    int64_t pass_ps
    int64_t spin_ps
    int64_t wakeup_ps
    int64_t tx_stop
    int64_t tx_start
    int64_t timer_jiffies
    int64_t busy
    int64_t hrtimer_ps
    int64_t max_restart
    int64_t softirq_jiffies
    int64_t need_resched
    int64_t has_poll
    int64_t poll_jiffies
    int64_t slot_ps
    int64_t poll_cpu
    int64_t has_deferral
    int64_t raise_ps
    int64_t snapshots
    int64_t has_channel
    int64_t overwrite
    int64_t reposts
    int64_t jiffy_ps
    int64_t slot_timer
    int64_t slot_link
    int64_t slot_dma
    int64_t slot_flow
    int64_t slot_cpu
    Duration tasklet
    Duration work
    int64_t now
    int64_t events
    int64_t scan_iterations
    int64_t jiffies  # of the jiffy that began at jiffy_begin
    int64_t jiffy_begin
    uint64_t db
    int64_t lock_free
    uint64_t polled
    uint64_t work_pending
    int64_t work_queued
    uint64_t work_snapshot
    int64_t work_raising
    int64_t work_snapshots
    uint64_t work_stream
    int64_t advance_head  # of the list of CPUs to advance, ever rising
    int64_t advance_tail
    int64_t latency_high  # the sum is high << 32 plus low
    int64_t latency_low
    int64_t log_count
    CpuRow *cpus
    QueueRow *queues
    FlowRow *flows
    SourceRow *sources
    EntryRow *entries
    const uint64_t *callbacks
    const int64_t *times
    int64_t *waiting  # the flows' rings
    int64_t *to_advance
    int64_t advance_mask
    const int64_t *log_table
    int64_t *latency
    int64_t *log_rows
    int64_t log_capacity
    uint64_t *keys
    int64_t slot_count  # of keys
    uint64_t *tree  # the specialised engine's list or minima; the general engine's heap
    uint64_t *root  # of the specialised engine: the end of its list, or the topmost minima,
    uint64_t first  # and the least of them
    int64_t *places  # of the general engine: where in the heap each slot is; -1: nowhere
    int64_t heap_size
