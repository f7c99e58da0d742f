# SPDX-License-Identifier: BSD-3-Clause
"""Workloads: how a user names one, and the interrupts that it becomes on a device.

A workload is a cycle of queues or independent draws of queues; a burst groups either of them
between two interrupts; a log is what a machine recorded.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache, partial

import numpy as np

from ntbbench.core.errors import InputError
from ntbbench.core.names import parse_int, parse_settings, unknown
from ntbbench.ntb.transport import FFS_BITS, queue_bits
from ntbbench.ntb.vectormap import VectorMap
from ntbbench.ntb.workload.stream import (
    FLOW_STREAM,
    Cycle,
    Draws,
    Pattern,
    Rate,
    Sender,
    Stream,
    generator,
    ring_stream,
)
from ntbbench.ntb.workload.workload_log import Log, log_stream, read_log

HASH_BITS = 32  # skb->hash is a u32
FLOWS_MAX = 65536
BURST_MAX = 4096
ZIPF_MAX = 64
DECIMAL = re.compile(r"[0-9]{1,3}(\.[0-9]{1,12})?|\.[0-9]{1,12}")


@dataclass(frozen=True)
class Rings:
    """A workload of `KINDS` by its name, with its settings in the order there."""

    name: str
    settings: tuple[tuple[str, int | Fraction], ...] = ()

    @property
    def spec(self) -> str:
        """The specification, in canonical form."""
        settings = ",".join(f"{key}={float(value):.12g}" for key, value in self.settings)
        return f"{self.name}:{settings}" if settings else self.name


@dataclass(frozen=True)
class Burst:
    """`size` rings of another pattern between two interrupts."""

    size: int
    of: Rings

    @property
    def spec(self) -> str:
        """The specification, in canonical form."""
        return f"burst:size={self.size},of={self.of.spec}"


Workload = Rings | Burst | Log


def _uniform(queues: int, seed: int) -> Pattern:
    """Every ring draws one of the queues, all alike."""
    return _draws([Fraction(1, queues)] * queues, seed)


def _round_robin(queues: int, seed: int) -> Pattern:
    """The queues in turn."""
    return Cycle(tuple(range(queues)))


def _hot(queues: int, seed: int, queue: int, share: Fraction) -> Pattern:
    """One queue gets `share` of the rings; the others draw for the rest, all alike."""
    if queues == 1:
        return Cycle((0,))
    weights = [(1 - share) / (queues - 1)] * queues
    weights[queue] = share
    return _draws(weights, seed)


def _zipf(queues: int, seed: int, s: Fraction) -> Pattern:
    """Queue q is drawn with a weight of (q + 1) ** -s: Zipf's law over ranks, finite support."""
    raw = [float(rank) ** -float(s) for rank in range(1, queues + 1)]
    total = math.fsum(raw)
    return _draws([weight / total for weight in raw], seed)


def _flows(queues: int, seed: int, k: int) -> Pattern:
    """`k` flows send in turn; each one's queue is its hash scaled to the number of queues.

    The hashes depend on the seed alone.

    Source: include/linux/kernel.h (reciprocal_scale), net/core/dev.c (skb_tx_hash), Linux 7.3.
    Deviates: no RFS, XPS or sockets that remember their queue.
    """
    flows = np.random.Generator(generator(seed, FLOW_STREAM))
    hashes = flows.integers(1 << HASH_BITS, size=k, dtype=np.uint64)
    return Cycle(tuple((hashes * np.uint64(queues) >> np.uint64(HASH_BITS)).tolist()))


def _draws(weights: Sequence[Rate], seed: int) -> Pattern:
    """Return independent draws, or the cycle that they are where one queue gets all."""
    certain = [queue for queue, weight in enumerate(weights) if weight == 1]
    return Cycle(tuple(certain)) if certain else Draws(tuple(weights), seed)


@lru_cache(maxsize=64)
def pattern_of(rings: Rings, queues: int, seed: int) -> Pattern:
    """Return the rings on `queues` queues; it is the same object on every device."""
    if queues_needed(rings) > queues:
        raise InputError("workload", rings.spec, f"{rings.name} needs a queue below {queues}")
    return KINDS[rings.name][0](queues, seed, **dict(rings.settings))


