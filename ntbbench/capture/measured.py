# SPDX-License-Identifier: BSD-3-Clause
"""The plain records of what a capture measured: a field is a key of the JSON."""

from msgspec import Struct, field

MEASURED_SCHEMA = "ntbbench.measured/1"


class Source(Struct, frozen=True, kw_only=True):
    """One place that numbers come from; every number names it by `name`.

    `capture`: the folder, or the file given by itself.
    """

    name: str
    capture: str
    kind: str
    gives: str
    cannot_tell: str


class Irq(Struct, frozen=True, kw_only=True):
    """Interrupts of one line of /proc/interrupts between the snapshots.

    `slot`: the line's place among those of its device, None: no NTB line. `per_cpu`: by the CPU
    names of `cpus`, None: not known. `total` is None where a CPU's share is not known; `at_least`
    is what the others add up to. `is_link`: it carries link or other events, None: a file of an
    older ntbbench does not say. `others`: the actions of other drivers on the same line.
    `is_upper_bound`: the counts are the line's, and NTB's doorbells are at most these.
    """

    label: str
    chip: str
    action: str
    cpus: list[str]
    per_cpu: list[int | None]
    total: int | None
    at_least: int
    source: str
    slot: int | None = None
    role: str = ""
    is_doorbell: bool = False
    is_link: bool | None = None
    is_upper_bound: bool = False
    others: list[str] = field(default_factory=list)
    device: str = ""  # PCI name, where the line tells it


class Softirq(Struct, frozen=True, kw_only=True):
    """Runs of one softirq between the snapshots; fields as in `Irq`."""

    name: str
    cpus: list[str]
    per_cpu: list[int | None]
    total: int | None
    at_least: int
    source: str


class QpRuns(Struct, frozen=True, kw_only=True):
    """Receive-tasklet runs of one QP between the snapshots, by its debugfs counters.

    `runs_low` = E = ring_empty + no_buf + ver errors; `runs_high` = E + floor((rx_pkts +
    rx_err_oflow) / rx_max_entry), None: rx_max_entry is not known. All are None: see `cautions`.
    """

    device: str
    qp_num: int
    link: str
    rx_pkts: int | None
    tx_pkts: int | None
    rx_max_entry: int | None
    runs_low: int | None
    runs_high: int | None
    source: str


class Woken(Struct, frozen=True, kw_only=True):
    """One tasklet or QP in a trace: wakeups by cause, and runs.

    `qp_num`: None where the trace alone does not tell. `doorbell`: put on a list by the doorbell
    callback; `other`: race check, buffer repost, full budget, link.
    """

    address: str
    qp_num: int | None
    doorbell: int | None
    other: int | None
    runs: int | None


class Handler(Struct, frozen=True, kw_only=True):
    """Entries of one interrupt handler in a trace, by CPU number."""

    irq: int
    name: str
    per_cpu: dict[str, int]


class Traced(Struct, frozen=True, kw_only=True):
    """What a trace shows: None: it has no probe for it.

    `wakeups_low`, `wakeups_high`: tasklets that the doorbell callback put on a list, all QPs
    together; `runs_low`, `runs_high`: runs. Where the two are not equal, the doubts say why; no
    high one: more may have been lost. `has_lost`: events of a CPU are known to be missing.
    `is_cut`: it was counted up to where a CPU's buffer was full, not to its end.
    """

    source: str
    format: str
    events: int
    db_events: int | None
    db_events_per_vector: dict[str, int] = field(default_factory=dict)
    woken: list[Woken] = field(default_factory=list)
    handlers: list[Handler] = field(default_factory=list)
    softirqs: dict[str, int] = field(default_factory=dict)
    has_lost: bool = False
    is_cut: bool = False
    wakeups_low: int | None = None
    wakeups_high: int | None = None
    wakeups_doubts: list[str] = field(default_factory=list)
    runs_low: int | None = None
    runs_high: int | None = None
    runs_doubts: list[str] = field(default_factory=list)


class Amplification(Struct, frozen=True, kw_only=True):
    """Tasklet runs or wakeups per doorbell interrupt, with bounds; None: no bound known.

    `quantity`: "runs" (by any cause; bounds the doorbell's own amplification from above), or
    "doorbell wakeups" (the doorbell callback's own: the effective amplification).
    `interrupts` is an upper bound where `interrupts_low` is below it; None: it is exact.
    """

    quantity: str
    interrupts: int
    count_low: int
    count_high: int | None
    low: float
    high: float | None
    sources: list[str]
    note: str
    interrupts_low: int | None = None


class Throughput(Struct, frozen=True, kw_only=True):
    """One throughput measurement of iperf3 or ntb_perf, in bits a second.

    `direction` of iperf3: "forward" is from its client to its server, "reverse" back.
    """

    source: str
    tool: str
    what: str
    bits_per_second: float
    seconds: float | None = None
    retransmits: int | None = None
    lost_percent: float | None = None
    cpu_host_percent: float | None = None
    cpu_remote_percent: float | None = None
    direction: str = ""


class Count(Struct, frozen=True, kw_only=True):
    """A number of another kind: a bpftrace map's entry, ethtool's channels, pingpong's count."""

    source: str
    name: str
    key: str
    value: int
    is_lower_bound: bool = False  # the program counted more than its map could hold


class DeviceFacts(Struct, frozen=True, kw_only=True):
    """A device rebuilt from what the capture says of it; masks are hex texts.

    `vector_masks` empty: no vector callbacks, every vector means `db_valid_mask`. `db_read`: what
    db_read() shows of a rung bit until db_clear(): "latched": the bit, "zero": nothing, "legacy":
    other bits. `link_vectors`: those whose interrupt carries link events. `action`: the interrupt
    lines that are this device's; "": not told. `is_embedded`: its slots share one interrupt, which
    reports every vector and sets every bit. `client`: of ntb_transport; "": not told.
    """

    source: str
    db_valid_mask: str
    vector_masks: list[str]
    link_mask: str
    db_read: str
    link_vectors: list[int] = field(default_factory=list)
    action: str = ""
    is_embedded: bool = False
    client: str = ""


class Measured(Struct, frozen=True, kw_only=True):
    """All that the given folders and files say.

    `without_ntb`: captures whose /proc/interrupts has no line of an NTB driver and that have
    nothing else of NTB.
    """

    schema: str = MEASURED_SCHEMA
    without_ntb: list[str] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)
    amplification: list[Amplification] = field(default_factory=list)
    interrupts: list[Irq] = field(default_factory=list)
    softirqs: list[Softirq] = field(default_factory=list)
    qps: list[QpRuns] = field(default_factory=list)
    traces: list[Traced] = field(default_factory=list)
    throughput: list[Throughput] = field(default_factory=list)
    counts: list[Count] = field(default_factory=list)
    devices: list[DeviceFacts] = field(default_factory=list)
    cautions: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
