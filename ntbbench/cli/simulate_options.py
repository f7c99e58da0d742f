# SPDX-License-Identifier: BSD-3-Clause
"""The options of `ntbbench simulate`, and the scenario that they say."""

import argparse
from collections.abc import Container, Sequence
from urllib.parse import urlsplit

import msgspec

from ntbbench.cli.progress import RUNS
from ntbbench.core.errors import InputError
from ntbbench.core.options import kinds
from ntbbench.datapath.engine import ENGINES
from ntbbench.datapath.records import SimulationResult
from ntbbench.datapath.scenario import load
from ntbbench.datapath.scenario.boards import BOARDS
from ntbbench.datapath.scenario.sections import Run, Scenario
from ntbbench.report.simulation import FORMATS

BACKENDS = ("local", "dask")
SCHEMES = ("tcp", "tls", "ws", "wss")  # of a Dask scheduler; without one, tcp
JOBS_MAX = 1024
RUN_OPTIONS = ("placement", "replications", "seed", "duration", "warmup")
AXIS_HELP = {
    "queues": ("1,2,4", "netdev queues"),
    "dispatch": ("A,B", "fallback, per-vector, msi"),
    "affinity": ("A,B", "of the interrupts: single, spread"),
    "protocol": ("A,B", "tcp (closed loop), udp (open loop)"),
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add every option; all are texts, checked by those who use them."""
    _add_scenario(parser)
    _add_how(parser)
    _add_output(parser)


def _add_scenario(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("scenario", nargs="?", metavar="SCENARIO.toml", help="what to simulate")
    parser.add_argument(
        "--preset", metavar="NAME", help=f"a board instead: {', '.join(BOARDS)} (default generic)"
    )
    group = parser.add_argument_group("axes: every combination is a point")
    for key, (metavar, text) in AXIS_HELP.items():
        group.add_argument(f"--{key}", metavar=metavar, help=text)
    group = parser.add_argument_group("scenario")
    for key in RUN_OPTIONS:
        kind = kinds(Run)[key]
        group.add_argument(f"--{key}", metavar="X", help=f"{kind.text} ({kind.allowed})")
    group.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="a key of the scenario; can be given again",
    )
    group.add_argument(
        "--keys",
        action="store_true",
        help="list the keys of a scenario, and end; every other option is ignored",
    )


def _add_how(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("how")
    group.add_argument("--engine", choices=ENGINES, default=ENGINES[0], help="all give the same")
    group.add_argument("--jobs", metavar="N", default="0", help="processes; 0: one a core")
    group.add_argument("--backend", choices=BACKENDS, default="local", help="where it runs")
    group.add_argument("--scheduler", metavar="ADDRESS", help="of the Dask cluster")


def _add_output(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("output")
    group.add_argument("--format", metavar="|".join(FORMATS), default="text", help="of stdout")
    group.add_argument(
        "-o",
        "--output",
        metavar="FILE.json",
        help=f"the result (default {RUNS}/simulation-<UTC time>.json)",
    )
    group.add_argument("--html", metavar="FILE", help="write a self-contained page too")
    group.add_argument(
        "--timeline",
        metavar="FILE.json",
        help="the first point's events for ui.perfetto.dev or chrome://tracing",
    )
    group.add_argument(
        "--resume",
        metavar="FILE.json",
        help="go on with an interrupted run, or add replications to a finished one",
    )


def scenario_of(args: argparse.Namespace, previous: SimulationResult | None) -> Scenario:
    """Return the scenario of the options.

    Raises
    ------
    InputError : a file and a preset at once, or any bad value.
    """
    if args.scenario is not None and args.preset is not None:
        raise InputError("--preset", args.preset, "a SCENARIO.toml or a preset, not both")
    if args.scenario is not None:
        scenario = load.load_scenario(args.scenario)
    elif args.preset is not None or previous is None:
        scenario = load.preset(args.preset or "generic")
    else:
        scenario = load.scenario_from(previous.scenario, args.resume)
    axes = {
        key: load.axis(f"--{key}", key, getattr(args, key))
        for key in AXIS_HELP
        if getattr(args, key) is not None
    }
    run_keys = {
        key: kinds(Run)[key].parse(f"--{key}", getattr(args, key))
        for key in RUN_OPTIONS
        if getattr(args, key) is not None
    }
    asked = msgspec.structs.replace(scenario.run, **run_keys)
    scenario = msgspec.structs.replace(scenario, **axes, run=asked)
    check_said_once(args.set, run_keys)
    scenario = load.with_true_note(load.with_settings(scenario, args.set), scenario)
    load.check_scenario(scenario)
    return scenario


def check_said_once(settings: Sequence[str], options: Container[str]) -> None:
    """Raise InputError where a --set names a key of [run] that an option gives too."""
    for text in settings:
        section, key = load.place(text.partition("=")[0].strip())
        if section == "run" and key in options:
            raise InputError("--set", text, f"not together with --{key}")


def check_scheduler(address: str) -> None:
    """Raise InputError for what cannot be a scheduler's address.

    Dask's own client, given one, keeps a thread, and reports with a traceback of its destructor,
    after 20 s, that it could not be closed.
    """
    allowed = f"[SCHEME://]HOST:PORT, SCHEME of {', '.join(SCHEMES)}"
    try:
        parts = urlsplit(address if "://" in address else f"tcp://{address}")
        port = parts.port
    except ValueError:  # of a port that is none, or brackets that do not close
        raise InputError("--scheduler", address, allowed) from None
    plain = parts.path in ("", "/") and not parts.query and not parts.fragment
    if parts.scheme not in SCHEMES or not parts.hostname or not port or not plain:
        raise InputError("--scheduler", address, allowed)
