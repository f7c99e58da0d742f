# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench ab` as its users meet it: real processes, files, exit codes; a run that goes on."""

import hashlib
import json
import os
import pty
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path

import children
import msgspec
import pytest
from ab_records import ab_result, drawn
from children import until
from compare_data import pytest_benchmark, written
from msgspec.structs import replace

from ntbbench.ab.records import AbMetric
from ntbbench.compare.policy import Policy
from ntbbench.compare.readers.ab_blocks import load_ab
from ntbbench.core.result_file import write_json

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")

NTBBENCH = [sys.executable, "-m", "ntbbench.cli.main"]
PATIENCE = 120.0  # seconds until a test gives up on a process
PRINTS = "regex:took (.*) ms"
QUICK = ("--metric", PRINTS, "--seed", "4")


def says(number: object) -> str:
    return f"echo took {number} ms"


def load(path: str) -> dict:
    return json.loads(Path(path).read_text())


def test_the_json_contract(ntbbench) -> None:
    commands = ("--base", says(100), "--candidate", says(110))
    ran = ntbbench("ab", *commands, *QUICK, "-o", "r.json")
    assert ran.code == 0
    assert ran.out.splitlines()[0].startswith(f"{PRINTS} regressed: +10.00 % [+10.00, +10.00]; 7 b")
    saved = load("r.json")
    assert saved["schema"] == "ntbbench.ab/1"
    assert saved["stopped"] == "decided"
    assert saved["base"]["command"] == says(100)
    assert [metric["name"] for metric in saved["metrics"]] == [PRINTS]
    assert len(saved["runs"]) == 16  # and a warm-up
    assert {run["block"] for run in saved["runs"]} == set(range(8))
    assert all(run["values"] == [100 + 10 * (run["side"] == "candidate")] for run in saved["runs"])
    assert {source["name"] for source in saved["noise"]} >= {"governor", "load", "ASLR"}
    assert saved["plan"]["seed"] == 4
    assert saved["environment"]["cpu"]["model"]


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ((), 0),
        (("--gate",), 1),
        (("--gate", "--higher-is-better"), 0),
        (("--gate", "--threshold", "20%"), 0),
        (("--gate", "--until", "3"), 3),
        (("--until", "3"), 0),
    ],
)
def test_the_exit_code(ntbbench, options: tuple[str, ...], code: int) -> None:
    commands = ("--base", says(100), "--candidate", says(110))
    assert ntbbench("ab", *commands, *QUICK, "-o", "r.json", *options).code == code


def test_without_o_and_seed(ntbbench) -> None:
    commands = ("--base", "true", "--candidate", "true", "--until", "2")
    one, other = (ntbbench("ab", *commands) for _ in range(2))
    saved = [
        re.fullmatch(r"ntbbench: saved (results/runs/ab-.*\.json)\n", r.err) for r in (one, other)
    ]
    seeds = {load(found[1])["plan"]["seed"] for found in saved}
    assert len(seeds) == 2  # a seed that nobody chose is drawn anew


def test_files_that_runs_leave_are_one_family(ntbbench) -> None:
    leaves = "cp {} {{output}}"
    inputs = Path(__file__).parents[1] / "golden/inputs"
    commands = [
        leaves.format(shlex.quote(str(inputs / f"bench-{name}.json"))) for name in ("base", "new")
    ]
    ran = ntbbench("ab", "--base", commands[0], "--candidate", commands[1], "-o", "r.json")
    assert ran.code == 0
    names = [metric["name"] for metric in load("r.json")["metrics"]]
    assert "benches/test_x.py::test_scan" in names and len(names) > 5
    assert load("r.json")["stopped"] == "decided"
    assert "What changed" in ran.out.splitlines()  # before how it was run
    assert "regressed, worst +49.7 % (benches/test_x.py::test_scan)" in " ".join(ran.out.split())


def test_exact_numbers_of_a_file_are_no_part_of_the_family(ntbbench) -> None:
    exact = {"steady": 5, "more": 7}
    records = [pytest_benchmark(1, 9, bench=1e-3) for _ in range(2)]
    for add, record in enumerate(records):
        extra = {key: value + add * (key == "more") for key, value in exact.items()}
        record["benchmarks"][0]["extra_info"] = extra
        written(Path(f"{add}.json"), record)
    commands = [f"cp {add}.json {{output}}" for add in range(2)]
    options = ("--base", commands[0], "--candidate", commands[1], "--until", "3", "-o", "r.json")
    assert ntbbench("ab", *options).code == 0
    ran = ntbbench("compare", "r.json", "--format", "json")
    name = "benches/test_x.py::bench"
    kinds = {c["metric"]: (c["kind"], c["verdict"]) for c in ran.report["comparisons"]}
    assert kinds[f"{name}:more"] == ("exact", "regressed")
    assert kinds[f"{name}:steady"] == ("exact", "equivalent")
    assert ran.report["family"]["size"] == sum(kind == "noisy" for kind, _ in kinds.values())


