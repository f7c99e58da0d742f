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
PAGE_MAX = 1_500_000  # bytes
# Of what an install can lose: compiled modules, files beside the code, programs, commands. The rest
# is the same Python that `make test` has just tested.
TESTS = [
    f"tests/{name}"
    for name in (
        *("dispatch", "ntb", "report", "lab", "test_golden.py", "test_readme.py"),
        *("test_ci_examples.py", "test_kernel_ci_examples.py"),
    )
]
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


def check_platform(wheel: Path) -> None:
    """The wheel keeps to the stable interface of Python and to an old C library."""
    tools = Path(sys.executable).parent
    run(tools / "abi3audit", "--strict", wheel, cwd=ROOT)
    told = subprocess.run(
        [tools / "auditwheel", "show", wheel], capture_output=True, text=True, check=True
    ).stdout
    if "manylinux_2_17" not in told:
        sys.exit(f"{wheel.name}: not of manylinux_2_17: {told}")


def check_small(wheel: Path, work: Path) -> None:
    """On a board with numpy and msgspec alone captures are read; else the package is named."""
    venv.create(work / "small", with_pip=True)
    programs = work / "small" / "bin"
    pip = (programs / "python", "-m", "pip", "install", "-q", "--disable-pip-version-check")
    run(*pip, "numpy", "msgspec", cwd=work)
    run(*pip, "--no-deps", wheel.resolve(), cwd=work)
    ours = programs / "ntbbench"
    capture = ROOT / "tests" / "data" / "linux-6.12-ntb-loop" / "fallback-four-qps"
    run(ours, "capture", "--print-script", cwd=work)
    with (work / "measured.json").open("w") as file:
        words = [ours, "ingest", capture, "--format", "json"]
        subprocess.run(words, cwd=work, stdout=file, check=True)
    run(ours, "explain", "measured.json", cwd=work)
    lacking = subprocess.run(
        [ours, "sweep", "-o", "x.json"], cwd=work, capture_output=True, text=True, check=False
    )
    if lacking.returncode != 2 or "needs the package tqdm" not in lacking.stderr:
        sys.exit(f"without tqdm: {lacking.returncode}: {lacking.stderr}")


def check_plain(wheel: Path, work: Path) -> None:
    """A plain install, as of pipx or `uv tool`, does the README's main job."""
    venv.create(work / "plain", with_pip=True)
    programs = work / "plain" / "bin"
    quiet = ("-q", "--disable-pip-version-check")
    run(programs / "python", "-m", "pip", "install", *quiet, wheel.resolve(), cwd=work)
    run(programs / "ntbbench", "sweep", "-o", "sweep.json", "--html", "sweep.html", cwd=work)
    if (work / "sweep.html").stat().st_size > PAGE_MAX:
        sys.exit(f"sweep.html: more than {PAGE_MAX} bytes")


def check_shell_files(prefix: Path) -> None:
    """The man page and the completions are where man and the shells look."""
    shared = prefix / "share"
    missing = [
        name
        for name in (
            "man/man1/ntbbench.1",
            "bash-completion/completions/ntbbench",
            "zsh/site-functions/_ntbbench",
            "fish/vendor_completions.d/ntbbench.fish",
        )
        if not (shared / name).is_file()
    ]
    if missing:
        sys.exit(f"not installed: {', '.join(missing)}")


def main(dist: Path) -> None:
    """Check, install and test what lies in `dist`."""
    (sdist,) = dist.glob("*.tar.gz")
    (wheel,) = dist.glob("*.whl")
    check_contents(sdist, wheel)
    check_platform(wheel)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        check_small(wheel, work)
        check_plain(wheel, work)
        venv.create(work / "venv", with_pip=True)
        python = work / "venv" / "bin" / "python"
        run(python, "-m", "pip", "install", "-q", "--disable-pip-version-check",
            f"{wheel.resolve()}[dev]", cwd=work)  # fmt: skip
        check_shell_files(work / "venv")
        # The tests read documents and baselines beside them, but must import the installed package.
        for folder in ("tests", "docs", "results", "benches"):
            shutil.copytree(ROOT / folder, work / folder)
        for file in ("README.md", "Makefile", "pyproject.toml", "CHANGELOG.md"):
            shutil.copy(ROOT / file, work / file)
        where = "import ntbbench, sys; sys.exit('site-packages' not in ntbbench.__file__)"
        run(python, "-c", where, cwd=work)
        wheel_here = str(wheel.resolve())  # the CI examples install it as a user would
        run(
            python,
            "-m",
            "pytest",
            "-q",
            "-m",
            "not guest and not netns",
            *TESTS,
            cwd=work,
            NTBBENCH_WHEEL=wheel_here,
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
