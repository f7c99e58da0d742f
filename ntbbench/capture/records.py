# SPDX-License-Identifier: BSD-3-Clause
"""The records of `ntbbench ingest` and `explain`: a field is a key of the JSON, null: not known."""

from typing import Annotated

from msgspec import Struct

from ntbbench.capture.latency_records import RunTime
from ntbbench.capture.tool_records import Clue, From, LatencySummary
from ntbbench.capture.transmit_records import (
    CaptureInterval,
    QpTransmit,
    Restart,
    TransmitFinding,
)
from ntbbench.core.fields import axis, fact, series, verdict

MEASURED_SCHEMA = "ntbbench.measured/1"

Cpus = Annotated[list[str], axis("CPUs", "names of the CPUs, as the header has them")]
PerCpu = Annotated[list[int | None], fact("by CPU", "in the order of the CPUs")]
Total = Annotated[int | None, fact("total", "of all CPUs; not known where the share of one is not")]
AtLeast = Annotated[int, fact("at least", "what the known shares add up to")]


class Source(Struct, frozen=True, kw_only=True):
    """One place that numbers come from; every number names it by `name`."""

    name: Annotated[str, axis("file", "the file, or the later of two snapshots")]
    capture: Annotated[str, axis("capture", "the folder, or the file given by itself")]
    kind: Annotated[str, fact("kind", "what kind of file it is")]
    gives: Annotated[str, fact("gives", "what numbers such a file gives")]
    cannot_tell: Annotated[str, fact("cannot tell", "what nobody can know from such a file")]


class Irq(Struct, frozen=True, kw_only=True):
    """Interrupts of one line of /proc/interrupts between the snapshots."""

    label: Annotated[str, axis("line", "the label of the line")]
    chip: Annotated[str, fact("chip", "the interrupt controller")]
    action: Annotated[str, fact("what", "the drivers of the line")]
    cpus: Cpus
    per_cpu: PerCpu
    total: Total
    at_least: AtLeast
    source: From
    slot: Annotated[
        int | None, fact("slot", "the line's place among those of its device; none: no NTB line")
    ] = None
    role: Annotated[str, fact("role", "what the interrupts of an NTB line are")] = ""
    is_doorbell: Annotated[bool, fact("doorbells", "whether it carries doorbells")] = False
    is_link: Annotated[
        bool | None, fact("link", "whether it carries link or other events; null: an older file")
    ] = None
    is_upper_bound: Annotated[
        bool, fact("upper bound", "NTB's doorbells are at most the interrupts of the line")
    ] = False
    others: Annotated[list[str], fact("others", "other drivers on the same line")] = []
    device: Annotated[str, fact("device", "PCI name, where the line tells it")] = ""


class Softirq(Struct, frozen=True, kw_only=True):
    """Runs of one softirq between the snapshots."""

    name: Annotated[str, axis("softirq", "as /proc/softirqs names it")]
    cpus: Cpus
    per_cpu: PerCpu
    total: Total
    at_least: AtLeast
    source: From


class QpRuns(Struct, frozen=True, kw_only=True):
    """Receive-tasklet runs of one QP between the snapshots, by its debugfs counters.

    E = rx_ring_empty + rx_err_no_buf + rx_err_ver, all as differences.
    """

    device: Annotated[str, axis("device", "PCI name of the NTB device")]
    qp_num: Annotated[int, axis("QP", "qp_num of ntb_transport")]
    link: Annotated[str, fact("link", "up, down, came up or went down between the snapshots")]
    rx_pkts: Annotated[int | None, fact("received", "packets received")]
    tx_pkts: Annotated[int | None, fact("sent", "packets sent")]
    rx_max_entry: Annotated[int | None, fact("rx_max_entry", "packets that end a run at the most")]
    runs_low: Annotated[int | None, fact("runs", "E, the fewest runs")]
    runs_high: Annotated[
        int | None, fact("most runs", "E + floor((rx_pkts + rx_err_oflow) / rx_max_entry)")
    ]
    source: From


class Woken(Struct, frozen=True, kw_only=True):
    """One tasklet or QP in a trace: wakeups by cause, and runs; null: no probe shows it."""

    address: Annotated[str, axis("tasklet", "address of the QP, or of its tasklet")]
    qp_num: Annotated[int | None, fact("QP", "null where the trace alone does not tell")]
    doorbell: Annotated[int | None, fact("by doorbell", "put on a list by the doorbell callback")]
    other: Annotated[
        int | None, fact("by other causes", "race check, buffer repost, full budget, link")
    ]
    runs: Annotated[int | None, fact("runs", "runs of the tasklet")]


class Handler(Struct, frozen=True, kw_only=True):
    """Entries of one interrupt handler in a trace, by CPU number."""

    irq: Annotated[int, axis("irq", "Linux's number of the interrupt")]
    name: Annotated[str, axis("handler", "the driver's name of it")]
    per_cpu: Annotated[dict[str, int], fact("entries", "by CPU number; ?: not known")]