def test_both_are_pinned(ntbbench) -> None:
    cpu = min(os.sched_getaffinity(0))
    code = "import os; print('took', 1 + min(os.sched_getaffinity(0)), 'ms')"
    Path("show.py").write_text(code)
    show = f"{shlex.quote(sys.executable)} show.py"
    commands = ("--base", show, "--candidate", show, "--until", "2", "--pin", str(cpu))
    assert ntbbench("ab", *commands, *QUICK, "-o", "r.json").code == 0
    saved = load("r.json")
    assert saved["cpu"] == cpu
    assert {value for run in saved["runs"] for value in run["values"]} == {cpu + 1}


def test_what_builds_a_side_is_run_once_before(ntbbench) -> None:
    build = "sh -c 'echo built >> {}'"
    options = ("--build-base", build.format("b"), "--build", build.format("c"))
    commands = ("--base", "cat b", "--candidate", "cat c", "--until", "2", *options)
    assert ntbbench("ab", *commands, "-o", "r.json").code == 0
    assert [Path(name).read_text() for name in "bc"] == ["built\n"] * 2
    assert load("r.json")["base"]["build"] == build.format("b")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--base", "true"), "--candidate: '': a command to run"),
        (("--command", "true"), "--command: 'true': with --git; else --base and --candidate"),
        (
            ("--command", "true", "--base", "true", "--git", "A..B"),
            "--command: 'true': not beside --base",
        ),
        (("--base", "false", "--candidate", "true"), "--base: 'false': a command that exits 0; "),
        (("--base", "x {output}", "--candidate", "x"), "{output} in both commands, or in none"),
        (("--base", "true", "--candidate", "true", "--until", "1"), "--until: '1': decided, or"),
        (("--base", "true", "--candidate", "true", "--pin=-1"), "--pin: '-1': a whole number"),
        (("--base", "true", "--candidate", "true", "--metric", "w"), "--metric: 'w': unknown"),
        (
            ("--base", "true", "--candidate", "true", "--pin", "4095"),
            "--pin: 4095: a whole",
        ),
    ],
)
def test_bad_input_is_one_line(ntbbench, options: tuple[str, ...], told: str) -> None:
    ran = ntbbench("ab", *options, "-o", "r.json", "--warmup", "0")
    assert ran.code == 2
    assert told in ran.err and ran.err.count("\n") == 1
    assert not Path("r.json").exists()


def started(*options: str) -> AbstractContextManager["subprocess.Popen[str]"]:
    words = [*NTBBENCH, "ab", "--base", "sleep 0.01", "--candidate", "sleep 0.01", *options]
    pipe = subprocess.PIPE
    return children.started(words, stdout=pipe, stderr=pipe, text=True)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_keeps_what_is_done_and_resume_goes_on(ntbbench, number: int, code: int) -> None:
    with started("-o", "r.json", "--until", "900") as child:
        until(lambda: Path("r.json").exists() and len(load("r.json")["runs"]) > 4)
        child.send_signal(number)
        out, err = child.communicate(timeout=PATIENCE)
    assert child.returncode == code
    assert out == ""
    assert err == (
        "ntbbench: interrupted; what is finished is saved; "
        "go on with: ntbbench ab --resume r.json\n"
    )
    part = load("r.json")
    assert part["stopped"] == "interrupted"
    blocks = max(run["block"] for run in part["runs"])
    ran = ntbbench("ab", "--resume", "r.json", "--until", str(blocks + 2))
    assert ran.code == 0
    whole = load("r.json")
    assert whole["stopped"] == "until"
    assert whole["runs"][: len(part["runs"])] == part["runs"]
    assert len(whole["runs"]) == len(part["runs"]) + 4
    assert whole["seconds"] > part["seconds"]


