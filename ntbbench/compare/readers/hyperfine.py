# SPDX-License-Identifier: BSD-3-Clause
"""What `hyperfine --export-json` writes: the time of every run, each a process of its own.

A metric is called by the parameters of its command where these tell all commands of the file
apart, for base and candidate are different commands then; else by the command, or by the name that
`--command-name` gave. The user and system times are means alone and are not compared.
"""

from typing import Any

from msgspec import Struct

from ntbbench.compare.readers.checked import add_exact, add_noisy, check_new
from ntbbench.compare.readers.content import Content, ResultReader, begins
from ntbbench.compare.series import Variant

SOURCE = "hyperfine"
CPU = "cpu"  # which hyperfine does not record


class HyperfineCommand(Struct, frozen=True):
    """The runs of one command; a run that a signal ended has no exit code."""

    command: str
    times: list[float | None] | None = None
    exit_codes: list[int | None] = []
    memory_usage_byte: list[float | None] | None = None
    parameters: dict[str, Any] = {}


class HyperfineFile(Struct, frozen=True):
    """A whole file of hyperfine."""

    results: list[HyperfineCommand]


def recognises(content: Content) -> bool:
    """Return whether the results are of commands; a list of benchmarks tells otherwise."""
    return begins(content.first("results"), "command", b'"') and not content.first("benchmarks")


def read(content: Content, label: str) -> Variant:
    """Return the variant that a file of hyperfine holds; InputError: a command that is twice."""
    results, where = content.decode(HyperfineFile).results, content.where
    named = [_by_parameters(one) for one in results]
    told_apart = all(named) and len(set(named)) == len(named)
    variant = Variant(label, SOURCE, {}, cpu=CPU)
    for one, parameters in zip(results, named, strict=True):
        name = parameters if told_apart else one.command
        if told_apart:
            variant.context[f"command of {name}"] = one.command
        if one.times is None:
            check_new(variant, name, where)
            variant.unread[name] = "no times; hyperfine --export-json writes them"
        else:
            add_noisy(variant, name, one.times, where, unit="s", better="lower")
        if one.memory_usage_byte is not None:
            metric = f"{name}:memory"
            add_noisy(variant, metric, one.memory_usage_byte, where, unit="B", better="lower")
        if one.exit_codes:
            failed = sum(code != 0 for code in one.exit_codes) / len(one.exit_codes)
            add_exact(variant, f"{name}:failed", failed, where, better="lower")
    return variant


def _by_parameters(one: HyperfineCommand) -> str:
    return ", ".join(f"{key}={value}" for key, value in one.parameters.items())


READER = ResultReader(recognises, read)
