# SPDX-License-Identifier: BSD-3-Clause
"""One run: a server, a client, the counters of both sides around them, a capture of each."""

import io
import re
import shlex
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from ntbbench.board.board_records import BoardCell, BoardMeasure
from ntbbench.board.hosts import (
    POLL,
    BoardInterrupted,
    CommandFailed,
    Done,
    Host,
    HostLost,
    Running,
    Stop,
    ended,
    last,
)
from ntbbench.board.one_run.built_in import Counters, ProgramOutput
from ntbbench.board.one_run.programs import SERVER_READY, numbers, program_of
from ntbbench.board.settings import SIDES, Board, BoardSide
from ntbbench.capture.ingest import RUNS, amplifications, ingest
from ntbbench.capture.latency_records import DELAY
from ntbbench.capture.records import Amplification, Measured
from ntbbench.capture.script import BEGUN, script_text
from ntbbench.core.clock import NS, monotonic, sleep
from ntbbench.core.errors import InputError

HERTZ = 100  # USER_HZ of /proc/stat on every architecture of Linux but alpha and ia64
PROBE = 0.5  # seconds until the flows of a start are told apart by the packets of the queues
BUSY = 0.05  # of the busiest queue: fewer packets are acknowledgements, or of others
SPARE = 20.0  # seconds that a client may take beside its run
# The script comes by stdin: dropbear takes no command of more than 9000 characters.
CAPTURE = (
    'script=$(head -c "$1") && export NTBBENCH_TRACE="$2" && '
    'exec /bin/sh -c "$script" capture.sh "$3" -'
)
SMALL = 1 << 24  # bytes of a capture, compressed
KINDS = ("system", "irq", "softirq")


@dataclass(frozen=True)
class RunNumbers:
    """What one run gave; the fields are those of BoardRun."""

    measures: list[BoardMeasure]
    command: str
    packets_per_queue: list[int]
    starts: int
    celsius: dict[str, float]
    megahertz: dict[str, float]
    cautions: list[str]


@dataclass(frozen=True)
class Capture:
    """Where the recording of a run goes, and whether it may have a trace, which takes time."""

    folder: Path
    traced: bool
    place: str  # the folder of the run on each host


def counters(host: Host, board: Board) -> dict[str, float]:
    """Return the counters of a host; exceptions as of `Host.run`."""
    script = files("ntbbench.board.one_run").joinpath("counters.sh").read_text(encoding="utf-8")
    words = ["/bin/sh", "-c", script, "counters", board.side(host.name).netdev]
    told = (line.partition("\t") for line in host.checked(shlex.join(words)).text.splitlines())
    return {key: float(value) for key, _, value in told if value}


def measured(
    board: Board, hosts: Mapping[str, Host], cell: BoardCell, capture: "Capture", stop: Stop
) -> RunNumbers:
    """Run a cell once; the recording has a folder a side.

    Raises
    ------
    HostLost, CommandFailed, BoardInterrupted : as of `Host.run`; nothing is left running.
    InputError : what the program printed has no number.
    """
    sender, receiver = cell.direction.split("-")
    program = program_of(board, cell)
    cautions: list[str] = []
    before, done, after, starts = _timed(board, hosts, cell, capture, stop)
    if done.code:
        raise CommandFailed(f"{sender}: {program.client:.80} exits {done.code}: {last(done)}")
    grown = {side: _grown(before[side], after[side]) for side in SIDES}
    queues = _queues(grown[sender])
    told = ProgramOutput(done.out.decode(errors="backslashreplace"), before, after)
    found = numbers(board, cell, told)
    found += _cpu(grown[sender], grown[receiver])
    found += doorbells(capture.folder / receiver, board.side(receiver), grown[receiver], cautions)
    if cell.flows > 1 and not _spread(queues, cell):
        cautions.append("the flows have not every queue that they could have")
    return RunNumbers(
        measures=found,
        command=program.client,
        packets_per_queue=queues,
        starts=starts,
        celsius=_most(after, "celsius", 1e3),
        megahertz=_most(after, "kilohertz", 1e3),
        cautions=cautions,
    )


