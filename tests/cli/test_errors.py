# SPDX-License-Identifier: BSD-3-Clause
"""Bad input of every command: one line that names it, exit code 2, nothing printed or written."""

import shlex
import sys
from pathlib import Path

import children
import pytest
from captures import FOUR
from compare_data import changed, pyperf, pytest_benchmark, runs_csv, samples, sweep, written
from golden_cases import INPUTS
from rendered import rendered
from report_records import result

from ntbbench.cli.main import main
from ntbbench.core.result_file import write_json
from ntbbench.pair.setting import Setting
from ntbbench.pair.verdict import compat

TEXTS = {
    "full/file": "",
    "s.toml": "[device.mine]\ndoorbells = 4\n",
    "bad.toml": "queues = ",
    "typo.toml": "queue = [1]",
    "range.toml": "drain = 0",
    "digits.toml": f"[receiver]\ncpus = {'9' * 5000}\n",
    "empty.json": "",
    "text.json": "hello",
    "list.json": "[1, 2]",
    "no-schema.json": '{"points": []}',
    "cut.json": '{"schema": "ntbbench.sweep/1", "points": [',
    "later.json": '{"schema": "ntbbench.sweep/2", "points": []}',
    "foreign.json": '{"schema": "someone.else/1"}',
    "replay.json": '{"schema": "ntbbench.replay/1"}',
    "damaged.json": '{"schema": "ntbbench.sweep/1", "points": 3}',
    "no-ntb.json": '{"schema": "ntbbench.measured/1"}',
    "rings.csv": "0.0,1\n",
    "half/point": "vectors=0\n",
}
SIZES = "a whole number from 1 to 64"
# Words of a command and, behind an arrow, what its line says; `...` stands for anything between.
ERRORS = {
    "capture": """
        => -o: 'not given'
        -o full => not empty
        -o full/file => no folder
        -o full/file/x => cannot be made
        -o x --seconds -1 => --seconds
        -o x --seconds 86401 => --seconds
        -o x --print-script => alone
    """,
    "ingest": """
        none => none
        empty -o m.json => empty
    """,
    "explain": """
        none.json => none.json
        full => what `ntbbench ingest full -o measured.json` writes
        text.json => text.json
        damaged.json => damaged.json
        half.json => half.json
        masks.json => 0xfffg
        no-ntb.json => nothing to explain
        trace.json => --hardware
    """,
    "replay": """
        none => no such folder
        rings.csv => ntbbench sweep --workload log:rings.csv
        empty => holds no recording
        half => 'trace': no such file
    """,
    "schema": """
        lap => did you mean lab?
    """,
    "show": """
        none.json => 'none.json': No such file
        empty.json => 'empty.json' ... not whole JSON
        cut.json => 'cut.json' ... not whole JSON
        list.json => 'list.json' ... a JSON object with a schema
        no-schema.json => 'no-schema.json' ... a JSON object with a schema
        later.json => later.json ... known: ntbbench.ab/1, ... ntbbench.sweep/1
        foreign.json => foreign.json ... known: ntbbench.ab/1, ... ntbbench.sweep/1
        damaged.json => damaged.json ... damaged
        circle --html page.html => Too many levels of symbolic links
        sweep.json --format mad => did you mean md
        sweep.json --html none/x.html => none/x.html
        sweep.json --html sweep.json => --html
        ep-8.json => each direction, EP and RC once
        per-queue.json => 'per-queue': a verdict or a hazard
    """,
    "gate": """
        => '': a base and at least one candidate
        sweep.json => 'sweep.json': a base and at least one candidate
        sweep.json sweep.json --alpha 2 => alpha
        sweep.json sweep.json --alpha wide => --alpha
        sweep.json sweep.json --write pdf=x => pdf
        sweep.json sweep.json --resamples 1 => --resamples
        sweep.json sweep.json --test welsh => did you mean welch?
        sweep.json sweep.json --format junits => did you mean junit?
        sweep.json sweep.json --force ' ' => --force
        sweep.json negative.json => :wakeups: -1: a count
        sweep.json replay.json => ntbbench.replay/1
        later.json later.json => ntbbench.sweep/2
        pyperf.json bytes.json => unit of 'bench'
        pyperf.json fewer.json --paired => --paired
        tiny.json tiny.json => 1e-75 to 1e75
        --runs runs.csv --policy none.toml => --policy: 'none.toml': No such file or directory
        --runs runs.csv --raw => --raw: '--format text': goes with --format mail only
        --runs none.csv => none.csv
        --runs full => full
        --runs /dev/zero => input: '/dev/zero': a file or a pipe, no device
        /dev/zero /dev/zero => input: '/dev/zero': a file or a pipe, no device
        pyperf.json fewer.json --html . => --html: '.'
        pyperf.json fewer.json --html none/x => --html: 'none/x'
        pyperf.json fewer.json --write md=. => --write: '.'
        pyperf.json fewer.json --write md=none/x => --write: 'none/x'
    """,
    "history": """
        check --store none.sqlite => none.sqlite
        check --store sweep.json => sweep.json
        show --store history.sqlite --html history.sqlite => this one is an input
        add sweep.json --commit c --store none/s.sqlite => 'none/s.sqlite': cannot be written
        add sweep.json --commit '' --store s.sqlite => --commit: ''
    """,
    "calibrate": """
        --rounds 1 => --rounds
        --rounds 4 --command true => {output}
        --rounds 4 --command "'" => --command
    """,
    "fit -o board.toml": """
        => one of --throughput, --iperf3
        --throughput 583e6,584e6 --error 0.1 => --error: '0.1'
        --throughput 1e9 --iperf3 x.json => either --throughput or --iperf3
        --throughput 0 => --throughput: '0'
        --throughput fast => --throughput: 'fast'
        --throughput 1e13 => which the other costs allow
        --throughput 1 => at least
        --throughput 1e9 --packet 0 => --packet
        --throughput 1e9 --flows '' => --flows: '': a whole number from 1 to 512
        --throughput 1e9 --error 2 => a share from 0 to 1
        --throughput 1e9 --set receiver.bite=1 => did you mean receiver.byte?
        --throughput 1e9 --set x=1 => all: ntbbench simulate --keys
        --throughput 1e9 --protocol udp --packet 70000 => above the MTU
        --iperf3 none.json => --iperf3: 'none.json': runs of iperf3 -J, alike:
        --iperf3 /dev/null => --iperf3: '/dev/null': runs of iperf3 -J, alike:
        --throughput 1e9 --direction reverse => goes with --iperf3 only
        --throughput 1e9 --protocol sctp => known: tcp, udp
        --throughput 1e9 --html board.toml => --html: 'board.toml'
    """,
    "lab": """
        run --vectors 17 => ntbbench: --vectors: 17: a whole number from 0 to 16
        run --vectors x => ntbbench: --vectors: 'x': a whole number from 0 to 16
        run --queues 15 => ntbbench: --queues: '15': a whole number from 1 to 14
        run --queues 2 --senders 2 => ntbbench: --senders: 2: a whole number from 0 to 1
        run --db-read latch => ntbbench: --db-read: 'latch': unknown; did you mean latched?
        run --order turns => ntbbench: --order: 'turns': unknown; did you mean turn?
        run --gap -1 => ntbbench: --gap: '-1': a whole number from 0 to 1000000
        run --packets 0 => ntbbench: --packets: '0': a whole number from 1 to 100000
        run --packets 100000 => ntbbench: --packets: 100000: at most
        run --flows 4 => ntbbench: --flows: '4': an option of --client netdev only
        run --client netdev --senders 0 => --senders: '0': an option of --client lab only
        run --client netdev --gap 100 => --gap: '100': a whole number from 700 to 100000
        netdev --gap 100 => ntbbench: --gap: '100': a whole number from 700 to 100000
        netdev --flows 65 => ntbbench: --flows: '65': a whole number from 1 to 64
        netdev --queues 0 => ntbbench: --queues: '0': a whole number from 1 to 14
        netdev --vectors 17 => ntbbench: --vectors: 17: a whole number from 0 to 16
        run --kernel 6.12 => ntbbench: --kernel: '6.12': debian:VERSION
        run --image bzImage => ntbbench: --image: 'bzImage': goes together with --kbuild
        run --image x --kbuild . --kernel debian:6.12 => --kernel: 'debian:6.12': not with
        run --image x --kbuild . => ntbbench: --image: 'x': a kernel's bzImage
        netdev --source . => ntbbench: --source: '.': a kernel tree with drivers/ntb/core.c
        run -o none/x.json => ntbbench: output: 'none/x.json': cannot be written
        run --format mad => ntbbench: --format: 'mad': unknown; did you mean md?
        pair run --source . => --source: '.': a kernel tree with
        pair run --require per-vector --gap 0 => a --gap of 700 us or more, not 0
        pair run --require per-vector --mw-count 1 => two QPs or more, not the one of --mw-count 1
        pair run --require per-vector --queues 1 => two QPs or more, not the one of --queues 1
        pair run --ep-driver before --ep-patches 1-7 => none, which `before` stands for
        pair run --ep-driver after --ep-patches 1-6 => full, which `after` stands for
        pair run --ep-patches 8 => --ep-patches: '8': none, full, or patches of 1-7
        pair matrix --ep-slots 3-33 => --ep-slots: 33: a whole number from 0 to 32
        pair matrix --mw-count 1-3 => --mw-count: 3: a whole number from 1 to 2
        pair matrix --jobs 65 => --jobs: '65': a whole number from 1 to 64
        pair matrix --exhaustive --ep-slots 5 => --ep-slots: '5': not with --exhaustive
    """,
    "hardware": f"""
        ntb_hw_epf => did you mean ntb_hw_epf-v4?
        generic --doorbells 65 => --doorbells: '65': {SIZES}
        generic --vectors x => --vectors: 'x': {SIZES}
        generic --mw-count -1 => --mw-count: '-1'
        generic --max-num-clients x => --max-num-clients: 'x'
        --doorbells 0 => --doorbells: '0'
        ntb_hw_epf-v4 --doorbells 32 => takes a db_count from 3 to 31, not 32 (EINVAL)
        x --device x:shift=3 => device x: 'doorbells'
        --device x:doorbells=3 --device x:doorbells=4 => 'x': each device once
        --scenario s.toml --device mine:doorbells=3 => 'mine': each device once
        --scenario none.toml => scenario: 'none.toml': No such file
    """,
    "": """
        compat --ep-slots 0 => --ep-slots: '0': a whole number from 3 to 32
        compat --ep-slots 33 => from 3 to 32
        patches --ep-slots 2 => from 3 to 32
        doorbell --ep 0 --rc 0 --bits 0 --ep-slots 33 => from 3 to 32
        compat --ep-slots 1e3 => whole number
        compat --rc-vectors 3 => from 4 to 32
        compat --rc-vectors 33 => from 4 to 32
        compat --doorbell pol => did you mean poll?
        compat --mw-count 5 => from 1 to 4
        compat --mw-count 0 => from 1 to 4
        compat --explain 8/0 => EP/RC
        compat --explain 70 => EP/RC
        compat --explain 0/0 --exhaustive => --explain
        compat -o c.txt --html c.txt => another file
        patches --seed x => whole number
        doorbell --ep 8 --rc 0 --bits 0 => 0..7
        doorbell --ep set:13 --rc 0 --bits 0 => 1..7
        doorbell --ep 7 --rc 5 --bits 6 --direction ep-to-rc => db_valid_mask 0x3f
        doorbell --ep 7 --rc 5 --bits 14 --direction rc-to-ep => -EINVAL
        doorbell --ep 0 --rc 5 --bits 7 --ep-slots 20 --rc-vectors 8 => -EINVAL: MSI 10 of 8
        doorbell --ep 7 --rc 5 --bits 64 => 0..63
        doorbell --ep 7 --rc 5 --bits 0 --direction both-ways => did you mean both?
        doorbell --ep 7 --rc 5 --bits 0 --irqs odd => known: contiguous, scattered
        compat -o none/file => No such file
    """,
    "simulate -o result.json": """
        --preset rcar => preset: 'rcar': unknown
        x.toml --preset generic => not both
        none.toml => none.toml
        digits.toml => scenario: digits.toml: '99999999...': numbers of fewer than 300 digits
        --queues 0 => --queues
        --queues 1,1000 => --queues
        --dispatch pervector => did you mean per-vector?
        --affinity 9 => --affinity
        --protocol sctp => known: tcp, udp
        --protocol tcp,tcp => --protocol: 'tcp': every value once
        --placement random => --placement
        --replications -1 => --replications
        --set receiver.hardirk=1us => did you mean receiver.hardirq?
        --set hardirk=1us => did you mean receiver.hardirq?
        --set x=1 => --set: key: 'x': unknown; all: ntbbench simulate --keys
        --set sender.hardirq=1us => did you mean receiver.hardirq?
        --set cpu=3 => did you mean sender.cpus or receiver.cpus?
        --set queues=3 => queues is an option: --queues; all: ntbbench simulate --keys
        --set queuse=3 => 'queuse': unknown; did you mean --queues? all: ntbbench simulate --keys
        --set receiver.packet=9s => --set receiver.packet: '9s'
        --set hz=3 => --set device.hz: '3'
        --set run.seed=3 --seed 2 => --set: 'run.seed=3': not together with --seed
        --set seed=3 --seed 2 => --set: 'seed=3': not together with --seed
        --set cpus=3 => one of sender.cpus, receiver.cpus
        --set hardirq => section.key=value
        --set receiver.hardirq=-2us => '-2us': 0 to 0.1 s, or a text like '1.5us'
        --set device.window_size=0 => '0': whole B from 1 to 4294967296, also KiB, MiB, GiB, kB
        --set traffic.rate=-1 => '-1': whole bit/s from 0 to 10000000000000, also kbit/s, Mbit/s
        --engine genral => --engine: 'genral': unknown; did you mean general?
        --jobs many => --jobs: 'many': a whole number from 0 to 1024
        --backend dask => --backend: 'dask': together with --scheduler ADDRESS
        --scheduler x:1 => --scheduler: 'x:1': together with --backend dask
        --format xml => --format
        --resume none.json => none.json
        --html none/x.html => none
        --timeline none/x.json => none
        --timeline result.json => --timeline: 'result.json': another file than
        --html result.json => --html: 'result.json': another file than
        --html x --timeline x => --timeline: 'x': another file than
        --preset rcar-s4-spider --queues 5 --timeline t.json => give: ENOSPC: 5 queues
        -o '' => '
    """,
    "sweep --interrupts 300 --repeats 0": f"""
        --queues 0 => --queues: 0: a whole number from 1 to 1024
        --queues 4-2 => --queues: '4-2':
        --queues '' => --queues: '':
        --queues 1e3 => --queues: '1e3':
        --queues=-1 => --queues: '-1':
        --doorbells 65 => --doorbells: 65: ... 64
        --vectors x => --vectors: 'x':
        --hardware ntb_hw_epf-v5 => hardware: 'ntb_hw_epf-v5': ... ntb_hw_epf-v4
        --hardware '' => hardware: '': unknown
        --hardware generic,generic => hardware: 'generic': every value once
        --dispatch per_vector => dispatch: 'per_vector': ... per-vector
        --workload unifrom => workload: 'unifrom': ... uniform
        --workload hot:share=2 => share: '2':
        --workload log:none.csv => log: 'none.csv': No such file
        --interrupts 0 => --interrupts: '0': a whole number from 1 to 1000000000
        --interrupts many => --interrupts: 'many':
        --seed=-1 => --seed: '-1':
        --seed {2**64} => --seed: '{2**64}':
        --repeats 1001 => --repeats: '1001':
        --jobs=-2 => --jobs: '-2':
        --mw-count 1.5 => --mw-count: '1.5':
        --max-num-clients x => --max-num-clients: 'x':
        --drain 0 => --drain: '0':
        --device board => device: 'board': NAME:key=value
        --device generic:doorbells=3 => device: 'generic':
        --device a:doorbells=3 --device a:doorbells=4 => --device: ... once
        --format xml => --format: 'xml': ... json
        -o none/r.json => output: 'none/r.json': cannot be written: No such file
        -o . => output: '.': cannot be written: Is a directory
        --html none/r.html => --html: 'none/r.html': cannot be written: No such file
        -o same --html same => --html: 'same': another file than the result's
        --write md=same --write csv=./same => --write: 'same': another file than --write's
        -o same --write csv=./same => --write: 'same': another file than the result's
        none.toml => scenario: 'none.toml': No such file
        bad.toml => scenario: 'bad.toml': not TOML
        typo.toml => scenario 'typo.toml': key: 'queue': ... queues
        range.toml => scenario 'range.toml': drain: 0:
        --resume none.json => result file: 'none.json': No such file
        --resume . => result file: '.': Is a directory
        --resume cut.json => result file: 'cut.json': ... not whole JSON
        --resume list.json => result file: 'list.json': a result of ntbbench
        --resume later.json => later.json: 'ntbbench.sweep/2': schema 'ntbbench.sweep/1'
        --resume typo.json => scenario 'typo.json': key: 'queue': ... queues
    """,
}
ONE_BOOT = """
    --ep-slots 33 => --ep-slots: '33': a whole number from 0 to 32
    --mw-count 3 => --mw-count: '3': a whole number from 1 to 2
    --mw-count 0 => --mw-count: '0':
    --record full => --record: 'full': a new or an empty folder
"""
ANY_PAIR = """
    --queues many => --queues: 'many':
    --doorbell smoke => --doorbell: 'smoke': unknown
    --direction up => --direction: 'up':
    --flows 0 => --flows: '0':
    --packets -1 => --packets
    --gap soon => --gap: 'soon':
    --format pdf => --format
    -o no/such/folder.json => cannot be written
    --html no/such/page.html => --html: 'no/such/page.html': cannot be written
"""
ERRORS |= {
    "hardware --audit": ERRORS["hardware"],
    "lab pair run": ANY_PAIR + ONE_BOOT,
    "lab pair check": ANY_PAIR + ONE_BOOT,
    "lab pair matrix": ANY_PAIR,
}


