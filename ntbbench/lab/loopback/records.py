# SPDX-License-Identifier: BSD-3-Clause
"""The plain records of a lab run, from the guest to the report: a field is a key of the JSON."""

from typing import Annotated

from msgspec import Struct, field

from ntbbench.core.fields import axis, count, fact, verdict

LAB_SCHEMA = "ntbbench.lab/1"


class LabPoint(Struct, frozen=True, kw_only=True):
    """What the real kernel did for one point's doorbells, and what the model says it does.

    Lists named `..._per_qp` are by qp_num of the receiving port.
    """

    name: str
    vectors: Annotated[
        int,
        axis(
            "vectors", "0: no vector callbacks; k: bit b belongs to vector b % k", head="vec-\ntors"
        ),
    ]
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
    events: Annotated[
        int, count("doorbell events", "calls of the doorbell callback", head="events")
    ]
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
    packets_received: Annotated[
        int, count("packets received", "by all clients of the receiving port", better="higher")
    ]
    runs_per_qp: Annotated[
        list[int], count("runs", "runs of the receive tasklet", better="lower", head="runs")
    ]
    predicted_runs_per_qp: Annotated[
        list[int], fact("runs predicted", "by the model", head="pre-\ndicted")
    ]
    difference_per_qp: Annotated[list[int], fact("difference", "measured - predicted")]
    least_runs_per_qp: Annotated[
        list[int], fact("fewest runs", "that any order of the same doorbells gives")
    ]
    most_runs_per_qp: Annotated[
        list[int], fact("most runs", "that any order of the same doorbells gives")
    ]
    spaced: Annotated[
        bool, fact("spaced", "each doorbell was served before the next: the model is exact")
    ]
    agrees: Annotated[bool, verdict("verdict", "whether the kernel did what the model predicts")]
    notes: list[str] = field(default_factory=list)  # causes of differences, cautions


class LabResult(Struct, frozen=True, kw_only=True):
    """One lab run: which kernel, where its NTB code is from, how it ran, and every point."""

    schema: str = LAB_SCHEMA
    kernel: Annotated[str, fact("kernel", "uname -r of the guest")]
    kernel_version: Annotated[str, fact("version", "/proc/version of the guest")]
    kernel_source: Annotated[str, fact("asked for", "debian:6.12, or the image's path")]
    ntb_source: Annotated[str, fact("NTB sources", "where the NTB files came from")]
    source_tree: Annotated[
        str, fact("source tree", "of --source; empty: the kernel's own NTB files")
    ] = ""
    accelerator: Annotated[str, fact("accelerator", "kvm or tcg")]
    environment: dict[str, str]
    points: list[LabPoint]
    warnings: list[str] = field(default_factory=list)
