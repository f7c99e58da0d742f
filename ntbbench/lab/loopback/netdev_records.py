# SPDX-License-Identifier: BSD-3-Clause
"""The plain records of flows over ntb_netdev: a field is a key of the JSON."""

from pathlib import Path

import msgspec
from msgspec import Struct, field

from ntbbench.core.errors import InputError

NETDEV_SCHEMA = "ntbbench.lab-netdev/1"


class NetdevPoint(Struct, frozen=True, kw_only=True):
    """One set of flows; lists are by qp_num of the receiving port.

    `runs_per_qp` counts tasklet runs that ended on an empty ring (rx_ring_empty), by any cause.
    `agrees`: no packet was lost, and the runs are exactly the predicted ones (`checked` "exact",
    spaced flows) or lie between what any order of the same doorbells allows ("bounds").
    """

    name: str
    vectors: int
    queues: int  # that the interfaces have
    active_qps: int
    flows: int = 0
    gap_us: int
    packets_sent: int
    packets_received: int
    seconds: float  # of the guest's clock
    bits_per_second: float
    doorbells_per_qp: list[int]
    events: int
    runs_per_qp: list[int]
    runs_per_event: float
    predicted_runs_per_qp: list[int] | None  # None: the flow is not spaced
    difference_per_qp: list[int] | None = None  # measured - predicted
    least_runs_per_qp: list[int] = field(default_factory=list)
    most_runs_per_qp: list[int] = field(default_factory=list)
    checked: str = ""  # exact | bounds
    agrees: bool
    notes: list[str] = field(default_factory=list)  # why it does not agree


class NetdevResult(Struct, frozen=True, kw_only=True):
    """Flows over ntb_netdev in one boot of a real kernel."""

    schema: str = NETDEV_SCHEMA
    kernel: str
    kernel_source: str  # what was asked for: debian:6.12, or the image's path
    ntb_source: str = ""  # where the NTB files came from
    source_tree: str = ""  # the tree of --source; empty: the kernel's own NTB files
    accelerator: str
    ping: str
    queues_asked: int = 0
    points: list[NetdevPoint]
    warnings: list[str] = field(default_factory=list)


def load_netdev_result(path: Path) -> NetdevResult:
    """Return the flows in a result file.

    Raises
    ------
    InputError : the file cannot be read, or is damaged.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=NetdevResult)
    except OSError as error:
        raise InputError("result file", str(path), error.strerror or str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(str(path), NETDEV_SCHEMA, f"damaged: {error}") from None
