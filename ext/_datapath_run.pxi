# SPDX-License-Identifier: BSD-3-Clause
# The entry: binds the caller's buffers to the structs, and lets the time pass.

cdef enum:
    WORD = 8

SIZES = {
    "system": sizeof(Machine) // WORD,
    "cpus": sizeof(CpuRow) // WORD,
    "queues": sizeof(QueueRow) // WORD,
    "flows": sizeof(FlowRow) // WORD,
    "sources": sizeof(SourceRow) // WORD,
    "entries": sizeof(EntryRow) // WORD,
}


def run(
    int64_t until,
    int64_t[::1] system,
    int64_t[:, ::1] cpus,
    int64_t[:, ::1] queues,
    int64_t[:, ::1] flows,
    int64_t[:, ::1] sources,
    int64_t[:, ::1] entries,
    const uint64_t[::1] callbacks,
    const int64_t[::1] times,
    int64_t[::1] waiting,
    int64_t[::1] to_advance,
    const int64_t[::1] log_table,
    int64_t[::1] latency,
    int64_t[:, ::1] log_rows,
    uint64_t[::1] keys,
    uint64_t[::1] tree,
    int64_t[::1] places,
):
    """Handle every event before `until`; the buffers are those of Buffers, which checks them."""
    cdef Machine *m
    cdef Py_ssize_t cpu_count = cpus.shape[0]
    if system.shape[0] * WORD != sizeof(Machine):
        raise ValueError(f"system: {system.shape[0]} words: allowed {sizeof(Machine) // WORD}")
    m = <Machine *>&system[0]
    m.cpus = <CpuRow *>&cpus[0, 0]
    m.queues = <QueueRow *>&queues[0, 0]
    m.flows = <FlowRow *>&flows[0, 0]
    m.sources = <SourceRow *>&sources[0, 0]
    m.entries = <EntryRow *>&entries[0, 0]
    m.callbacks = &callbacks[0]
    m.times = &times[0]
    m.waiting = &waiting[0]
    m.to_advance = &to_advance[0]
    m.advance_mask = to_advance.shape[0] - 1
    m.log_table = &log_table[0]
    m.latency = &latency[0]
    m.log_rows = &log_rows[0, 0]
    m.log_capacity = log_rows.shape[0] - 1
    m.keys = &keys[0]
    m.tree = &tree[0]
    m.places = &places[0]
    m.slot_count = keys.shape[0]
    m.root = &tree[tree.shape[0] - 8]
    begin_events(m)
    with nogil:
        go_until(m, until)
        settle(m, cpu_count)
