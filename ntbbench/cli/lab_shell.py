# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench lab shell`: a shell in the guest of the driver pair, or ssh to both of its ends."""

import argparse
import shlex
import sys
from pathlib import Path
from typing import Annotated

from msgspec import Struct
from msgspec.structs import replace

from ntbbench.cli.lab_kernel import add_pair_kernel, pair_lab
from ntbbench.cli.options import add_options, chosen
from ntbbench.cli.pair_setting import pair_setup
from ntbbench.core.errors import ExitCode, InputError
from ntbbench.core.options import Count
from ntbbench.lab.pair.boot.pair_shell import open_shell
from ntbbench.lab.pair.pair_kernel import BOARD
from ntbbench.lab.pair.plan import PairSetup

DESCRIPTION = """\
Boot the driver pair and give its console to this terminal: both interfaces are up, the root
complex's in a namespace of its own, and trace events are ready to be switched on. `exit` powers the
guest off. Its clock is the host's here: counts of a run come from `lab pair run`.

With --ssh no terminal is needed: each end is a user of an ssh server on 127.0.0.1, and the folder
of -o gets what `ntbbench board` needs to run an experiment on them. Ctrl-C ends the guest.
"""
EPILOG = """\
exit codes:
  0    the shell has ended, or the guest was powered off
  2    bad input, or stdin is no terminal
  3    a source does not build, QEMU failed, or the guest did
  130  Ctrl-C, which is how --ssh ends

examples:
  ntbbench lab shell --queues 4
  ntbbench lab shell --ep-driver my-vntb.c --doorbell msi
  ntbbench lab shell --queues 4 --ssh 2222 -o rehearsal
"""
SSH_CPUS = 2  # of the guest, so that affinities differ
SETTING = ("ep_slots", "mw_count", "queues", "doorbell", "cpus")


class SshService(Struct, frozen=True, kw_only=True):
    """Where the guest's ssh server is reached."""

    ssh: Annotated[
        int | None,
        Count(1024, 65_535, "port of 127.0.0.1 for ssh to both ends; a guest of two CPUs"),
    ] = None


def add_shell(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `lab shell` to the subcommands of lab."""
    parser = actions.add_parser(
        "shell",
        help="a shell in the guest of the driver pair, or ssh to both of its ends",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_pair_kernel(parser)
    add_options(parser, "drivers", PairSetup(), only=("ep_driver", "rc_driver"))
    add_options(parser, "setting", PairSetup(), only=SETTING)
    add_options(parser, "ssh", SshService()).add_argument(
        "-o",
        "--output",
        metavar="DIR",
        type=Path,
        help="key, known_hosts, ssh_config and, where it has none, board.toml (default rehearsal)",
    )
    parser.set_defaults(run=run, ep_patches=None, rc_patches=None)


def run(args: argparse.Namespace) -> int:
    """Open the shell or serve ssh; InputError: there is no terminal to give to the shell."""
    port = chosen(args, SshService()).ssh
    if port is not None:
        return run_ssh(args, port)
    if args.output is not None:
        raise InputError("-o", str(args.output), "goes together with --ssh")
    if not sys.stdin.isatty():
        raise InputError("stdin", "no terminal", "a terminal: the shell is interactive; or --ssh")
    open_shell(pair_lab(args), pair_setup(args))
    return ExitCode.OK


def run_ssh(args: argparse.Namespace, port: int) -> int:
    """Serve ssh until the guest is powered off."""
    from ntbbench.lab.rehearsal.ssh_files import new_keys, write_client  # noqa: PLC0415
    from ntbbench.lab.rehearsal.ssh_guest import check_port, serve_ssh  # noqa: PLC0415

    check_port(port)
    setup = pair_setup(args)
    setup = setup if args.cpus else replace(setup, cpus=SSH_CPUS)
    folder, keys = args.output or Path("rehearsal"), new_keys()
    is_new = write_client(folder, keys, port, setup.queues or setup.most_qps)
    about = told(folder, port, keys.fingerprint, is_new=is_new)
    serve_ssh(pair_lab(args, BOARD), setup, keys, port, lambda: print(about, flush=True))
    return ExitCode.OK


def told(folder: Path, port: int, fingerprint: str, *, is_new: bool) -> str:
    """Return what to do with a guest that serves."""
    config, board = shlex.quote(f"{folder}/ssh_config"), shlex.quote(f"{folder}/board.toml")
    kept = "" if is_new else ", as it was found"
    return f"""\
Both ends of the pair serve ssh on port {port}; Ctrl-C ends the guest
  ssh -F {config} pair-rc    root complex, ntb_hw_epf
  ssh -F {config} pair-ep    endpoint, pci-epf-vntb
  ntbbench board check {board}
  ntbbench board run {board} -o rehearsed.json
host key {fingerprint}, in {folder}/known_hosts
{board}{kept}: `variant before` loads ntb_hw_epf of the kernel
before the series, `variant after` the one that was asked for.
Throughput, latency and CPU times are the emulator's. Interrupts, wakeups and
amplification are the drivers'.
"""