def make_stream(
    workload: Workload, vector_map: VectorMap, queues: int, interrupts: int, seed: int
) -> Stream:
    """Return the interrupts of `workload`, the same ones for the same arguments.

    vector_map: the device, in its dispatch mode (`dispatch_map()`).
    queues: at least 1; queue q rings the q-th lowest bit of db_valid_mask.
    interrupts: length of the stream, at least 1; a log has its own.
    InputError: more queues than doorbell bits, or a workload that the device cannot have.
    """
    bits = queue_bits(vector_map.db_valid_mask)[:queues]
    if not 1 <= queues <= len(bits):
        raise InputError("queues", queues, "1 or more, each with a doorbell bit")
    if interrupts < 1:
        raise InputError("interrupts", interrupts, "1 or more")
    if isinstance(workload, Log):
        return log_stream(workload, vector_map, sum(1 << bit for bit in bits))
    burst, rings = (workload.size, workload.of) if isinstance(workload, Burst) else (1, workload)
    sender = Sender(pattern_of(rings, queues, seed), burst, tuple(bits))
    return ring_stream(sender, vector_map, interrupts)


# Bytes of an interrupt while its stream is made: of its code, or of its vector and rung bits.
CODED, COALESCED = 2, 18


def memory_of(workload: Workload, interrupts: int) -> int:
    """Return the bytes that `make_stream` takes; a log is in memory already."""
    if isinstance(workload, Log):
        return 0
    return interrupts * (COALESCED if isinstance(workload, Burst) else CODED)


def queues_needed(workload: Workload) -> int:
    """Return the smallest number of queues that has every queue the workload names."""
    rings = workload.of if isinstance(workload, Burst) else workload
    return int(dict(rings.settings).get("queue", 0)) + 1 if isinstance(rings, Rings) else 1


def parse_workload(spec: str) -> Workload:
    """Return the workload that `spec` names.

    uniform | round-robin | hot[:queue=0,share=0.9] | zipf[:s=1.1] | flows[:k=16] |
    burst[:size=4,of=uniform] | log:FILE

    InputError: an unknown name or key (with the nearest known one), or a value out of range.
    """
    name, _, rest = spec.strip().partition(":")
    if name == "log":
        return read_log(rest)
    if name == "burst":
        return _parse_burst(rest)
    if name not in KINDS:
        raise unknown("workload", name, (*KINDS, "burst", "log"))
    settings = KINDS[name][1]
    texts = _settings_of(name, rest, {key: default for key, (default, _) in settings.items()})
    parsed = [
        (key, parse(f"workload {name}: {key}", texts[key])) for key, (_, parse) in settings.items()
    ]
    return Rings(name, tuple(parsed))


def _parse_burst(rest: str) -> Burst:
    """burst[:size=4,of=uniform]; `of` comes last and takes all that follows."""
    own, of, inner = rest.partition("of=")
    settings = _settings_of("burst", own.strip().rstrip(",") if of else own, {"size": "4"})
    size = parse_int("workload burst: size", settings["size"], 1, BURST_MAX)
    rings = parse_workload(inner) if of else Rings("uniform")
    if not isinstance(rings, Rings):
        raise InputError("workload burst: of", inner, "a workload that is neither burst nor log")
    return Burst(size, rings)


def _settings_of(name: str, rest: str, defaults: dict[str, str]) -> dict[str, str]:
    if not rest.strip():
        return defaults
    if not defaults:
        raise InputError(f"workload {name}", rest, f"{name} takes no settings")
    return defaults | parse_settings(f"workload {name}", rest, defaults)


def _parse_decimal(field: str, text: str, high: int) -> Fraction:
    """Return a decimal number from 0 to `high`, exactly."""
    if not DECIMAL.fullmatch(text) or Fraction(text) > high:
        raise InputError(field, text, f"a decimal number from 0 to {high}")
    return Fraction(text)


Parse = Callable[[str, str], int | Fraction]
# A workload by name: its settings, each with its default and how a given one is read.
KINDS: dict[str, tuple[Callable[..., Pattern], dict[str, tuple[str, Parse]]]] = {
    "uniform": (_uniform, {}),
    "round-robin": (_round_robin, {}),
    "hot": (
        _hot,
        {
            "queue": ("0", partial(parse_int, low=0, high=FFS_BITS - 1)),
            "share": ("0.9", partial(_parse_decimal, high=1)),
        },
    ),
    "zipf": (_zipf, {"s": ("1.1", partial(_parse_decimal, high=ZIPF_MAX))}),
    "flows": (_flows, {"k": ("16", partial(parse_int, low=1, high=FLOWS_MAX))}),
}
