# SPDX-License-Identifier: BSD-3-Clause
"""The capture script: what `ntbbench capture` runs, and a board without Python runs by itself."""

import os
import subprocess
from importlib.resources import files
from pathlib import Path

from ntbbench.core.ending import child_process
from ntbbench.core.errors import ExitCode

SECONDS_MAX = 86400


def script_text() -> str:
    """Return the POSIX shell script."""
    return files("ntbbench.capture").joinpath("capture.sh").read_text(encoding="utf-8")


def run_script(folder: Path, seconds: int) -> int:
    """Run the script with /bin/sh, its messages on our stderr, and return its exit code.

    An interrupted script takes its second snapshot and removes its tracing instance before this
    returns.
    """
    # -s reads the script from the pipe: the package may lie in a zip file.
    command = ["/bin/sh", "-s", "--", os.fspath(folder), str(seconds)]
    with child_process(command, stdin=subprocess.PIPE) as process:
        try:
            process.communicate(script_text().encode())
        except KeyboardInterrupt:
            process.terminate()
            process.wait()
    return process.returncode if process.returncode >= 0 else ExitCode.INTERRUPTED