def _timed(
    board: Board, hosts: Mapping[str, Host], cell: BoardCell, capture: "Capture", stop: Stop
) -> tuple[dict[str, dict[str, float]], Done, dict[str, dict[str, float]], int]:
    """Run server and client until the flows lie well, or as well as `placement` starts find.

    The kernel gives each connection a random hash (net_tx_rndhash() of 4.2 and later), whatever its
    ports are. So a start is a draw, and the counters of the queues tell how it fell.
    """
    sender, receiver = cell.direction.split("-")
    program, limit = program_of(board, cell), board.how.seconds + SPARE
    for start in range(1, board.how.placement + 1):
        with ExitStack() as stack:
            if program.server:
                stack.callback(ended, hosts[receiver].start(program.server, limit))
                _slept(SERVER_READY, stop)
            fetch = stack.enter_context(captured(hosts, stop, capture))
            before = {side: counters(hosts[side], board) for side in SIDES}
            client = hosts[sender].start(program.client, limit)
            stack.callback(ended, client)
            if cell.flows > 1 and start < board.how.placement:
                _slept(PROBE, stop)
                now = counters(hosts[sender], board)
                if client.poll() is None and not _spread(
                    _queues(_grown(before[sender], now)), cell
                ):
                    continue
            done = hosts[sender].wait(client, program.client, limit, stop)
            after = {side: counters(hosts[side], board) for side in SIDES}
            fetch(capture.folder)
            return before, done, after, start
    raise AssertionError("the last start is always taken")


def _spread(queues: Sequence[int], cell: BoardCell) -> bool:
    """Tell whether the flows have as many queues as they can, where the queues count at all."""
    busiest = max(queues, default=0)
    used = sum(count > busiest * BUSY for count in queues)
    return used >= min(cell.flows, cell.queues or len(queues), len(queues))


def _slept(seconds: float, stop: Stop) -> None:
    until = monotonic() + seconds * NS
    while monotonic() < until and not stop():
        sleep(POLL)


def _grown(before: Counters, after: Counters) -> dict[str, float]:
    same = (key for key in after if key in before)
    found = {key: after[key] - before[key] for key in same}
    return found | {key: value for key, value in after.items() if key.startswith("celsius")}


def _queues(grown: Counters) -> list[int]:
    found = {int(k.split()[1], 16): int(v) for k, v in grown.items() if k.startswith("queue ")}
    return [found[queue] for queue in sorted(found)]


def _most(after: Mapping[str, Counters], kind: str, scale: float) -> dict[str, float]:
    found = {
        side: [value / scale for key, value in told.items() if key.startswith(kind)]
        for side, told in after.items()
    }
    return {side: round(max(values), 1) for side, values in found.items() if values}


def _cpu(sender: Counters, receiver: Counters) -> list[BoardMeasure]:
    """Return the CPU time of the kernel per packet that arrived, and its kinds."""
    packets = receiver.get("rx_packets", 0)
    found = []
    for name, grown in (("sender", sender), ("receiver", receiver)):
        kinds = {kind: grown.get(f"cpu {kind}", 0) / HERTZ for kind in KINDS}
        if packets > 0:
            whole = sum(kinds.values()) / packets
            found.append(BoardMeasure(name=f"{name} CPU", unit="s/packet", value=whole))
            found += [
                BoardMeasure(name=f"{name} {kind}", unit="s/packet", value=seconds / packets)
                for kind, seconds in kinds.items()
            ]
    return found


def own_counts(read: Measured, side: BoardSide, device: str) -> Measured:
    """Return what a capture has of one NTB device: a host may have two, as both ends of one link.

    A trace tells no device, so that of two there are counters alone.

    Parameters
    ----------
    device : that of the side's network device; empty: not known, all are taken for it.
    """
    if not device or {qp.device for qp in read.qps} <= {device}:
        return read
    lines = [
        irq
        for irq in read.interrupts
        if irq.device in ("", device)
        if not side.irqs or re.search(side.irqs, f"{irq.chip} {irq.action}")
    ]
    own = Measured(
        interrupts=lines,
        qps=[qp for qp in read.qps if qp.device == device],
        errors=read.errors,
    )
    amplifications(own, "")
    return own


