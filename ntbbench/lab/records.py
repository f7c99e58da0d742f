# SPDX-License-Identifier: BSD-3-Clause
"""The plain records of a lab run, by client of ntb_transport: a field is a key of the JSON."""

from typing import Annotated

from msgspec import Struct

from ntbbench.core.fields import axis, count, fact, series, verdict

LAB_SCHEMA = "ntbbench.lab/1"
NETDEV_SCHEMA = "ntbbench.lab-netdev/1"

Vectors = Annotated[
    int,
    axis("vectors", "0: no vector callbacks; k: bit b belongs to vector b % k", head="vec-\ntors"),
]
Events = Annotated[int, count("doorbell events", "calls of the doorbell callback", head="events")]
Received = Annotated[
    int, count("packets received", "by all clients of the receiving port", better="higher")
]
Difference = fact("difference", "measured - predicted")
Fewest = fact("fewest runs", "that any order of the same doorbells gives")
Most = fact("most runs", "that any order of the same doorbells gives")
Kernel = Annotated[str, fact("kernel", "uname -r of the guest")]
AskedFor = Annotated[str, fact("asked for", "debian:6.12, or the image's path")]
SourceTree = Annotated[str, fact("source tree", "of --source; empty: the kernel's own NTB files")]
NTB_SOURCE = fact("NTB sources", "where the NTB files came from")
Accelerator = Annotated[str, fact("accelerator", "kvm or tcg")]


class LabPoint(Struct, frozen=True, kw_only=True):
    """What the real kernel did for one point's doorbells, and what the model says it does.

    Lists named `..._per_qp` are by qp_num of the receiving port.
    """

    name: str
    vectors: Vectors
    db_read: Annotated[
        str, axis("db_read", "latched: shows a rung bit until db_clear(); zero: always 0")
    ]
    queues: Annotated[int, axis("queues", "QPs of each port, all of them active")]
    sending_qps: Annotated[list[int], axis("senders", "QPs that send")]
    order: Annotated[
        str, axis("order", "turn: one sender, a packet on each QP in turn; together: one a QP")
    ]
    gap_us: Annotated[int, axis("gap", "between two packets of a sender", unit="us")]
    packets: Annotated[int, axis("packets", "of each sending QP")]
    doorbells_rung: Annotated[
        int, count("doorbells rung", "peer_db_set() calls of the sender", head="door-\nbells")
    ]
    events: Events
    events_per_vector: Annotated[
        dict[str, int], fact("events by vector", "doorbell callbacks by their vector")
    ]
    tasklet_schedules: Annotated[
        int,
        count(
            "tasklet schedules",
            "tasklets put on a list, by any cause",
            better="lower",
            head="sche-\ndules",
        ),
    ]
    predicted_tasklet_schedules: Annotated[
        int, fact("tasklet schedules predicted", "by the model, for these doorbells")
    ]
    packets_received: Received
    runs_per_qp: Annotated[
        list[int], count("runs", "runs of the receive tasklet", better="lower", head="runs")
    ]
    predicted_runs_per_qp: Annotated[
        list[int], fact("runs predicted", "by the model", head="pre-\ndicted")
    ]
    difference_per_qp: Annotated[list[int], Difference]
    least_runs_per_qp: Annotated[list[int], Fewest]
    most_runs_per_qp: Annotated[list[int], Most]
    spaced: Annotated[
        bool, fact("spaced", "each doorbell was served before the next: the model is exact")
    ]
    agrees: Annotated[bool, verdict("verdict", "whether the kernel did what the model predicts")]
    notes: list[str] = []  # causes of differences, cautions


class LabResult(Struct, frozen=True, kw_only=True):
    """One lab run: which kernel, where its NTB code is from, how it ran, and every point."""

    schema: str = LAB_SCHEMA
    kernel: Kernel
    kernel_version: Annotated[str, fact("version", "/proc/version of the guest")]
    kernel_source: AskedFor
    ntb_source: Annotated[str, NTB_SOURCE]
    source_tree: SourceTree = ""
    accelerator: Accelerator
    environment: dict[str, str]
    points: list[LabPoint]
    warnings: list[str] = []


class NetdevPoint(Struct, frozen=True, kw_only=True):
    """One set of flows; lists are by qp_num of the receiving port."""

    name: str
    vectors: Vectors
    queues: Annotated[int, axis("queues", "that the interfaces have")]
    active_qps: Annotated[int, fact("active QPs", "of the receiving port")]
    flows: Annotated[int, axis("flows", "UDP flows, hashed to queues by the stack")] = 0
    gap_us: Annotated[
        int, axis("gap", "between two packets of a flow; 0: as fast as it goes", unit="us")
    ]
    packets_sent: Annotated[int, axis("packets sent", "by all flows")]
    packets_received: Received
    seconds: Annotated[float, fact("duration", "of the guest's clock", unit="s")]
    bits_per_second: Annotated[
        float,
        series(
            "throughput",
            "of payload; an emulated guest's clock counts instructions",
            unit="bit/s",
            better="higher",
        ),
    ]
    doorbells_per_qp: Annotated[list[int], count("doorbells", "of the QP's own bit")]
    events: Events
    runs_per_qp: Annotated[
        list[int],
        count(
            "runs",
            "tasklet runs that ended on an empty ring (rx_ring_empty), by any cause",
            better="lower",
        ),
    ]
    runs_per_event: Annotated[float, fact("runs per event", "of all receive tasklets")]
    predicted_runs_per_qp: Annotated[
        list[int] | None, fact("predicted", "by the model; null: the flow is not spaced")
    ]
    difference_per_qp: Annotated[list[int] | None, Difference] = None
    least_runs_per_qp: Annotated[list[int], Fewest] = []
    most_runs_per_qp: Annotated[list[int], Most] = []
    checked: Annotated[
        str, fact("checked", "exact: the runs are the predicted ones; bounds: they lie in bounds")
    ] = ""
    agrees: Annotated[bool, verdict("verdict", "no packet was lost, and the runs are as checked")]
    notes: list[str] = []  # why it does not agree


class NetdevResult(Struct, frozen=True, kw_only=True):
    """Flows over ntb_netdev in one boot of a real kernel."""

    schema: str = NETDEV_SCHEMA
    kernel: Kernel
    kernel_source: AskedFor
    ntb_source: Annotated[str, NTB_SOURCE] = ""
    source_tree: SourceTree = ""
    accelerator: Accelerator
    ping: Annotated[str, fact("ping", "what ping said before the flows")]
    queues_asked: Annotated[int, fact("queues asked", "of each interface")] = 0
    points: list[NetdevPoint]
    warnings: list[str] = []
