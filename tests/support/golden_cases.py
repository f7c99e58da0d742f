# SPDX-License-Identifier: BSD-3-Clause
"""What every command prints in every format, as committed text: `make golden` writes it anew.

A case is a command line over the inputs in tests/golden/inputs. Its golden file holds the command,
its exit code, what it printed on both streams, and each file that it wrote, so that a change of
output is a diff to review.
"""

import hashlib
import io
import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from ntbbench import __version__
from ntbbench.cli.main import main
from ntbbench.core import environment as here

GOLDEN = Path(__file__).parents[1] / "golden"
INPUTS = GOLDEN / "inputs"
DATA = Path(__file__).parents[1] / "data"
DOCS = Path(__file__).parents[2] / "docs"
PAGE = "page.html"
STYLE = re.compile(r"(<style>).*?(</style>)", re.DOTALL)
SCRIPT = re.compile(r"(<script[^>]*>)(.*?)(</script>)", re.DOTALL)
COMMON = ("text", "md", "csv", "json")
COMPARED = (*COMMON, "mail", "junit", "github", "ktap")
SERIES = ("text", "md", "mail", "csv", "json")
LIBRARY = 200_000  # characters from which a script is a library, which has versions of its own


@dataclass(frozen=True)
class Case:
    """A command line, under the name of its golden file."""

    name: str
    words: str


def formats(name: str, words: str, known: tuple[str, ...], *, page: bool = False) -> Iterator[Case]:
    """Yield the case in each format and, where there is one, as a page."""
    for form in known:
        yield Case(f"{name}.{form}", f"{words} --format {form}")
        if form == "text":
            yield Case(f"{name}.verbose", f"{words} -v")
    if page:
        yield Case(f"{name}.html", f"{words} --html {PAGE}")


def cases() -> Iterator[Case]:
    """Yield every case. Help is none: Python's releases lay it out each in its own way."""
    yield from modelled()
    yield from measured()
    yield from compared()


def modelled() -> Iterator[Case]:
    """Yield the cases of the model: they need no input."""
    yield from formats("hardware", "hardware", COMMON, page=True)
    yield from formats("hardware-one", "hardware ntb_hw_epf-v4 --doorbells 8", COMMON, page=True)
    yield from formats("hardware-audit", "hardware --audit", COMMON)
    yield from formats("compat", "compat", SERIES, page=True)
    yield Case("compat-exhaustive.md", "compat --exhaustive --format md")
    yield from formats("compat-slots", "compat --ep-slots 4 --mw-count 2", ("text", "json"))
    yield from formats("compat-explain", "compat --explain root-fix/5", SERIES, page=True)
    yield from formats("patches", "patches", SERIES, page=True)
    yield from formats("compat-ntb", "compat --function ntb", SERIES, page=True)
    yield Case("compat-ntb-exhaustive.md", "compat --function ntb --exhaustive --format md")
    few = "--function ntb --ep-slots 4 --mw-count 2"
    yield from formats("compat-ntb-slots", f"compat {few}", ("text", "json"))
    yield from formats("patches-ntb", f"patches {few}", SERIES)
    ring = f"doorbell {few} --host1-driver before --host2-driver after --bits 0"
    yield from formats("doorbell-ntb", ring, SERIES, page=True)
    ring = "doorbell --ep-driver before --rc-driver debian:6.12.117 --bits 0,2"
    yield from formats("doorbell", ring, SERIES, page=True)
    sweep = "sweep --hardware ntb_hw_epf-legacy,ntb_hw_epf-v4,generic --queues 1,2,20"
    sweep += " --doorbells 4,16 --vectors 1,4 --interrupts 2000 --repeats 0 -o result.json"
    yield from formats("sweep", sweep, COMMON, page=True)
    simulate = "simulate --queues 1,2 --dispatch fallback,per-vector --affinity single,spread"
    simulate += " --replications 3 --duration 5ms --warmup 1ms --jobs 1 -o result.json"
    yield from formats("simulate", simulate, (*COMMON, "mail"), page=True)
    yield Case("simulate-keys", "simulate --keys")
    fit = "fit --preset rcar-s4-spider --throughput 583e6 --packet 65480"
    yield Case("fit", f"{fit} -o fit.toml")
    yield from formats("fit", fit, ("md", "csv", "json"))


