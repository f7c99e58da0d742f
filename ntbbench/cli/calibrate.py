# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench calibrate`: A/A runs on this machine, and thresholds that the gate can use."""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from subprocess import DEVNULL as NOTHING

from ntbbench.cli.compare import tell_cautions
from ntbbench.cli.output import add_output, report_output
from ntbbench.cli.streams import tell
from ntbbench.compare.policy import load_policy
from ntbbench.core.ending import child_process, scratch_folder
from ntbbench.core.errors import ExitCode, InputError
from ntbbench.core.result_file import check_no_input, check_writable, write_bytes

OUTPUT = "{output}"
DEFAULT = (
    f"{shlex.quote(sys.executable)} -m ntbbench.cli.main sweep --hardware ntb_hw_epf-v4 "
    f"--queues 1,4 --doorbells 8 --repeats 10 --format json -o {OUTPUT}"
)
EPILOG = """\
Give results of the same thing measured several times, or let this command measure:
  ntbbench calibrate a1.json a2.json a3.json a4.json -o thresholds.toml
  ntbbench calibrate --rounds 10 --command \\
    'pytest benches/ --benchmark-json={output}' -o thresholds.toml
  ntbbench gate base.json new.json --policy thresholds.toml
exit codes: 0 done; 1 an exact metric differs between runs; 2 bad input; 4 a metric is not in
every run, or there is none; 5 the runs come from different environments; 70 internal error
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "calibrate",
        description="Measure the same thing several times and learn how far it wanders.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("results", nargs="*", metavar="RESULT", help="results of the same thing")
    parser.add_argument("--rounds", type=int, default=10, help="runs of the command (default 10)")
    parser.add_argument(
        "--command",
        default=DEFAULT,
        help="what writes one result to {output}; run without a shell (default: a small sweep)",
    )
    parser.add_argument("--policy", type=Path, metavar="FILE.toml", help="the gate's policy")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.toml", help="the thresholds")
    add_output(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measure or read the runs, and report."""
    from ntbbench.compare.calibrate import calibrate  # noqa: PLC0415 -- loads scipy
    from ntbbench.compare.readers.detect import load_variant  # noqa: PLC0415 -- loads numpy
    from ntbbench.compare.readers.joining import unique_labels  # noqa: PLC0415
    from ntbbench.report.views.calibration import document, policy_file  # noqa: PLC0415

    policy = load_policy(args.policy)
    output = report_output(args)
    read = [*map(Path, args.results), *([] if args.policy is None else [args.policy])]
    output.check_inputs(read)
    if args.output is not None:
        check_no_input("--output", args.output, read)
        check_writable(args.output)
    with scratch_folder() as folder:
        files = args.results or measured(args.command, args.rounds, folder)
        runs = unique_labels([load_variant(str(file)) for file in files])
        tell_cautions(runs)
        found = calibrate(runs, policy)
    if args.output is not None:
        write_bytes(args.output, policy_file(found).encode())
    output.show(document(found))
    if found.missing or not found.metrics:
        return ExitCode.MISSING
    return ExitCode.FINDING if found.exact_differences else ExitCode.OK


def measured(command: str, rounds: int, folder: Path) -> list[Path]:
    """Run the command `rounds` times and return the results it wrote.

    Raises
    ------
    InputError : the command cannot be run, fails, or writes no result.
    """
    if not 4 <= rounds <= 1000:
        raise InputError("--rounds", rounds, "from 4 to 1000")
    files = [folder / f"run{number}.json" for number in range(1, rounds + 1)]
    write_results("--command", command, files, "A/A run")
    return files


def write_results(option: str, command: str, files: Sequence[Path], told: str) -> None:
    """Run the command of an option once for each file, which is its {output}.

    InputError: the command cannot be run, fails, or writes no result.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise InputError(option, command, f"a command line: {error}") from error
    if not any(OUTPUT in word for word in words):
        raise InputError(option, command, f"a command with {OUTPUT} in it")
    for number, file in enumerate(files, start=1):
        tell(f"{told} {number} of {len(files)}")
        filled = [word.replace(OUTPUT, str(file)) for word in words]
        try:
            with child_process(filled, stdin=NOTHING, stdout=NOTHING) as child:
                code = child.wait()
        except OSError as error:
            raise InputError(option, words[0], error.strerror or "cannot be run") from error
        written = file.exists() and file.stat().st_size > 0
        if code or not written:
            did = f"exits {code} and writes {'it' if written else 'nothing'}"
            why = f"a command that exits 0 and writes {OUTPUT}; this {did}"
            raise InputError(option, command, why)