def test_resume_takes_what_moves_a_bound_and_refuses_the_rest(ntbbench) -> None:
    commands = ("--base", says(100), "--candidate", says(101))
    ntbbench("ab", *commands, *QUICK, "--until", "2", "-o", "r.json")
    whole = Path("r.json").read_text()
    for options, told in (
        (("--base", "true"), f"r.json: --base: 'true': {says(100)!r}, as in the result"),
        (("--metric", "wall"), f"r.json: --metric: ['wall']: [{PRINTS!r}], as in the result"),
        (("--seed", "9"), "r.json: --seed: 9: 4, as in the result"),
        (("--warmup", "9"), "r.json: --warmup: 9: 1, as in the result"),
        (("--alpha", "0.5"), "r.json: --alpha: 0.5: 0.05, as in the result"),
        (("--pin", "0"), "r.json: --pin: 0: None, as in the result"),
        (("--git", "A..B"), "r.json: --git: 'A..B': '', as in the result"),
    ):
        ran = ntbbench("ab", "--resume", "r.json", *options)
        assert (ran.code, ran.err) == (2, f"ntbbench: {told}\n")
        assert Path("r.json").read_text() == whole
    done = ntbbench("ab", "--resume", "r.json")
    assert done.err == "ntbbench: r.json is complete: there is nothing to go on with\n"
    assert "2 blocks, as many as were asked for" in " ".join(done.out.split())
    more = ntbbench("ab", "--resume", "r.json", "--until", "decided", "-o", "more.json")
    assert "equivalent: +1.00 % [+1.00, +1.00]; 7 blocks, stopped when decided" in " ".join(
        more.out.split()
    )
    assert Path("r.json").read_text() == whole


def unfinished(ntbbench) -> tuple[Path, dict[str, str]]:
    """Return a script, and the hashes in the unfinished result of its runs."""
    script = Path("says.sh")
    script.write_text("echo took 5 ms\n")
    runs = ("--base", "sh says.sh", "--candidate", "sh says.sh", *QUICK, "-o", "r.json")
    assert ntbbench("ab", *runs, "--until", "2").code == 0
    part = load_ab(Path("r.json"))
    assert part.base.inputs == part.candidate.inputs
    assert part.base.inputs["says.sh"] == hashlib.sha256(script.read_bytes()).hexdigest()
    assert shutil.which("sh") in part.base.inputs
    write_json(Path("r.json"), replace(part, stopped="interrupted"))
    return script, part.base.inputs


def test_blocks_of_another_program_do_not_join(ntbbench) -> None:
    script, before = unfinished(ntbbench)
    saved = Path("r.json").read_bytes()
    script.write_text("echo took 6 ms\n")
    ran = ntbbench("ab", "--resume", "r.json", "--until", "3")
    changed = hashlib.sha256(script.read_bytes()).hexdigest()
    assert ran.code == 2
    assert f"ntbbench: --base: says.sh: 'SHA-256 {changed}': " in ran.err
    assert f"what the finished blocks ran: SHA-256 {before['says.sh']}\n" in ran.err
    assert load("r.json")["runs"] == json.loads(saved)["runs"]
    script.write_text("echo took 5 ms\n")
    assert ntbbench("ab", "--resume", "r.json", "--until", "3").code == 0


def test_a_result_of_ab_without_hashes_goes_on_with_a_word(ntbbench) -> None:
    unfinished(ntbbench)
    part = load_ab(Path("r.json"))
    sides = {s: replace(getattr(part, s), inputs=msgspec.UNSET) for s in ("base", "candidate")}
    write_json(Path("r.json"), replace(part, **sides))
    ran = ntbbench("ab", "--resume", "r.json", "--until", "3")
    assert ran.code == 0
    assert ran.err.count("the file has no SHA-256 of what its blocks ran; this may differ") == 2


def test_a_run_of_an_older_version_of_the_policy_goes_on(ntbbench) -> None:
    commands = ("--base", says(100), "--candidate", says(101))
    ntbbench("ab", *commands, *QUICK, "--until", "2", "-o", "r.json")
    older = load("r.json")
    del older["policy"]["quantile"], older["metrics"][0]["kind"]
    Path("r.json").write_text(json.dumps(older))
    more = ntbbench("ab", "--resume", "r.json", "--until", "3")
    assert (more.code, len(load("r.json")["runs"])) == (0, 8)


def test_another_machine_does_not_go_on(ntbbench) -> None:
    write_json(Path("r.json"), ab_result(drawn(3, 1.0), stopped="interrupted"))
    ran = ntbbench("ab", "--resume", "r.json")
    assert ran.code == 2 and "r.json: ntbbench: " in ran.err


