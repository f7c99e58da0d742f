# SPDX-License-Identifier: BSD-3-Clause
"""The plain records of a lab run, from the guest to the report: a field is a key of the JSON."""

from pathlib import Path

import msgspec
from msgspec import Struct, field

from ntbbench.core.errors import InputError

LAB_SCHEMA = "ntbbench.lab/1"


class LabPoint(Struct, frozen=True, kw_only=True):
    """What the real kernel did for one point's doorbells, and what the model says it does.

    Lists named `..._per_qp` are by qp_num of the receiving port.
    """

    name: str
    vectors: int  # 0: no vector callbacks; k: bit b belongs to vector b % k
    db_read: str  # latched | zero
    queues: int  # QPs of each port, all of them active
    sending_qps: list[int]
    order: str  # turn: one sender, a packet on each QP in turn; together: one sender a QP
    gap_us: int
    packets: int  # of each sending QP
    doorbells_rung: int
    events: int  # calls of ntb_transport's doorbell callback
    events_per_vector: dict[str, int]  # by the vector that it was called with
    tasklet_schedules: int  # tasklets put on a list, by any cause
    predicted_tasklet_schedules: int
    packets_received: int
    runs_per_qp: list[int]
    predicted_runs_per_qp: list[int]
    difference_per_qp: list[int]  # measured - predicted
    least_runs_per_qp: list[int]  # what any order of the same doorbells must give
    most_runs_per_qp: list[int]
    spaced: bool  # each doorbell was served before the next: then the model is exact
    agrees: bool
    notes: list[str] = field(default_factory=list)  # causes of differences, cautions


class LabResult(Struct, frozen=True, kw_only=True):
    """One lab run: which kernel, where its NTB code is from, how it ran, and every point."""

    schema: str = LAB_SCHEMA
    kernel: str  # uname -r of the guest
    kernel_version: str  # its /proc/version
    kernel_source: str  # what was asked for: debian:6.12, or the image's path
    ntb_source: str  # where the NTB files came from
    source_tree: str = ""  # the tree of --source; empty: the kernel's own NTB files
    accelerator: str  # kvm | tcg
    environment: dict[str, str]
    points: list[LabPoint]
    warnings: list[str] = field(default_factory=list)


def load_lab_result(path: Path) -> LabResult:
    """Return the lab run in a result file.

    Raises
    ------
    InputError : the file cannot be read, or is damaged.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=LabResult)
    except OSError as error:
        raise InputError("result file", str(path), error.strerror or str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(str(path), LAB_SCHEMA, f"damaged: {error}") from None
