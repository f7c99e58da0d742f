# SPDX-License-Identifier: BSD-3-Clause
"""Results of `ntbbench lab netdev`: exact counts of spaced flows, throughput of the fast ones.

The stack hashes the flows to queues with a secret of the boot, so that a queue's own doorbells and
runs differ from run to run; those of all queues together do not.
"""

from collections import Counter
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from ntbbench.compare.readers.checked import exact_value, samples_of
from ntbbench.compare.series import Series, Variant
from ntbbench.core.errors import InputError

PREFIX = "ntbbench.lab-netdev/"
KNOWN = "ntbbench.lab-netdev/1"
Count = Annotated[int, Meta(ge=0)]


class FlowsPoint(Struct, frozen=True, kw_only=True):
    """One set of flows, as far as it is compared; `gap_us` 0: as fast as it goes."""

    vectors: Count
    queues: Count
    flows: Count = 0
    gap_us: Count
    packets_sent: Count
    packets_received: Count
    bits_per_second: float
    doorbells_per_qp: list[Count]
    events: Count
    runs_per_qp: list[Count]
    predicted_runs_per_qp: list[Count] | None
    agrees: bool


class Flows(Struct, frozen=True, kw_only=True):
    """A result, as far as it is compared; another kernel is what one compares."""

    schema: str
    kernel: str
    ntb_source: str = ""
    accelerator: str
    points: list[FlowsPoint]


def read(data: bytes, label: str, where: str) -> Variant:
    """Return the variant that a result holds; an emulated throughput compares with no other."""
    result = msgspec.json.decode(data, type=Flows)
    context = {"kernel": result.kernel, "ntb_source": result.ntb_source}
    environment = {"accelerator": result.accelerator}
    variant = Variant(label, result.schema, {}, environment, context)
    for point in result.points:
        _add_point(variant, point, where)
    return variant


def _add_point(variant: Variant, point: FlowsPoint, where: str) -> None:
    """Add every metric of one point; InputError for a point that stands there twice."""
    pace = f"{point.gap_us} us" if point.gap_us else "fast"
    name = (
        f"vectors {point.vectors}/queues {point.queues}/{point.flows} flows/{pace}"
        f"/{point.packets_sent} packets"
    )
    if f"{name}:agrees" in variant.series:
        raise InputError(where, name, "each point once")

    def add(quantity: str, **fields: Any) -> None:
        metric = f"{name}:{quantity}"
        known = {"kind": "exact", "quantity": quantity, **fields}
        variant.series[metric] = Series(metric=metric, **known)

    add("agrees", better="higher", value=str(point.agrees).lower(), rank=int(point.agrees))
    received = exact_value(point.packets_received, where, name)
    add("packets_received", better="higher", value=received)
    doorbells = exact_value(sum(point.doorbells_per_qp), where, name)
    add("doorbells", better="none", value=doorbells)
    if not point.gap_us:
        samples = samples_of([point.bits_per_second], where, name)
        add("throughput", kind="noisy", unit="bit/s", better="higher", samples=samples)
        return
    runs = sum(point.runs_per_qp)
    add("events", better="none", value=exact_value(point.events, where, name))
    if point.predicted_runs_per_qp is not None:
        beyond = runs - sum(point.predicted_runs_per_qp)
        add("runs beyond prediction", value=exact_value(beyond, where, name))
    if _is_even(point.vectors, len(point.runs_per_qp)):
        add("runs", value=exact_value(runs, where, name))


def _is_even(vectors: int, active_qps: int) -> bool:
    """Return whether every vector covers as many QPs: else the runs depend on the flows' hash."""
    covered = Counter(qp_num % vectors for qp_num in range(active_qps)) if vectors else {0: 1}
    return len(set(covered.values())) == 1
