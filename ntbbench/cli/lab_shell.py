# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench lab shell`: a shell in the guest of the driver pair."""

import argparse
import sys

from ntbbench.cli.lab_kernel import add_pair_kernel, pair_lab
from ntbbench.cli.options import add_options
from ntbbench.cli.pair_setting import pair_setup
from ntbbench.core.errors import ExitCode, InputError
from ntbbench.lab.pair.pair_shell import open_shell
from ntbbench.lab.pair.plan import PairSetup

DESCRIPTION = """\
Boot the driver pair and give its console to this terminal: both interfaces are up, the root
complex's in a namespace of its own, and trace events are ready to be switched on. `exit` powers the
guest off. Its clock is the host's here: counts of a run come from `lab pair run`.
"""
EPILOG = """\
exit codes:
  0    the shell has ended
  2    bad input, or stdin is no terminal
  3    a source does not build, or QEMU failed

examples:
  ntbbench lab shell --queues 4
  ntbbench lab shell --ep-driver my-vntb.c --doorbell msi
"""


def add_shell(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `lab shell` to the subcommands of lab."""
    parser = actions.add_parser(
        "shell",
        help="a shell in the guest of the driver pair",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_pair_kernel(parser)
    add_options(parser, "drivers", PairSetup(), only=("ep_driver", "rc_driver"))
    add_options(parser, "setting", PairSetup(), only=("ep_slots", "mw_count", "queues", "doorbell"))
    parser.set_defaults(run=run, ep_patches=None, rc_patches=None)


def run(args: argparse.Namespace) -> int:
    """Open the shell; InputError: there is no terminal to give to it."""
    if not sys.stdin.isatty():
        raise InputError("stdin", "no terminal", "a terminal: the shell is interactive")
    open_shell(pair_lab(args), pair_setup(args))
    return ExitCode.OK
