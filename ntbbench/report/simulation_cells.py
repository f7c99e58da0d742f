# SPDX-License-Identifier: BSD-3-Clause
"""How the numbers of a simulation are written: rates, durations, ratios, intervals."""

from collections.abc import Callable

from ntbbench.measure.simulation_records import Estimate

MBIT = 1e6
DASH = "-"
RATE_DIGITS = 5  # of a rate
RATE_DECIMALS = 4  # at most
UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns"))


def duration(seconds: float) -> str:
    """Return a duration with its unit and four digits: `1.235 ms`."""
    for size, unit in UNITS:
        if seconds >= size or (unit == "ns"):
            return f"{seconds / size:.4g} {unit}"
    raise AssertionError(seconds)


def rate_cells(rate: Estimate) -> tuple[str, str]:
    """Return a rate in Mbit/s, and its interval, all with as many decimals.

    That is what the largest of them needs for its digits, and never an exponent: an end of an
    interval takes six characters below a Tbit/s, like a rate without any decimal.
    """
    most = max(rate.mean, rate.high or 0.0) / MBIT
    whole_digits = len(f"{most:.0f}") if most >= 1 else 0
    decimals = min(max(RATE_DIGITS - whole_digits, 0), RATE_DECIMALS) if most else 0

    def shown(value: float) -> str:
        return f"{value / MBIT:.{decimals}f}"

    return shown(rate.mean), interval(rate, shown)


def interval(value: Estimate, shown: Callable[[float], str]) -> str:
    """Return the interval of an estimate; a single run has none."""
    if value.low is None or value.high is None:
        return "one run"
    return f"{shown(value.low)}-{shown(value.high)}"


def ratio(value: float | None, form: str) -> str:
    """Return a ratio of counts; a dash where nothing was counted."""
    return DASH if value is None else format(value, form)


def spread(value: Estimate | None) -> str:
    """Return a count a replication, and half the width of its interval in percent of it.

    From 100 % on the interval itself, for its lower end is cut off at 0.
    """
    if value is None:
        return DASH
    mean = f"{value.mean:.5g}"
    if value.high is None or value.low is None or value.high == value.mean or not value.mean:
        return mean
    share = (value.high - value.mean) / value.mean
    if share > 1:
        return f"{mean} ({value.low:.3g}..{value.high:.3g})"
    return f"{mean} +-{share:.1%}"


def tight(seconds: float) -> str:
    """Return a duration without a blank and with three digits, for narrow columns."""
    for size, unit in UNITS:
        if seconds >= size or unit == "ns":
            return f"{seconds / size:.3g}{unit}"
    raise AssertionError(seconds)


def short(seconds: float) -> str:
    """Return milliseconds with three digits, or whole ones."""
    milliseconds = seconds * 1e3
    return f"{milliseconds:.0f}" if 1000 <= milliseconds < 1e5 else f"{milliseconds:.3g}"
