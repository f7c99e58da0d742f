# SPDX-License-Identifier: BSD-3-Clause
"""Which metrics are rates by their unit or name: of those less is hardly ever better.

A format that does not say which way is better gets `lower is better`, which is right for times
and counts. A throughput that falls would be `improved` with it, so who compares one must say.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from ntbbench.compare.policy import Policy
from ntbbench.compare.series import Series, Variant
from ntbbench.core.errors import InputError

TIME_UNITS = frozenset(("s", "ms", "us", "ns", "ps", "min", "h", "second", "seconds"))
# A word of a name or unit: MBps is M and Bps, GiBps Gi and Bps, rxGbps rx and Gbps, QPs Q and Ps.
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
IOPS = re.compile(r"IOPs\b")  # as some write IOPS
INVERSE = re.compile(r"(?<![a-z])s(?:ec)?\s*(?:\^?-1|\u207b\u00b9)(?![0-9])", re.IGNORECASE)
RATES = re.compile(
    r"[kmgtp]?(bps|iops|flops|pps|rps|tps|fps|cps|hz)|[kmg]?(ops|qps)"
    r"|[kmgtpe]?i?(b|bit|byte)s?ps"
    r"|throughputs?|thruput|tput|xput|bandwidths?|bw|goodputs?"
    r"|[kmgt]i?bits?|[kmgt]ips|[kmgt]?teps|transactions|score"
    r"|rates?|(bit|data|baud|frame|sample)rates?|baud|speeds?|frequency|frequencies|freq"
    r"|per(s|sec|second)"
)
AMOUNTS = re.compile(
    r"[kmgtpe]?i?(bits?|bytes?)|[kmgtpe]i?b|[kmg]?ops?|req(uest)?s?|pkts?|packets?|msgs?|messages?"
    r"|frames?|ios?|events?|calls?|interrupts?|doorbells?|wakeups?"
)
SECONDS = frozenset(("s", "sec", "secs", "second", "seconds"))
TIMES = SECONDS | {"ms", "us", "ns", "min", "minute", "h", "hour", "day"}
DURATIONS = frozenset(("latency", "time", "delay", "duration", "elapsed", "rtt", "jitter", "t"))
WAITS = DURATIONS - {"time", "t"}  # a name with one is of a time, whatever else it says
COSTS = TIMES | {"cycles", "instructions", "insns", "allocs", "bytes", "joules"}  # of an operation
# An `error rate` is a share of what went wrong, and less of it is better.
SHARES = re.compile(
    r"(error|loss|lost|drop|dropped|miss|fail|failure|fault|timeout|retry|retrie|retransmit|retransmission|abort"
    r"|reject|collision|overrun|overflow|spurious|wrong)(e?s|ed)?"
)
# Before or behind `qps` these make it queue pairs, not queries a second.
QUEUE_PAIRS = frozenset(
    ("active", "sending", "receiving", "scheduled", "woken", "free", "idle", "of", "num", "number")
)
NUMBERS = frozenset(("count", "num", "number"))
STATED_BY = (
    'better = "higher" or "lower" in a [[rule]] of --policy, or of all metrics at once by '
    "--higher-is-better or --lower-is-better"
)
WHY = "this looks like a rate, and nothing says which way is better"


def looks_like_a_rate(text: str) -> bool:
    """Return whether a name or a unit is that of a rate, told by its words."""
    words = list(_words_of(IOPS.sub("iops", text)))
    if any(word in WAITS or SHARES.fullmatch(word) for _, word in words) or _is_time(words):
        return False
    return INVERSE.search(text) is not None or any(
        _is_by_time(words, place) or _is_named(words, place) for place in range(len(words))
    )


def _is_time(words: Sequence[tuple[str, str]]) -> bool:
    mark, last = words[-1] if words else ("", "")
    return last == "time" or (last in ("ms", "us", "ns") and "/" not in mark)


def _words_of(text: str) -> Iterator[tuple[str, str]]:
    """Yield what stands before each word of a text, and the word in small letters."""
    end = 0
    for found in WORD.finditer(text):
        yield text[end : found.start()], found[0].lower()
        end = found.end()


def _is_by_time(words: Sequence[tuple[str, str]], place: int) -> bool:
    """Return whether the word at `place` is a time that something is divided by.

    `latency/s` is a latency in seconds, as `latency/us` is one in microseconds.
    """
    mark, word = words[place]
    before = words[place - 1][1] if place else ""
    is_amount = AMOUNTS.fullmatch(before) is not None
    if before == "per":
        return word in TIMES
    if "/" in mark:
        return word in TIMES and (is_amount or (word in SECONDS and before not in DURATIONS))
    return is_amount and word in ("s", "sec")  # MB_s


def _is_named(words: Sequence[tuple[str, str]], place: int) -> bool:
    """Return whether the word at `place` is the name or the unit of a rate.

    `at 10Gbps` is a setting, `ns/ops` a cost, `per bps` nothing of either.
    """
    mark, word = words[place]
    before = words[place - 1][1] if place else ""
    after = words[place + 1][1] if place + 1 < len(words) else ""
    divides = before == "per" or ("/" in mark and before in COSTS)
    if RATES.fullmatch(word) is None or divides or (before.isdigit() and not mark):
        return False
    if word == "qps":
        return before not in QUEUE_PAIRS and after not in NUMBERS
    return word not in ("rate", "rates") or SHARES.fullmatch(before) is None


def all_series(sides: Iterable[Variant]) -> Iterator[Series]:
    """Yield every metric of every side."""
    for side in sides:
        yield from side.series.values()


def undirected(found: Iterable[Series], policy: Policy) -> list[str]:
    """Return the metrics that are rates and of which nothing says which way is better.

    What the policy ignores is not compared, so nothing need be said of it.
    """
    names = {
        series.metric: None
        for series in found
        if series.better == "unsaid"
        and not policy.states(series.metric)
        and series.unit.lower() not in TIME_UNITS
        and any(map(looks_like_a_rate, (series.unit, series.quantity or series.metric)))
    }
    return [name for name in names if not policy.ignores(name)]


def check_directions(found: Iterable[Series], policy: Policy) -> None:
    """Refuse to judge a rate of which nothing says which way is better.

    InputError: naming the first such metric, and how to say it.
    """
    names = undirected(found, policy)
    if names:
        more = f" ({len(names) - 1} more are like it)" if len(names) > 1 else ""
        raise InputError("metric", names[0], f"{WHY}: say it by {STATED_BY}{more}")
