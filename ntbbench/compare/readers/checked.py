# SPDX-License-Identifier: BSD-3-Clause
"""Checks that every reader shares: finite numbers, sizes, environments.

A metric without a usable number is named and not read; the rest of its file is.
"""

import gzip
import io
import zlib
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntbbench.compare.series import Series, Variant
from ntbbench.compare.warning_list import ONE_PROCESS
from ntbbench.core.errors import InputError
from ntbbench.core.input_file import (
    RESULT_MAX,
    check_json,
    is_json,
    open_input,
    read_input,
    without_bom,
)

GZIP = b"\x1f\x8b"
LARGEST_COUNT = 1 << 63
# The fourth power of a sample must be finite (Welch's degrees of freedom), and its inverse.
LARGEST_SAMPLE = 1e75
SMALLEST_SAMPLE = 1e-75
ALLOWED = "zero, or a finite number from 1e-75 to 1e75"
STRICT_WORDS = ("cpu", "compiler", "flags", "machine", "arch")
# How core.environment says that it could not read a value: such a one is not known.
NOT_READABLE = "not readable"
# These change from run to run on one and the same machine.
VOLATILE_WORDS = (
    *("time", "date", "load", "freq", "mhz", "hz", "pid", "argv", "command", "temp"),
    *("started", "resolution"),
)
NO_NUMBER = "null, NaN or infinite"
LOOSE_WORDS = ("governor", "count", "cores", "affinity", "kernel", "host", "commit")


def read_bytes(path: Path) -> bytes:
    """Return the content of a file or a pipe that is neither empty nor too large.

    InputError: it cannot be read, is empty, in UTF-16, or larger than RESULT_MAX, packed or not, or
        JSON that `check_json` refuses.
    """
    data = read_input(path, largest=RESULT_MAX, pipes=True)
    if data.startswith(GZIP):  # pyperf writes x.json.gz
        data = _unpacked(gzip.GzipFile(fileobj=io.BytesIO(data)), path)
    if len(data) > RESULT_MAX:  # packed: only reading tells
        raise InputError("input", str(path), f"at most {RESULT_MAX} bytes")
    if not data or data.isspace():
        raise InputError("input", str(path), "a result; this file is empty")
    if data.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):  # as some shells write what is redirected
        raise InputError("input", str(path), "text in UTF-8; this is UTF-16")
    if is_json(data := without_bom(data)):
        check_json(data, path)
    return data


def beginning(path: Path, length: int) -> bytes | None:
    """Return what a regular file begins with; None of a pipe, a packed or an unreadable file."""
    head = None
    with suppress(InputError, OSError):  # who reads the whole file says why
        if path.is_file():
            with open_input(path) as file:
                head = file.read(length)
    return None if head is None or head.startswith(GZIP) else without_bom(head)