ROWS = [
    f"{command} {line.strip()}"
    for command, text in ERRORS.items()
    for line in text.splitlines()
    if line.strip()
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the rows name. No row may write, so all of them can have the same folder."""
    made = tmp_path_factory.mktemp("inputs")
    for name, text in TEXTS.items():
        (made / name).parent.mkdir(exist_ok=True)
        (made / name).write_text(text)
    (made / "empty").mkdir()
    (made / "circle").symlink_to("circle")
    (made / "sweep.json").write_bytes((INPUTS / "sweep-base.json").read_bytes())
    (made / "history.sqlite").write_bytes((INPUTS / "history.sqlite").read_bytes())
    measured = (INPUTS / "measured.json").read_text()
    (made / "half.json").write_text(measured[:2000])
    (made / "masks.json").write_text(measured.replace('"0xffff"', '"0xfffg"'))
    assert main(["ingest", str(FOUR / "trace"), "-o", str(made / "trace.json")]) == 0
    matrix = rendered(compat(Setting(), None), "json")
    (made / "ep-8.json").write_text(matrix.replace('"ep": 7', '"ep": 8'))
    (made / "per-queue.json").write_text(matrix.replace("per-vector", "per-queue"))
    write_json(made / "typo.json", result([], scenario={"queue": [1]}, complete=False))
    written(made / "negative.json", changed(sweep(), 0, wakeups=-1))
    tiny = pytest_benchmark(1, 3)
    tiny["benchmarks"][0]["stats"]["data"][1] = 1e-320
    written(made / "tiny.json", tiny)
    written(made / "pyperf.json", pyperf())
    other = {"cpu_model_name": "Example 2", "unit": "second"}
    written(made / "fewer.json", pyperf(processes=9) | {"metadata": other})
    written(made / "bytes.json", pyperf() | {"metadata": other | {"unit": "byte"}})
    runs_csv(made / "runs.csv", {"a": samples(1, 8), "b": samples(2, 8)})
    return made


def tree() -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in Path.cwd().rglob("*") if path.is_file()}


@pytest.mark.parametrize("row", ROWS)
def test_bad_input_is_one_line(row: str, folder: Path, lab, monkeypatch, capfd) -> None:
    """And boots nothing; where environments differ too, it goes before them."""
    monkeypatch.chdir(folder)
    words, _, said = row.partition("=> ")
    before = tree()
    try:
        code = main(shlex.split(words))
    except SystemExit as error:
        code = error.code
    out, err = capfd.readouterr()
    (line,) = err.splitlines()
    assert (code, out) == (2, "")
    assert line.startswith("ntbbench: ") and all(part in line for part in said.split(" ... "))
    assert tree() == before and lab.plans == []


def test_a_missing_package_is_named(tmp_path: Path) -> None:
    """On a board where only numpy and msgspec are there."""
    script = (
        "import sys; sys.modules['hdrh'] = None; from ntbbench.cli.main import main; "
        "sys.exit(main(['simulate', '--queues', '1']))"
    )
    ran = children.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    told = "this needs the package hdrhistogram, which is not installed: pip install hdrhistogram"
    assert (ran.returncode, ran.stderr) == (2, f"ntbbench: {told}\n")