class Traced(Struct, frozen=True, kw_only=True):
    """What a trace shows; null: it has no probe for it.

    Where a low and a high bound differ, the doubts say why; no high one: more may have been lost.
    """

    source: From
    format: Annotated[str, fact("format", "the program that printed the trace")]
    events: Annotated[int, fact("events", "lines that were counted")]
    db_events: Annotated[int | None, fact("doorbell events", "calls of the doorbell callback")]
    db_events_per_vector: Annotated[dict[str, int], fact("events by vector")] = {}
    schedules: Annotated[
        int | None, fact("schedules", "tasklets of any driver that were put on a list")
    ] = None
    woken: list[Woken] = []
    handlers: list[Handler] = []
    softirqs: Annotated[dict[str, int], fact("softirqs", "entries by name")] = {}
    has_lost: Annotated[bool, fact("lost", "events of a CPU are known to be missing")] = False
    is_cut: Annotated[bool, fact("cut", "counted to where the buffer of a CPU was full")] = False
    has_times: Annotated[bool, fact("times", "its clock counts seconds")] = True
    wakeups_low: Annotated[
        int | None, fact("wakeups", "tasklets that the doorbell callback put on a list")
    ] = None
    wakeups_high: Annotated[int | None, fact("most wakeups")] = None
    wakeups_doubts: list[str] = []
    runs_low: Annotated[int | None, fact("runs", "of the receive tasklets")] = None
    runs_high: Annotated[int | None, fact("most runs")] = None
    runs_doubts: list[str] = []


class Amplification(Struct, frozen=True, kw_only=True):
    """Tasklet runs or wakeups per doorbell interrupt, with bounds; null: no bound is known."""

    quantity: Annotated[
        str,
        axis(
            "quantity",
            "runs: by any cause, at least the doorbell's own; doorbell wakeups: tasklets that the "
            "doorbell callback put on a list (the effective amplification)",
        ),
    ]
    interrupts: Annotated[int, fact("interrupts", "doorbell interrupts, at the most")]
    count_low: Annotated[int, fact("count", "of the quantity, at the least")]
    count_high: Annotated[int | None, fact("count at most")]
    low: Annotated[float, fact("per interrupt", "the quantity per doorbell interrupt")]
    high: Annotated[float | None, fact("per interrupt at most")]
    sources: Annotated[list[str], fact("source", "the files that the numbers are from")]
    note: Annotated[str, fact("note", "how exact the number is, and why")]
    interrupts_low: Annotated[
        int | None, fact("interrupts at least", "null: the number is exact")
    ] = None


class Throughput(Struct, frozen=True, kw_only=True):
    """One throughput measurement of iperf3 or ntb_perf."""

    source: From
    tool: Annotated[str, axis("tool", "iperf3 or ntb_perf")]
    what: Annotated[str, axis("what", "protocol and streams, or the thread")]
    bits_per_second: Annotated[
        float, series("throughput", "what arrived", unit="bit/s", better="higher")
    ]
    seconds: Annotated[float | None, fact("duration", unit="s")] = None
    retransmits: Annotated[
        int | None, fact("retransmits", "TCP segments sent again", head="retrans")
    ] = None
    lost_percent: Annotated[
        float | None,
        series("lost", "datagrams that did not arrive", unit="%", better="lower", head="lost\n(%)"),
    ] = None
    cpu_host_percent: Annotated[
        float | None, series("CPU", "load of the host", unit="%", better="lower", head="CPU\n(%)")
    ] = None
    cpu_remote_percent: Annotated[
        float | None,
        series(
            "remote CPU", "load of the other host", unit="%", better="lower", head="remote\n(%)"
        ),
    ] = None
    direction: Annotated[
        str, axis("direction", "of iperf3: forward goes from its client to its server")
    ] = ""


class MeasuredCount(Struct, frozen=True, kw_only=True):
    """A number of another kind: a bpftrace map's entry, ethtool's channels, pingpong's count."""

    source: From
    name: Annotated[str, axis("name", "of the map, or of what was counted")]
    key: Annotated[str, axis("key", "of the map's entry, or the network device")]
    value: Annotated[int, fact("count")]
    is_lower_bound: Annotated[
        bool, fact("lower bound", "the program counted more than its map could hold")
    ] = False


class DeviceFacts(Struct, frozen=True, kw_only=True):
    """A device rebuilt from what the capture says of it; masks are hexadecimal texts."""

    source: From
    db_valid_mask: Annotated[str, fact("valid mask", "db_valid_mask")]
    vector_masks: Annotated[
        list[str], fact("vector masks", "none: no vector callbacks, a vector means every doorbell")
    ]
    link_mask: Annotated[str, fact("link mask", "bits that carry link events")]
    db_read: Annotated[
        str,
        fact(
            "db_read",
            "what db_read() shows of a rung bit until db_clear(): latched, the bit; zero, nothing; "
            "legacy, other bits",
        ),
    ]
    link_vectors: Annotated[
        list[int], fact("link vectors", "vectors whose interrupt carries link events")
    ] = []
    action: Annotated[str, fact("action", "the interrupt lines that are this device's")] = ""
    is_embedded: Annotated[
        bool,
        fact("embedded", "one interrupt for all slots: it reports every vector, sets every bit"),
    ] = False
    client: Annotated[str, fact("client", "of ntb_transport, where the capture tells it")] = ""
    driver: Annotated[str, fact("driver", "of the kernel, where its own info tells it")] = ""
    mw_count: Annotated[int | None, fact("windows", "memory windows, by its info")] = None


