# SPDX-License-Identifier: BSD-3-Clause
"""What a System may be; anything else is one line that names the field."""

from collections.abc import Callable
from dataclasses import is_dataclass
from functools import cache
from itertools import pairwise
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from ntbbench.core.errors import InputError
from ntbbench.datapath.system import (
    COST_MAX_PS,
    PACKETS_MAX,
    TIME_MAX_PS,
    Flow,
    Range,
    System,
)
from ntbbench.ntb.vectormap import check_u64

Check = Callable[[str, Any], None]  # of a field's name and its value


def check_system(system: System) -> None:
    """Raise InputError where a field of `system` is outside what the engines simulate."""
    check_declared("", system)
    check_range("warmup_ps", system.warmup_ps, 0, system.end_ps - 1)
    for number, source in enumerate(system.sources):
        _check_receiver_cpu(system, f"sources[{number}].cpu", source.cpu)
        for mask in source.callbacks:
            check_u64(f"sources[{number}].callbacks", mask)
        if system.poll is not None and source.kind == "msi":
            allowed = "event: a poll calls ntb_db_event()"
            raise InputError(f"sources[{number}].kind", source.kind, allowed)
    if system.poll is not None:
        _check_receiver_cpu(system, "poll.cpu", system.poll.cpu)
    for number, queue in enumerate(system.queues):
        check_range(f"queues[{number}].source", queue.source, 0, len(system.sources) - 1)
        check_u64(f"queues[{number}].db_bits", queue.db_bits)
    for before, after in pairwise(system.queues):
        if before.bit >= after.bit:
            raise InputError("queues", after.bit, "doorbell bits ascend from queue to queue")
    for size in {flow.size for flow in system.flows}:
        for name in ("send", "copy", "channel"):
            cost = getattr(system.costs, name)
            if cost is not None and cost.of_bytes(size) > COST_MAX_PS:
                raise InputError(f"costs.{name}", cost, "at most a second a packet")
    for number, flow in enumerate(system.flows):
        _check_flow(system, f"flows[{number}]", flow)


def check_range(field: str, value: int, low: int, high: int) -> None:
    """Raise InputError unless `value` is an integer of low .. high."""
    if not isinstance(value, int) or not low <= value <= high:
        raise InputError(field, value, f"{low:,} .. {high:,}")


def check_declared(prefix: str, record: object) -> None:
    """Raise InputError where a field is not what its record declares, also in records inside."""
    kind: Any = type(record)
    numbers, others = _declared(kind)
    for name, allowed in numbers:
        value = getattr(record, name)
        if not isinstance(value, int) or not allowed.low <= value <= allowed.high:
            check_range(prefix + name, value, allowed.low, allowed.high)
    for name, check in others:
        check(prefix + name, getattr(record, name))


@cache
def _declared(record: type) -> tuple[list[tuple[str, Range]], list[tuple[str, Check]]]:
    """Return the ranges of a record's numbers, and what its other fields are held to."""
    numbers, others = [], []
    for name, hint in get_type_hints(record, include_extras=True).items():
        inner = get_args(hint)
        if get_origin(hint) is Annotated and inner[0] is int:
            numbers.append((name, inner[1]))
        elif get_origin(hint) is Annotated:
            others += [(name, _length(inner[1])), (name, _each)]
        elif get_origin(hint) is Literal:
            others.append((name, _one_of(inner)))
        elif any(map(is_dataclass, (hint, *inner))):  # or None
            others.append((name, _record))
    return numbers, others


def _length(allowed: Range) -> Check:
    return lambda field, value: check_range(field, len(value), allowed.low, allowed.high)


def _one_of(allowed: tuple[str, ...]) -> Check:
    def check(field: str, value: str) -> None:
        if value not in allowed:
            raise InputError(field, value, f"one of {', '.join(allowed)}")

    return check


def _record(field: str, value: object) -> None:
    if value is not None:
        check_declared(f"{field}.", value)


def _each(field: str, values: tuple[object, ...]) -> None:
    for number, value in enumerate(values):
        if is_dataclass(value):
            check_declared(f"{field}[{number}].", value)


def _check_receiver_cpu(system: System, field: str, cpu: int) -> None:
    last = system.receiver_cpus - 1
    if not isinstance(cpu, int) or not 0 <= cpu <= last:
        raise InputError(field, cpu, f"a CPU of the receiver: 0 .. {last}")


def _check_flow(system: System, field: str, flow: Flow) -> None:
    check_range(f"{field}.queue", flow.queue, 0, len(system.queues) - 1)
    first = system.receiver_cpus if system.sender_cpus else 0  # a loopback's sends on the receiver
    if not isinstance(flow.cpu, int) or not first <= flow.cpu < system.cpus:
        allowed = f"a CPU of the sender: {first} .. {system.cpus - 1}"
        raise InputError(f"{field}.cpu", flow.cpu, allowed)
    if flow.kind == "closed":
        check_range(f"{field}.window", flow.window, 1, PACKETS_MAX)
        check_range(f"{field}.ack_ps", flow.ack_ps, 0, COST_MAX_PS)
    if flow.kind in ("closed", "back-to-back"):
        if not system.costs.send.of_bytes(flow.size):
            raise InputError("costs.send", 0, f"above 0: {field} would send without end at once")
        return
    check_range(f"{field}.backlog", flow.backlog, 1, PACKETS_MAX)
    if flow.kind == "open":
        check_range(f"{field}.gap_ps", flow.gap_ps, 1, TIME_MAX_PS)
    elif any(after < before for before, after in pairwise((0, *flow.times_ps))):
        raise InputError(f"{field}.times_ps", min(flow.times_ps), "ascending, from 0 on")
