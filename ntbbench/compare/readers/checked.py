# SPDX-License-Identifier: BSD-3-Clause
"""Checks that every reader shares: finite numbers, sizes, environments."""

import gzip
import io
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntbbench.core.errors import InputError
from ntbbench.core.input_file import RESULT_MAX, check_json, is_json, read_input

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
LOOSE_WORDS = ("governor", "count", "cores", "affinity", "kernel", "host", "commit")


def read_bytes(path: Path) -> bytes:
    """Return the content of a file or a pipe that is neither empty nor too large.

    InputError: it cannot be read, is empty or larger than RESULT_MAX, packed or not, or JSON that
    `check_json` refuses.
    """
    data = read_input(path, largest=RESULT_MAX, pipes=True)
    if data.startswith(GZIP):  # pyperf writes x.json.gz
        data = _unpacked(gzip.GzipFile(fileobj=io.BytesIO(data)), path)
    if len(data) > RESULT_MAX:  # packed: only reading tells
        raise InputError("input", str(path), f"at most {RESULT_MAX} bytes")
    if not data or data.isspace():
        raise InputError("input", str(path), "a result; this file is empty")
    if is_json(data):
        check_json(data, path)
    return data


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