def test_a_terminal_sees_the_interval_narrow() -> None:
    leader, follower = pty.openpty()
    words = [*NTBBENCH, "ab", "--base", says(100), "--candidate", says(110), *QUICK, "-o", "r.json"]
    with children.started(words, stdout=subprocess.DEVNULL, stderr=follower) as child:
        os.close(follower)
        seen = b""
        while select.select([leader], [], [], PATIENCE)[0]:
            try:
                seen += os.read(leader, 4096)
            except OSError:  # EIO: the other end is closed
                break
        child.wait(PATIENCE)
    os.close(leader)
    lines = [line.removeprefix("\x1b[K") for line in seen.decode().split("\r")]
    assert lines[1] == "warming up"
    assert lines[2] == f"block 1/200  {PRINTS} +10.00 % (no interval yet)"
    assert lines[8] == f"block 7/200  {PRINTS} +10.00 % [+10.00, +10.00]"
    assert lines[-1] == ""


METRICS = (
    AbMetric(name="wall", unit="s", better="lower"),
    AbMetric(name="rate", better="unsaid"),
)


@pytest.fixture
def regressed(in_an_empty_folder: None) -> None:
    write_json(Path("ab.json"), ab_result(drawn(20, 1.1, 1.0), metrics=METRICS))


@pytest.mark.usefixtures("regressed")
def test_gate_and_compare_read_both_sides_of_one_file(ntbbench) -> None:
    found = ntbbench("gate", "ab.json", "--lower-is-better", "--format", "json")
    assert found.code == 1
    assert found.report["paired"] is True
    assert found.report["test"].startswith("sequential signed ranks")
    verdicts = {name: c["verdict"] for name, c in found.comparisons.items()}
    assert verdicts == {"wall": "regressed", "rate": "equivalent"}
    assert found.comparisons["wall"]["n_base"] == 20
    assert ntbbench("compare", "ab.json").code == 0
    assert ntbbench("compare", "ab.json", "--paired", "--test", "sequential").code == 0


@pytest.mark.usefixtures("regressed")
def test_gate_refuses_what_the_blocks_do_not_allow(ntbbench) -> None:
    ran = ntbbench("compare", "ab.json", "--test", "welch")
    told = "ntbbench: --test: 'welch': sequential: `ab` looks after every block\n"
    assert (ran.code, ran.err) == (2, told)
    ran = ntbbench("compare", "ab.json", "--quantile", "p99")
    told = "ntbbench: --quantile: 'p99': p50: each run of `ab` is one sample\n"
    assert (ran.code, ran.err) == (2, told)
    Path("p.toml").write_text('quantile = "p99"\n')
    ran = ntbbench("ab", "--base", "true", "--candidate", "true", "--policy", "p.toml")
    assert (ran.code, ran.err) == (2, told)
    ran = ntbbench("gate", "ab.json")  # a rate without a direction
    assert ran.code == 2 and "metric: 'rate'" in ran.err
    ran = ntbbench("compare", "ab.json", "ab.json")
    assert ran.code == 2 and "ntbbench.ab/1" in ran.err


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda saved: saved["runs"].pop(), "block: 20: each side once"),
        (lambda saved: saved["runs"][3]["values"].pop(), "values: 1: 2, one a metric"),
        (lambda saved: saved["runs"][3].update(values=[-1, 1]), "-1.0: zero, or a finite number"),
    ],
)
@pytest.mark.usefixtures("regressed")
def test_a_damaged_file_is_refused(ntbbench, change, told: str) -> None:
    saved = load("ab.json")
    change(saved)
    Path("ab.json").write_text(json.dumps(saved))
    for command in (["compare", "ab.json"], ["show", "ab.json"], ["ab", "--resume", "ab.json"]):
        ran = ntbbench(*command)
        assert ran.code == 2 and told in ran.err, command


def test_the_policy_of_a_run_is_kept(ntbbench) -> None:
    Path("p.toml").write_text('threshold = "150%"\n[[rule]]\npattern = "regex*"\nthreshold = 0.2\n')
    commands = ("--base", says(100), "--candidate", says(110), "--policy", "p.toml")
    assert ntbbench("ab", *commands, *QUICK, "-o", "r.json").code == 0
    assert load("r.json")["policy"]["rule"] == [{"pattern": "regex*", "threshold": 0.2}]
    shown = ntbbench("show", "r.json")
    assert shown.out.startswith(f"{PRINTS} equivalent: +10.00 %")
    assert ntbbench("ab", "--resume", "r.json", "--policy", "p.toml").code == 0


def test_a_machine_without_aslr_is_warned_of(ntbbench) -> None:
    noise = ab_result([]).noise
    noise[2] = type(noise[2])(name="ASLR", value="off", advice="turn it on")
    result = ab_result(drawn(9, 1.0), noise=noise, policy=Policy(test="sequential"))
    write_json(Path("r.json"), result)
    assert "ASLR is off" in ntbbench("show", "r.json").out