def _unpacked(file: gzip.GzipFile, path: Path) -> bytes:
    """Return what a gzip file holds, no more than a byte beyond RESULT_MAX of it."""
    try:
        return file.read(RESULT_MAX + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError("input", str(path), f"a complete gzip file: {error}") from error


def samples_of(values: ArrayLike, where: str, metric: str) -> NDArray[np.float64]:
    """Return samples as float64[n].

    InputError: one is negative, not finite, or too large or small to compute with.
    """
    samples = np.asarray(values, dtype=np.float64)
    usable = (samples == 0) | ((samples >= SMALLEST_SAMPLE) & (samples <= LARGEST_SAMPLE))
    if not usable.all():
        raise InputError(f"{where}: {metric}", float(samples[~usable][0]), ALLOWED)
    return samples


def exact_value(value: float, where: str, metric: str) -> float:
    """Return a count, or another exact number, as it is.

    InputError: it is not finite or too large for 64 bits.
    """
    if not -LARGEST_COUNT < value < LARGEST_COUNT:
        raise InputError(f"{where}: {metric}", value, "a finite number below 2^63")
    return value


def add_noisy(
    variant: Variant,
    metric: str,
    values: Sequence[float | None] | NDArray[np.float64],
    where: str,
    **known: Any,
) -> None:
    """Add a metric of samples, with the fields of its Series that are `known`.

    Samples that are no numbers make the metric one that is not read, and so do those of a user's
    own quantity, of which no direction is known, that cannot be computed with.
    InputError: the metric is there already, or a time or rate is negative, too large or small.
    """
    check_new(variant, metric, where)
    samples = np.array(values, dtype=np.float64)  # None becomes NaN
    usable = (samples == 0) | ((samples >= SMALLEST_SAMPLE) & (samples <= LARGEST_SAMPLE))
    if not usable.all():
        place = int(np.argmin(usable))
        bad = float(samples[place])
        if np.isfinite(bad) and known.get("better", "unsaid") != "unsaid":
            raise InputError(f"{where}: {metric}", bad, ALLOWED)
        told = f"{bad!r} is not {ALLOWED}" if np.isfinite(bad) else NO_NUMBER
        variant.unread[metric] = f"sample {place + 1} of {len(samples)}: {told}"
    elif len(samples):
        variant.series[metric] = Series(metric=metric, kind="noisy", samples=samples, **known)


def add_exact(variant: Variant, metric: str, value: float | None, where: str, **known: Any) -> None:
    """Add a count, or another exact number, with the fields of its Series that are `known`.

    What is no number, or too large for 64 bits, makes the metric one that is not read.
    InputError: the metric is there already.
    """
    check_new(variant, metric, where)
    if value is None:
        variant.unread[metric] = NO_NUMBER
    elif not -LARGEST_COUNT < value < LARGEST_COUNT:
        variant.unread[metric] = "not a finite number below 2^63"
    else:
        variant.series[metric] = Series(metric=metric, kind="exact", value=value, **known)


def check_new(variant: Variant, name: str, where: str) -> None:
    """Refuse a metric that is there twice."""
    if name in variant.series or name in variant.unread:
        raise InputError(f"{where}: benchmarks", name, "each name once")


def by_process(
    processes: Sequence[Sequence[float | None]],
) -> tuple[Sequence[float | None] | NDArray[np.float64], tuple[str, ...]]:
    """Return samples of one benchmark: one a process, of a single process its values; cautions."""
    runs = [run for run in processes if len(run)]
    if len(runs) < 2:
        return (runs[0] if runs else []), (ONE_PROCESS,)
    means = np.array([np.mean(np.array(run, dtype=np.float64)) for run in runs])
    return means, ("averaged-by-process",) if max(map(len, runs)) > 1 else ()


def seconds_of(text: object) -> float | None:
    """Return a date in ISO form as seconds since 1970, UTC where it says no zone; None: no date."""
    try:
        begun = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    if begun is None:
        return None
    return (begun if begun.tzinfo else begun.replace(tzinfo=UTC)).timestamp()


def only(told: Mapping[str, str], keys: Sequence[str]) -> dict[str, str]:
    """Return the entries of those keys that are there."""
    return {key: told[key] for key in keys if key in told}


def flatten(tree: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield (dotted key, text) of every leaf of nested dicts; a list is its words, sorted."""
    for key, value in tree.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from flatten(value, f"{name}.")
        elif isinstance(value, list):
            yield name, " ".join(sorted(str(item) for item in value))
        elif value is not None:
            yield name, str(value)


def split_environment(environment: Mapping[str, object]) -> tuple[dict[str, str], dict[str, str]]:
    """Return what must agree (CPU, compiler, flags) and what is only told when it differs.

    What could not be read on either side is not the same there.
    """
    strict: dict[str, str] = {}
    loose: dict[str, str] = {}
    for key, value in flatten(environment):
        words = key.lower()
        if value.startswith(NOT_READABLE) or any(word in words for word in VOLATILE_WORDS):
            continue
        named = any(word in words for word in STRICT_WORDS)
        (strict if named and not any(w in words for w in LOOSE_WORDS) else loose)[key] = value
    return strict, loose
