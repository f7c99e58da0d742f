# SPDX-License-Identifier: BSD-3-Clause
"""One document of `iperf3 -J`: its sums and intervals, by the way that data went.

With --bidir data goes both ways at once. What goes from the client to the server is the sum called
`sum`; the other one is `sum_bidir_reverse`, and in older versions a second `sum` in the same
object, of which a reader of JSON keeps one.
"""

import hashlib
import json
import math
from dataclasses import dataclass
from typing import Any, NamedTuple

from ntbbench.core.errors import InputError

BACK = "_bidir_reverse"  # what iperf3 puts behind a sum's name for the way back
SUMS = ("sum", "sum_sent", "sum_received")
PARTS = ("start", "intervals", "end")
LARGEST = 1e18
COMPLETE = "a complete run of iperf3"
MISSING = "a number, 0 or more: missing or damaged"
DIFFERS = "there twice, with different values: damaged"


class Total(NamedTuple):
    """One sum over the streams, of an interval or of the whole run; None: not there."""

    rate: float | None  # bits a second
    seconds: float
    omitted: bool
    sender: bool
    lost_percent: float | None
    lost_packets: float | None
    packets: float | None


class Iperf3Pairs(dict[str, Any]):
    """An object of JSON; `again` holds the values of keys that were there already."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__()
        self.again: list[tuple[str, Any]] = []
        for key, value in pairs:
            if key in self:
                self.again.append((key, value))
            else:
                self[key] = value


def read(text: str, where: str) -> "Iperf3Document":
    """Return one document.

    InputError: no whole JSON object, one without its end, or the parts of two in one.
    """
    try:
        record = json.loads(text, object_pairs_hook=Iperf3Pairs, parse_constant=_refuse)
        return _document(record, where)
    except (ValueError, RecursionError) as error:
        raise InputError("input", where, f"{COMPLETE}: {error}") from error


def _document(record: object, where: str) -> "Iperf3Document":
    if not isinstance(record, Iperf3Pairs) or not isinstance(record.get("end"), Iperf3Pairs):
        raise InputError("input", where, f"{COMPLETE}: an object with its end")
    for key, value in record.again:
        if key in PARTS and value != record[key]:
            raise InputError(f"{where}: {key}", "there twice", f"one run: {', '.join(PARTS)}")
    unclear: list[str] = []
    _resolve(record, "", unclear, both_ways=_goes_both_ways(record))
    printed = json.dumps(record, sort_keys=True)
    return Iperf3Document(record, where, unclear, hashlib.sha256(printed.encode()).hexdigest())


def _refuse(text: str) -> float:
    raise ValueError(f"{text} is no JSON")


def _resolve(value: object, name: str, unclear: list[str], *, both_ways: bool) -> None:
    """Give each key that is there twice one meaning, and name those that have none.

    Of a run in both directions the second sum is of the way back: the server prints them in the
    same order.
    """
    if isinstance(value, list):
        for index, item in enumerate(value):
            _resolve(item, f"{name}{index}.", unclear, both_ways=both_ways)
    if not isinstance(value, Iperf3Pairs):
        return
    for key, again in value.again:
        if both_ways and key in SUMS and f"{key}{BACK}" not in value:
            value[f"{key}{BACK}"] = again
        elif value.get(key) != again:
            unclear.append(f"{name}{key}")
            value.pop(key, None)
    value.again.clear()
    for key, item in value.items():
        _resolve(item, f"{name}{key}.", unclear, both_ways=both_ways)


def _goes_both_ways(record: Iperf3Pairs) -> bool:
    """Return whether a second sum is of the way back: the run says so, or the two differ."""
    told = _find(record, "start.test_start.bidir")
    if told is not None:
        return bool(told)
    intervals = record.get("intervals")
    objects = [record["end"], *(intervals if isinstance(intervals, list) else [])]
    again = [(o, *pair) for o in objects if isinstance(o, Iperf3Pairs) for pair in o.again]
    return any(key in SUMS and o[key] != value for o, key, value in again)


def _find(value: Any, name: str) -> Any:
    for key in name.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


@dataclass(frozen=True)
class Iperf3Document:
    """One run, as one of its ends saw it. A way is "" (what has no suffix) or BACK.

    `unclear` are the dotted names of keys that are there twice with different values. `identity` is
    what only a document of the same run has, however it was printed.
    """

    record: Iperf3Pairs
    where: str
    unclear: list[str]
    identity: str

    def _intervals(self) -> list[Any]:
        found = self.record.get("intervals")
        if found is not None and not isinstance(found, list):
            raise InputError(self.where, "intervals", "a list: damaged")
        return found or []

    def find(self, name: str) -> Any:
        """Return what stands at a dotted name; None: nothing."""
        return _find(self.record, name)

    def number(self, name: str) -> float | None:
        """Return a finite number at a dotted name; None: there is none."""
        return _number(self.find(name))

    def needed(self, name: str) -> float:
        """Return a number that is there.

        InputError: it is missing, negative, no number, or there twice and differs.
        """
        value = self.number(name)
        if value is not None and value >= 0:
            return value
        twice = any(name == key or name.startswith(f"{key}.") for key in self.unclear)
        raise InputError(self.where, name, DIFFERS if twice else MISSING)

    @property
    def error(self) -> str | None:
        """Why the run failed; None: it did not."""
        return str(self.find("error")) if self.find("error") else None

    @property
    def is_server(self) -> bool:
        """Whether the server wrote this."""
        return self.find("start.accepted_connection") is not None

    @property
    def is_datagrams(self) -> bool:
        """Whether this is a run of UDP."""
        return bool(self.find("start.test_start.protocol") == "UDP")

    def direction(self, way: str) -> str:
        """Return "forward", from the client to the server, or "reverse"."""
        return "reverse" if way or self.find("start.test_start.reverse") else "forward"

    def only_sent(self, way: str) -> bool:
        """Return whether the server wrote this and data went to the client, who alone counted."""
        return self.is_server and self.direction(way) == "reverse"

    def ways(self) -> list[str]:
        """Return the ways that data went."""
        back = any(f"{name}{BACK}" in self.record["end"] for name in SUMS) or any(
            isinstance(interval, dict) and f"sum{BACK}" in interval
            for interval in self._intervals()
        )
        return ["", BACK] if back else [""]

    def total(self, name: str) -> Total | None:
        """Return a sum of the whole run, as `sum_received` with its way behind; None: not there."""
        found = self.find(f"end.{name}")
        return _total(found) if isinstance(found, dict) else None

    def has_total(self, way: str) -> bool:
        """Return whether the end says anything of what arrived one way."""
        return any(self.total(f"{name}{way}") is not None for name in ("sum_received", "sum"))

    def intervals(self, way: str) -> list[Total]:
        """Return the reporting intervals of one way, without those that were omitted (-O).

        InputError: an interval without a rate.
        """
        totals = []
        for index, interval in enumerate(self._intervals()):
            found = interval.get(f"sum{way}") if isinstance(interval, dict) else None
            if found is None and way:
                continue
            total = _total(found) if isinstance(found, dict) else None
            if total is None or total.rate is None or total.rate < 0:
                name = f"intervals.{index}.sum{way}"
                allowed = DIFFERS if name in self.unclear else MISSING
                raise InputError(self.where, f"{name}.bits_per_second", allowed)
            if not total.omitted:
                totals.append(total)
        return totals

    def tells_sent(self, way: str) -> bool:
        """Return whether the intervals are the sender's; old versions, with `sum` alone, are."""
        return self._has_sum_alone(way) or any(total.sender for total in self.intervals(way))

    def _has_sum_alone(self, way: str) -> bool:
        return self.total(f"sum_received{way}") is None and self.total(f"sum{way}") is not None

    def arrived(self, way: str) -> tuple[float, bool]:
        """Return bits per second that the whole run brought, and whether that is what was sent.

        Old versions have of UDP `sum` alone: the rate sent.

        InputError: nothing tells it.
        """
        received = f"sum_received{way}"
        is_old = self.is_datagrams and self._has_sum_alone(way)
        name = f"sum{way}" if is_old else received
        return self.needed(f"end.{name}.bits_per_second"), name != received


