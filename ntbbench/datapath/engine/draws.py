# SPDX-License-Identifier: BSD-3-Clause
"""Random durations in integers alone, so that no platform's libm has a say.

Reference: G. Steele, D. Lea, C. Flood, Fast Splittable Pseudorandom Number Generators, OOPSLA 2014
(splitmix64). The exponential inverts its distribution with a table of logarithms.
"""

from decimal import Decimal, localcontext
from functools import cache

from ntbbench.datapath.engine.engine_plan import Duration

MASK = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15
LOG_BITS = 26  # binary places of a logarithm
TABLE_BITS = 10  # entries of the table, a power of two; linear between them
FRACTION_BITS = 16


def mix(word: int) -> int:
    """Return the finalizer of splitmix64."""
    word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9 & MASK
    word = (word ^ word >> 27) * 0x94D049BB133111EB & MASK
    return word ^ word >> 31


def stream(seed: int, number: int) -> int:
    """Return the first state of stream `number` (from 0) of a seed."""
    return mix(mix(seed) + GOLDEN * (number + 1) & MASK)


def step(state: int) -> int:
    """Return the next state; its `mix()` is the next random u64."""
    return state + GOLDEN & MASK


@cache
def log_table() -> tuple[int, ...]:
    """Return ln(1 + i / 2**TABLE_BITS) for i = 0 .. 2**TABLE_BITS, with LOG_BITS binary places."""
    with localcontext() as context:
        context.prec = 40
        scale, size = Decimal(1 << LOG_BITS), 1 << TABLE_BITS
        return tuple(round((1 + Decimal(i) / size).ln() * scale) for i in range(size + 1))


def minus_log(word: int) -> int:
    """Return -ln(word / 2**64) with LOG_BITS binary places; of 0 that of 1."""
    table = log_table()
    word = word or 1
    exponent = word.bit_length()
    mantissa = word << 64 - exponent & MASK >> 1
    entry = mantissa >> 63 - TABLE_BITS
    fraction = mantissa >> 63 - TABLE_BITS - FRACTION_BITS & (1 << FRACTION_BITS) - 1
    between = (table[entry + 1] - table[entry]) * fraction >> FRACTION_BITS
    return (65 - exponent) * table[-1] - table[entry] - between


def draw(duration: Duration, word: int) -> int:
    """Return the duration in picoseconds that a random u64 gives."""
    if duration.kind == 1:
        return duration.mean * minus_log(word) >> LOG_BITS
    if duration.kind == 2:
        return duration.low + (duration.width * (word >> 32) >> 32)
    return duration.mean
