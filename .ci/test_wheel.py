# SPDX-License-Identifier: BSD-3-Clause
"""Install the built wheel into an empty venv and run the tests on it, away from the source tree.

Usage: test_wheel.py DIST
"""

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
KERNELS = sorted(path.stem for path in (ROOT / "ext").glob("*.pyx"))


def run(*command: str | Path, cwd: Path, **variables: str) -> None:
    """Run a command with more environment variables, ending the script when it fails."""
    words = [str(part) for part in command]
    subprocess.run(words, cwd=cwd, env=os.environ | variables, check=True)


def check_contents(sdist: Path, wheel: Path) -> None:
    """The sdist carries the kernels' sources, the wheel the compiled modules and the typing."""
    with tarfile.open(sdist) as archive:
        sources = {Path(name).name for name in archive.getnames()}
    missing = [name for name in KERNELS if f"{name}.pyx" not in sources]
    names = zipfile.ZipFile(wheel).namelist()
    missing += [
        name for name in KERNELS if not any(f"/{name}." in n and n.endswith(".so") for n in names)
    ]
    if missing or "ntbbench/py.typed" not in names:
        sys.exit(f"not in {sdist.name} or {wheel.name}: {missing or 'py.typed'}")


def main(dist: Path) -> None:
    """Check, install and test what lies in `dist`."""
    (sdist,) = dist.glob("*.tar.gz")
    (wheel,) = dist.glob("*.whl")
    check_contents(sdist, wheel)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        venv.create(work / "venv", with_pip=True)
        python = work / "venv" / "bin" / "python"
        run(python, "-m", "pip", "install", "-q", "--disable-pip-version-check",
            f"{wheel.resolve()}[dev]", cwd=work)  # fmt: skip
        # The tests read documents and baselines beside them, but must import the installed package.
        for folder in ("tests", "docs", "results", "benches"):
            shutil.copytree(ROOT / folder, work / folder)
        for file in ("README.md", "Makefile", "pyproject.toml", "CHANGELOG.md"):
            shutil.copy(ROOT / file, work / file)
        where = "import ntbbench, sys; sys.exit('site-packages' not in ntbbench.__file__)"
        run(python, "-c", where, cwd=work)
        wheel_here = str(wheel.resolve())  # the CI examples install it as a user would
        run(python, "-m", "pytest", "-q", "-m", "not guest", cwd=work, NTBBENCH_WHEEL=wheel_here)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