def measured() -> Iterator[Case]:
    """Yield the cases of recordings and of saved results."""
    yield from formats("replay", "replay data/linux-6.12-ntb-loop", (*COMMON, "ktap"), page=True)
    yield from formats("replay-pair", "replay data/pair/after-before", ("text", "ktap"))
    loop = "data/linux-6.12-ntb-loop/fallback-four-qps"
    yield from formats("replay-one", f"replay {loop}", ("text", "md", "json"))
    yield from formats("ingest", f"ingest {loop}", COMMON, page=True)
    tools = " ".join(
        f"data/tools/{name}" for name in ("bpftrace.json", "ftrace.txt", "perf-script.txt")
    )
    yield from formats("ingest-tools", f"ingest {tools}", COMMON)
    yield from formats("ingest-cases", "ingest data/cases", ("text", "md"))
    yield from formats("explain", "explain measured.json", COMMON, page=True)
    devices = "explain measured.json --hardware ntb_hw_epf-v4,ntb_hw_epf-legacy"
    yield from formats("explain-devices", devices, ("text", "md"))
    yield from formats("show-measured", "show measured.json", ("text",))
    yield Case("capture-script", "capture --print-script")
    saved = ("sweep-base", "simulation-base", "lab-run", "lab-netdev")
    for kind in (*saved, "pair-run", "pair-matrix", "pair-check", "pair-hosts"):
        yield from formats(f"show-{kind}", f"show {kind}.json", COMMON, page=True)

    yield from formats("show-medians", "show bench-base.json --medians", COMMON, page=True)
    yield from formats("show-selftest", "show selftest.json", (*COMMON, "ktap"), page=True)
    yield from formats("show-ep", "show ep.json", (*COMMON, "ktap"), page=True)
    yield from formats("show-explore", "show explore.json", (*COMMON, "ktap", "mail"), page=True)
    yield from formats("show-series", "show series-v1.json", ("text", "ktap"), page=True)
    broken = (*COMPARED, "kcidb")
    yield from formats("show-series-broken", "show series-v2.json", broken, page=True)


def compared() -> Iterator[Case]:
    """Yield the cases of comparisons."""
    yield from formats("compare-runs", "compare --runs docs/examples/runs.csv", COMPARED, page=True)
    yield Case("compare-runs-raw.mail", "compare --runs docs/examples/runs.csv --format mail --raw")
    yield Case("gate-baseline", "gate baseline.json bench-new.json")
    for kind in ("sweep", "simulation", "bench"):
        yield from formats(
            f"gate-{kind}", f"gate {kind}-base.json {kind}-new.json", COMPARED, page=True
        )
    yield from formats("show-ab", "show ab.json", COMPARED, page=True)
    yield from formats("gate-ab", "gate ab.json", ("text", "json"))
    yield from formats("show-board", "show board.json", COMPARED, page=True)
    yield from formats("gate-board", "gate board.json", ("text", "json"))
    yield from formats("gate-pair", "gate pair-run.json pair-new.json", COMPARED)
    yield from formats("gate-pair-hosts", "gate pair-hosts.json pair-hosts-new.json", COMPARED)
    yield from formats("gate-series", "gate series-v1.json series-v2.json", ("text", "md"))
    yield Case("gate-policy.text", "gate bench-base.json bench-new.json --policy policy.toml")
    runs = " ".join(f"bench-{number}.json" for number in range(4))
    yield from formats("calibrate", f"calibrate {runs} -o out.toml", COMMON, page=True)
    store = "--store history.sqlite"
    for action in ("show", "check"):
        yield from formats(f"history-{action}", f"history {action} {store}", COMMON, page=True)
    changes = "--store changes.sqlite"  # a step fixed, one accepted, and noise that wanders
    yield from formats("history-changes", f"history check {changes}", COMMON, page=True)
    yield Case("history-last.text", f"history check {changes} --last 9")
    yield Case("history-export.csv", f"history export {changes} --last 5 --metric *test_scan")
    against = f"gate bench-new.json --against-history 20 {changes}"
    yield from formats("gate-history", against, COMPARED, page=True)