def doorbells(
    folder: Path, side: BoardSide, grown: Counters, cautions: list[str]
) -> list[BoardMeasure]:
    """Return interrupts, amplification with its bounds, and latency, of the receiver's capture."""
    if not folder.is_dir():
        return []
    device = next((key.partition(" ")[2] for key in grown if key.startswith("device ")), "")
    read = own_counts(ingest([folder]), side, device)
    cautions += read.errors
    packets = grown.get("rx_packets", 0)
    totals = [irq.total for irq in read.interrupts if irq.is_doorbell and irq.total is not None]
    found = []
    if totals and packets > 0:
        rate = sum(totals) / packets
        found.append(BoardMeasure(name="doorbell interrupts", unit="1/packet", value=rate))
    rows = {row.quantity: row for row in reversed(read.amplification)}  # a trace's come first
    for row in rows.values():
        found += _amplified(row)
    for one in read.run_times:
        if one.what == DELAY:
            found += [
                BoardMeasure(name=f"{DELAY} p50", unit="s", value=one.p50_low),
                BoardMeasure(name=f"{DELAY} p99", unit="s", value=one.p99_low),
            ]
    return found


def _amplified(row: Amplification) -> Iterator[BoardMeasure]:
    name = "amplification" if row.quantity == RUNS else "effective amplification"
    yield BoardMeasure(name=name, unit="", value=row.low)
    if row.high is not None:
        yield BoardMeasure(name=f"{name} at most", unit="", value=row.high)


@contextmanager
def captured(
    hosts: Mapping[str, Host], stop: Stop, capture: Capture
) -> Iterator[Callable[[Path], None]]:
    """Record both sides, and yield what ends that and fetches it.

    On the board the script of `capture --print-script` runs. Its folder comes back compressed and
    is removed there.
    """
    running: dict[str, Running] = {}

    def fetch(folder: Path) -> None:
        for side, one in running.items():
            one.end_input()
            done = hosts[side].wait(one, "capture", SPARE, stop)
            if done.code:
                raise CommandFailed(f"{side}: capture: {last(done)}")
            _fetch(hosts[side], f"{capture.place}/{side}", folder / side)

    with ExitStack() as stack:
        script = script_text().encode()
        words = ["/bin/sh", "-c", CAPTURE, "sh", str(len(script)), "" if capture.traced else "no"]
        for side, host in hosts.items():
            place = f"{capture.place}/{side}"
            stack.callback(_removed, host, place)
            running[side] = host.launch([*words, place], script)
            stack.callback(ended, running[side])
        for side, one in running.items():
            _wait_begun(side, one, stop)
        yield fetch


def _removed(host: Host, place: str) -> None:
    try:
        host.run(f"rm -rf {place}")
    except HostLost:
        return  # the folder of the run holds it, and goes with the lock


def _wait_begun(side: str, running: Running, stop: Stop) -> None:
    begun = monotonic()
    while running.begun() != BEGUN:
        done = running.poll()
        if done is not None:
            raise CommandFailed(f"{side}: capture: {last(done)}")
        if stop():
            raise BoardInterrupted
        if monotonic() - begun > SPARE * NS:
            raise CommandFailed(f"{side}: capture: it has not begun")
        sleep(POLL)


def _fetch(host: Host, place: str, folder: Path) -> None:
    """Unpack a folder of the host; InputError: it is no archive, or much too large."""
    packed = host.checked(f"tar -cf - -C {place} . | gzip -c").out
    if len(packed) > SMALL:
        raise InputError(f"{host.name}: capture", len(packed), f"at most {SMALL} bytes")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as archive:
            archive.extractall(folder, filter="data")
    except tarfile.TarError as error:
        raise InputError(f"{host.name}: capture", str(error), "an archive of tar") from error