def _number(value: object) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) < LARGEST:
        return None
    return None if math.isnan(value) else float(value)


def _total(found: dict[str, Any]) -> Total:
    return Total(
        rate=_number(found.get("bits_per_second")),
        seconds=max(_number(found.get("seconds")) or 0.0, 0.0),
        omitted=found.get("omitted") is True,
        sender=found.get("sender") is True,
        lost_percent=_number(found.get("lost_percent")),
        lost_packets=_number(found.get("lost_packets")),
        packets=_number(found.get("packets")),
    )


# Codes of the list of warnings of a comparison.
REPEATED, IMPOSSIBLE = "repeated-document", "impossible-loss"
CONTRADICTS, TWICE = "contradicting-totals", "duplicate-keys"
CLOSE = 0.05  # relative: the two ends stop their clocks some milliseconds apart
FAR = 0.5  # of UDP's arrivals: at overload a part is neither lost nor received when the test ends
BUFFERS = 16 << 20  # bytes a TCP stream may hold between sender and receiver, by Linux's defaults


class Doubt(NamedTuple):
    """A code of the list of warnings, and what it is about."""

    code: str
    text: str


def loss(document: Iperf3Document, way: str) -> tuple[float | None, list[Doubt]]:
    """Return the per cent of the datagrams that did not arrive; None: not known."""
    for name in (f"sum_received{way}", f"sum{way}"):
        total = document.total(name)
        if total is None or (total.lost_percent is None and total.lost_packets is None):
            continue
        percent, lost, packets = total.lost_percent, total.lost_packets or 0.0, total.packets
        if percent is not None and not 0 <= percent <= 100:
            return None, [_impossible(name, f"{percent:.6g} %")]
        if lost < 0 or (packets is not None and lost > packets):
            of = "" if packets is None else f" of {packets:.0f}"
            return None, [_impossible(name, f"{lost:.0f}{of} packets")]
        if percent is None and packets:
            percent = 100 * lost / packets
        return percent, []
    return None, []