class Measured(Struct, frozen=True, kw_only=True):
    """All that the given folders and files say."""

    schema: str = MEASURED_SCHEMA
    without_ntb: Annotated[
        list[str], fact("no NTB", "captures without an interrupt line, a counter or a trace of NTB")
    ] = []
    sources: list[Source] = []
    amplification: list[Amplification] = []
    interrupts: list[Irq] = []
    softirqs: list[Softirq] = []
    qps: list[QpRuns] = []
    transmits: list[QpTransmit] = []
    intervals: list[CaptureInterval] = []
    traces: list[Traced] = []
    run_times: list[RunTime] = []
    throughput: list[Throughput] = []
    counts: list[MeasuredCount] = []
    devices: list[DeviceFacts] = []
    latencies: list[LatencySummary] = []
    clues: list[Clue] = []
    failures: Annotated[list[str], fact("failures", "what a tool says has failed")] = []
    cautions: Annotated[list[str], fact("cautions", "what keeps a number from being known")] = []
    errors: Annotated[list[str], fact("not used", "files that cannot be used, and why")] = []


EXPLAIN_SCHEMA = "ntbbench.explain/1"
INSIDE, EXCESS, FEWER, UNKNOWN = "inside", "excess", "fewer", "unknown"

Verdict = Annotated[
    str,
    verdict(
        "verdict",
        "inside the bounds of the model; excess, fewer: more, fewer runs than it allows; unknown",
    ),
]


class VectorRow(Struct, frozen=True, kw_only=True):
    """One vector: its mask, its active QPs, its interrupts."""

    vector: Annotated[int, axis("vector")]
    db_vector_mask: Annotated[str, fact("mask", "doorbell bits of the vector")]
    fan_out: Annotated[int | None, fact("active QPs", "active QPs under the mask")]
    interrupts: Annotated[int | None, fact("interrupts", "measured")]
    predicted_schedule_calls: Annotated[
        int | None, fact("predicted calls", "tasklet_schedule() calls of its interrupts")
    ]


class QpRow(Struct, frozen=True, kw_only=True):
    """Receive-tasklet runs of one QP: bounds of the model and of the measurement."""

    qp_num: Annotated[int, axis("QP", "qp_num of ntb_transport")]
    predicted_low: Annotated[int | None, fact("predicted", "runs that the model allows")]
    predicted_high: Annotated[int | None, fact("predicted at most")]
    measured_low: Annotated[int | None, fact("measured", "runs")]
    measured_high: Annotated[int | None, fact("measured at most")]
    verdict: Verdict


class LikelyCause(Struct, frozen=True, kw_only=True):
    """One cause of more than one run per interrupt, and what speaks for it."""

    code: Annotated[str, axis("cause")]
    at_most: Annotated[
        int | None, fact("at most", "runs that it adds; null: it changes what the interrupts are")
    ]
    text: Annotated[str, fact("reason", "what speaks for it")]


class Explanation(Struct, frozen=True, kw_only=True):
    """One capture beside one device."""

    capture: Annotated[str, axis("capture")]
    device: Annotated[str, axis("device", "the preset, or that it was rebuilt from the capture")]
    called: Annotated[str, fact("called", "the device in a sentence; empty: its name")] = ""
    source: Annotated[str, fact("source", "where the facts of the device stand")]
    active_qps: Annotated[list[int] | None, fact("active QPs", "by qp_num")]
    interrupts: Annotated[int | None, fact("interrupts", "doorbell interrupts measured")]
    predicted_amplification: Annotated[
        float | None,
        fact("calls per interrupt", "tasklet_schedule() calls per doorbell interrupt, predicted"),
    ]
    predicted_runs_low: Annotated[int | None, fact("predicted runs", "that the model allows")]
    predicted_runs_high: Annotated[int | None, fact("predicted runs at most")]
    measured_runs_low: Annotated[int | None, fact("measured runs", "of all QPs")]
    measured_runs_high: Annotated[int | None, fact("measured runs at most")]
    verdict: Verdict
    excess: Annotated[int | None, fact("excess", "measured runs beyond one per interrupt")]
    unexplained: Annotated[
        int | None, fact("unexplained", "measured runs beyond the most that the model allows")
    ]
    vectors: list[VectorRow] = []
    qps: list[QpRow] = []
    causes: list[LikelyCause] = []
    cautions: list[str] = []


class Explanations(Struct, frozen=True, kw_only=True):
    """Every capture beside every device that it may be of."""

    schema: str = EXPLAIN_SCHEMA
    explanations: list[Explanation] = []
    transmits: list[TransmitFinding] = []
    restarts: list[Restart] = []
    is_named: Annotated[bool, fact("named", "the devices were named, not found")] = False
    ruled_out: Annotated[
        dict[str, list[str]], fact("ruled out", "by capture: presets that it is not of, and why")
    ] = {}
