# SPDX-License-Identifier: BSD-3-Clause
"""criterion of Rust: its folder `target/criterion`, or `cargo criterion --message-format=json`.

A sample is the time of many iterations, over their number. All samples are of one process.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct

from ntbbench.compare.readers.checked import NO_NUMBER, add_noisy, check_new
from ntbbench.compare.readers.content import Content, ResultReader, begins, readable
from ntbbench.compare.series import Variant
from ntbbench.compare.warning_list import ONE_PROCESS

SOURCE = "criterion"
CPU = "cpu"  # which criterion does not record
RUN = "new"  # the folder of a benchmark's last run; that before it is `base`
LEVELS = 4  # of folders: `target` may be given for `target/criterion`
ESTIMATES, SAMPLE, BENCHMARK = "estimates.json", "sample.json", "benchmark.json"
SECONDS = {"ps": 1e-12, "ns": 1e-9, "us": 1e-6, "\u00b5s": 1e-6, "ms": 1e-3, "s": 1.0}
COMPLETE, REASONS = "benchmark-complete", ("benchmark-complete", "group-complete")


class CriterionBenchmark(Struct, frozen=True):
    """The name of a benchmark."""

    full_id: str


class CriterionSample(Struct, frozen=True):
    """Iterations of each sample, and the nanoseconds that they took together."""

    iters: list[float | None]
    times: list[float | None]


class CriterionMessage(Struct, frozen=True):
    """A line of `cargo criterion`; other reasons lack the rest."""

    reason: str = ""
    id: str = ""
    iteration_count: list[float | None] = []
    measured_values: list[float | None] = []
    unit: str = ""


def recognises(content: Content) -> bool:
    """Return whether a folder holds runs of criterion, or the first line is a message."""
    if content.path.is_dir():
        return next(_runs_in(content.path), None) is not None
    keys = content.keys
    if not begins(keys, "reason", b'"'):
        return False
    return msgspec.json.decode(keys["reason"], type=str) in REASONS


def read(content: Content, label: str) -> Variant:
    """Return the variant that a folder or a stream of messages holds."""
    variant = Variant(label, SOURCE, {}, cpu=CPU)
    if content.path.is_dir():
        _add_folder(variant, content.path)
    else:
        _add_messages(variant, content)
    return variant


def _runs_in(folder: Path) -> Iterator[Path]:
    """Yield the last run of each benchmark: of a group, a function and its input, or fewer."""
    deep = (f"{'*/' * levels}{RUN}/{ESTIMATES}" for levels in range(1, LEVELS + 1))
    return (file.parent for pattern in deep for file in folder.glob(pattern))


def _add_folder(variant: Variant, folder: Path) -> None:
    for run in sorted(_runs_in(folder)):
        name, where = run.parent.relative_to(folder).as_posix(), str(run)
        if (run / BENCHMARK).is_file():
            with readable(str(run / BENCHMARK)):
                name = Content(run / BENCHMARK).decode(CriterionBenchmark).full_id
        if not (run / SAMPLE).is_file():
            check_new(variant, name, where)
            variant.unread[name] = f"estimates alone, no {SAMPLE}"
            continue
        with readable(str(run / SAMPLE)):
            sample = Content(run / SAMPLE).decode(CriterionSample)
        _add_samples(variant, name, sample, "ns", where)


def _add_messages(variant: Variant, content: Content) -> None:
    for number, line in enumerate(content.data.splitlines(), start=1):
        if not line.strip():
            continue
        where = f"{content.where}:{number}"
        with readable(where):
            message = content.decode(CriterionMessage, line)
        if message.reason == COMPLETE:
            sample = CriterionSample(message.iteration_count, message.measured_values)
            _add_samples(variant, message.id, sample, message.unit, where)


def _add_samples(
    variant: Variant, name: str, sample: CriterionSample, unit: str, where: str
) -> None:
    """Add the time of an iteration, or what else was measured of it."""
    counts, totals = np.array(sample.iters, dtype=float), np.array(sample.times, dtype=float)
    if len(counts) != len(totals) or not (counts > 0).all():
        check_new(variant, name, where)
        told = f"{len(counts)} numbers of iterations for {len(totals)} samples"
        variant.unread[name] = (
            told if len(counts) != len(totals) else f"iterations: {NO_NUMBER}, or none"
        )
        return
    is_time = unit in SECONDS
    add_noisy(
        variant, name, totals * SECONDS.get(unit, 1.0) / counts, where,
        unit="s" if is_time else unit, better="lower" if is_time else "unsaid",
        cautions=(ONE_PROCESS,),
    )  # fmt: skip


READER = ResultReader(recognises, read)