def _impossible(name: str, said: str) -> Doubt:
    return Doubt(IMPOSSIBLE, f"end.{name} says {said} lost: the loss is not known")


def doubts(document: Iperf3Document, way: str) -> list[Doubt]:
    """Return what one way's numbers say and cannot be."""
    found = []
    if document.unclear:
        more = f" and {len(document.unclear) - 1} more keys" if len(document.unclear) > 1 else ""
        text = f"{document.unclear[0]}{more}: there twice, with different values: not known"
        found.append(Doubt(TWICE, text))
    if not document.only_sent(way):
        found += loss(document, way)[1] + contradictions(document, way)
    return found


def contradictions(document: Iperf3Document, way: str) -> list[Doubt]:
    """Return the totals of a way that its own intervals cannot give."""
    intervals = document.intervals(way)
    if not intervals:
        return []
    mean = mean_rate(intervals)
    is_sent = document.tells_sent(way)
    found = []
    for name in _totals(document, way, is_sent=is_sent):
        total = document.total(name)
        if total is None or total.rate is None:
            continue
        is_other_end = is_sent and name.startswith("sum_received")
        low, high = _of_other_end(document, way, mean, total) if is_other_end else (mean, mean)
        slack = _slack(intervals, total) * max(mean, total.rate)
        if not low - slack <= total.rate <= high + slack:
            said = f"end.{name} says {total.rate / 1e6:.4g} Mbit/s"
            found.append(Doubt(CONTRADICTS, f"{said}, its intervals {mean / 1e6:.4g}"))
    return found


def mean_rate(intervals: list[Total]) -> float:
    """Return the mean of the rates, by the seconds of each where they are told."""
    weights = [total.seconds for total in intervals]
    if not math.fsum(weights):
        weights = [1.0] * len(intervals)
    rates = [total.rate or 0.0 for total in intervals]
    bits = math.fsum(rate * weight for rate, weight in zip(rates, weights, strict=True))
    return bits / math.fsum(weights)


def _totals(document: Iperf3Document, way: str, *, is_sent: bool) -> list[str]:
    """Return the totals that the intervals say something of; UDP's `sum` is what was sent."""
    received = f"sum_received{way}"
    if not is_sent:
        return [received]
    sent = [f"sum_sent{way}", f"sum{way}"] if document.is_datagrams else [f"sum_sent{way}"]
    return [*sent, received]


def _slack(intervals: list[Total], total: Total) -> float:
    """Return by what share a total may differ: of time without an interval no rate is known."""
    covered = math.fsum(interval.seconds for interval in intervals)
    if not covered or not total.seconds:
        return CLOSE
    mean = mean_rate(intervals)
    fastest = max(interval.rate or 0.0 for interval in intervals)
    burst = fastest / mean if mean else 1.0
    return CLOSE + 2 * burst * abs(total.seconds - covered) / total.seconds


def _of_other_end(
    document: Iperf3Document, way: str, mean: float, total: Total
) -> tuple[float, float]:
    if document.is_datagrams:
        lost = loss(document, way)[0]
        return (0.0 if lost is None else mean * (1 - lost / 100) * FAR), mean
    streams = document.number("start.test_start.num_streams") or 1
    buffers = max(BUFFERS, 2 * (document.number("start.sock_bufsize") or 0))
    held = 8 * buffers * streams / total.seconds if total.seconds else math.inf
    return mean - held, mean + held