MACHINE = here.Environment(
    ntbbench=__version__,
    cpu=here.Cpu(
        model="Example 1", flags=["sse2"], architecture="x86_64", cores=2, governor="performance"
    ),
    kernel="Linux 7.3",
    compiler=here.Compiler(name="gcc 12", flags="-O2", checked=False),
    python="CPython 3.11",
    libraries={"numpy": "2"},
    git=here.Git(commit="0123456789ab", dirty=False, of="ntbbench's source"),
    clock=here.ClockRecord(name="thread_time", implementation="clock_gettime()", resolution=1e-9),
    started="2026-01-01T00:00:00+00:00",
)


@contextmanager
def one_machine() -> Iterator[None]:
    """Let every module see MACHINE as the environment that a result is recorded in."""
    with ExitStack() as patches:
        for name, module in list(sys.modules.items()):
            found = [key for key, value in vars(module).items() if value is here.environment]
            if name.startswith("ntbbench"):
                for key in found:
                    patches.enter_context(patch.object(module, key, lambda *_: MACHINE))
        yield


def exit_code(words: list[str]) -> int:
    """Return the exit code of a command line; argparse exits by itself after --help."""
    try:
        return main(words)
    except SystemExit as done:
        return int(done.code or 0)


def text_of(path: Path) -> str:
    """Return a written file as text; of a page without the style, of each script its hash alone."""
    if path.suffix == ".sqlite":
        return f"{path.stat().st_size} bytes\n"
    text = STYLE.sub(r"\1page.css\2", path.read_text(encoding="utf-8"))
    return SCRIPT.sub(hashed, text)


def hashed(script: re.Match[str]) -> str:
    """Return a script element with its text replaced by the text's hash."""
    if not script[2].strip():
        return script[0]
    if len(script[2]) > LIBRARY:
        return f"{script[1]}a library{script[3]}"
    return f"{script[1]}sha256 {hashlib.sha256(script[2].encode()).hexdigest()[:16]}{script[3]}"


def run(case: Case, folder: Path) -> str:
    """Run a case in `folder` and return its golden text: paths and machines stand in none."""
    for path in INPUTS.iterdir():
        shutil.copy(path, folder / path.name)
    (folder / "data").symlink_to(DATA)
    (folder / "docs").symlink_to(DOCS)
    known = {path.name for path in folder.iterdir()}
    out, err = io.StringIO(), io.StringIO()
    before = Path.cwd()
    os.chdir(folder)
    try:
        with (
            redirect_stdout(out),
            redirect_stderr(err),
            patch.dict(os.environ, {"COLUMNS": "80"}),
            patch.object(sys, "argv", ["ntbbench"]),
            one_machine(),
        ):
            code = exit_code(shlex.split(case.words))
    finally:
        os.chdir(before)
    parts = [f"$ ntbbench {case.words}\nexit {code}\n", f"--- stdout\n{out.getvalue()}"]
    parts += [f"--- stderr\n{err.getvalue()}"] if err.getvalue() else []
    written = sorted(path for path in folder.iterdir() if path.name not in known)
    parts += [f"--- {path.name}\n{text_of(path)}" for path in written]
    return "".join(part if part.endswith("\n") else f"{part}\n" for part in parts)


def golden_text(case: Case) -> str:
    """Return the golden text of a case, run in a folder of its own."""
    with TemporaryDirectory() as folder:
        return run(case, Path(folder))


def write_all() -> None:
    """Write every golden file anew, and remove those of cases that are gone."""
    wanted = {case.name: case for case in cases()}
    for path in (GOLDEN / "expected").iterdir():
        if path.name not in wanted:
            path.unlink()
    for name, case in wanted.items():
        (GOLDEN / "expected" / name).write_text(golden_text(case), encoding="utf-8")


if __name__ == "__main__":
    write_all()
