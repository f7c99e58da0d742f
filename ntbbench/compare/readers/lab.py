# SPDX-License-Identifier: BSD-3-Clause
"""Results of `ntbbench lab run`: what a real kernel did for each point's doorbells, all exact."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from ntbbench.compare.readers.checked import exact_value
from ntbbench.compare.series import Series, Variant
from ntbbench.core.errors import InputError
from ntbbench.core.fields import Better

PREFIX = "ntbbench.lab/"
KNOWN = "ntbbench.lab/1"
Count = Annotated[int, Meta(ge=0)]


class LabPoint(Struct, frozen=True, kw_only=True):
    """One point, as far as it is compared."""

    vectors: int
    db_read: str
    queues: int
    sending_qps: list[int]
    order: str = ""
    gap_us: int = 0
    packets: int = 0
    doorbells_rung: Count
    events: Count
    tasklet_schedules: Count | None = None
    packets_received: Count
    runs_per_qp: list[Count]
    agrees: bool


class Lab(Struct, frozen=True, kw_only=True):
    """A lab result, as far as it is compared; another kernel is what one compares."""

    schema: str
    kernel: str
    ntb_source: str = ""
    points: list[LabPoint]


def read(data: bytes, label: str, where: str) -> Variant:
    """Return the variant that a lab result holds."""
    result = msgspec.json.decode(data, type=Lab)
    context = {"kernel": result.kernel, "ntb_source": result.ntb_source}
    variant = Variant(label, result.schema, {}, {}, context)
    for point in result.points:
        add_point(variant, point, where)
    return variant


def add_point(variant: Variant, point: LabPoint, where: str) -> None:
    """Add every metric of one point; InputError for a point that stands there twice."""
    senders = ",".join(map(str, point.sending_qps))
    name = (
        f"vectors {point.vectors}/db_read {point.db_read}/queues {point.queues}/senders {senders}"
        f"/{point.order} {point.gap_us} us/{point.packets} packets"
    )
    if f"{name}:agrees" in variant.series:
        raise InputError(where, name, "each point once")

    def add(quantity: str, better: Better = "lower", **fields: Any) -> None:
        metric = f"{name}:{quantity}"
        variant.series[metric] = Series(metric=metric, kind="exact", better=better, **fields)

    add("agrees", better="higher", value=str(point.agrees).lower(), rank=int(point.agrees))
    rung = exact_value(point.doorbells_rung, where, name)
    add("doorbells_rung", better="none", value=rung)
    add("events", better="none", value=exact_value(point.events, where, name))
    received = exact_value(point.packets_received, where, name)
    add("packets_received", better="higher", value=received)
    if point.tasklet_schedules is not None:
        schedules = exact_value(point.tasklet_schedules, where, name)
        add("tasklet_schedules", value=schedules, served=point.packets_received, per_packet=True)
    for qp_num, runs in enumerate(point.runs_per_qp):
        value = exact_value(runs, where, name)
        add(f"runs of QP {qp_num}", value=value, served=point.packets_received, per_packet=True)
