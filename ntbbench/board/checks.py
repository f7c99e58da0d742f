# SPDX-License-Identifier: BSD-3-Clause
"""What a board has and lacks for its board.toml, a line each with the remedy: it only reads."""

from collections.abc import Iterator, Mapping

from ntbbench.board.board_records import BoardCheck, BoardFinding, Ready
from ntbbench.board.keys import FOUND, IRQBALANCE
from ntbbench.board.one_run.built_in import BUILT_IN
from ntbbench.board.settings import SIDES, Board
from ntbbench.board.survey import Survey, module_name

SKEW = 2  # seconds between the clocks, which captures on both sides are laid together by
SPACE = 1 << 12  # KiB of /tmp for captures
NEEDED = ("setsid", "tar", "gzip")
PERFORMANCE = "performance"


def check_board_hosts(board: Board, now: Mapping[str, Survey]) -> BoardCheck:
    """Return every finding, of rc, ep and both."""
    findings = [found for side in SIDES for found in _of_side(board, side, now[side])]
    return BoardCheck(findings=[*findings, *_of_both(now)])


def _found(
    side: str, what: str, told: str, remedy: str = "", *, ready: Ready = "missing"
) -> BoardFinding:
    return BoardFinding(
        side=side, what=what, told=told, remedy=remedy, ready=ready if remedy else "ok"
    )


def _of_side(board: Board, side: str, now: Survey) -> Iterator[BoardFinding]:
    yield _found(side, "kernel", f"{now.get('kernel')} {now.get('machine')}")
    is_root = now.get("uid") == "0"
    remedy = 'root, or become = "sudo -n"'
    yield _found(side, "privileges", f"uid {now.get('uid')}", "" if is_root else remedy)
    yield from _tools(board, side, now)
    yield from _clients(board, side, now)
    yield from _link(board, side, now)
    yield from _modules(board, side, now)
    yield from _interrupts(board, side, now)
    debugfs = "yes" if now.get("debugfs") else "not to be seen"
    remedy = "" if now.get("debugfs") else "mount -t debugfs none /sys/kernel/debug: no QP is told"
    yield _found(side, "debugfs", debugfs, remedy, ready="note")
    yield _governor(board, side, now)
    told = now.get("free")
    free = f"{told} KiB" if told else "not told: df knows no mount of it"  # a root in memory
    remedy = "" if int(told or 0) >= SPACE else f"{SPACE} KiB for captures"
    yield _found(side, "room in /tmp", free, remedy, ready="missing" if told else "note")
    if owner := now.get("owner").partition(" ")[2]:
        yield _found(side, "lock", f"held by {owner}", "wait, or board restore of that run")


def _tools(board: Board, side: str, now: Survey) -> Iterator[BoardFinding]:
    tools = [*NEEDED, *(tool for name in board.axes.programs for tool in BUILT_IN[name].tools)]
    tools += ["ethtool"] if board.axes.queues else []
    tools += ["modinfo"] if any(variant.modules for variant in board.variants) else []
    lacking = [tool for tool in dict.fromkeys(tools) if not now.has(tool)]
    told = f"no {', '.join(lacking)}" if lacking else ", ".join(dict.fromkeys(tools))
    yield _found(side, "tools", told, f"install {' '.join(lacking)}" if lacking else "")


def _clients(board: Board, side: str, now: Survey) -> Iterator[BoardFinding]:
    """Yield the test drivers that a program reads in debugfs; a variant may load them."""
    loads = any(variant.modules or getattr(variant, side) for variant in board.variants)
    for client in filter(None, (BUILT_IN[name].client for name in board.axes.programs)):
        there = now.get(f"client {client}")
        remedy = "" if there else f"load {client}: it takes the device from ntb_transport"
        ready: Ready = "note" if loads else "missing"
        yield _found(side, client, "loaded" if there else "not in debugfs", remedy, ready=ready)


def _link(board: Board, side: str, now: Survey) -> Iterator[BoardFinding]:
    netdev, state = board.side(side).netdev, now.get("state")
    remedy = "" if state in ("up", "unknown") else f"load its driver; ip link set {netdev} up"
    driver = f", driver {now.get('driver')}" if now.get("driver") else ""
    yield _found(side, "link", f"{netdev} {state or 'is not there'}{driver}", remedy)
    most = {kind: int(value) for kind, value in now.group("most").items()}
    wanted = max(board.axes.queues, default=0)
    if wanted:
        enough = any(value >= wanted for value in most.values())
        told = ", ".join(f"{kind} {value}" for kind, value in most.items()) or "not told"
        remedy = "" if enough else f"queues of at most that: {wanted} is asked for"
        yield _found(side, "queues at most", told, remedy)
    qps = [name for names in now.group("transport").values() for name in names.split()]
    if qps:
        yield _found(side, "QPs", ", ".join(qps))


def _modules(board: Board, side: str, now: Survey) -> Iterator[BoardFinding]:
    names = [module_name(path) for variant in board.variants for path in variant.modules]
    for name in dict.fromkeys(names):
        there, would = now.get(f"module {name}"), now.get(f"modprobe {name}")
        if name not in now.group("loaded"):
            yield _found(side, f"module {name}", "not loaded: it is removed at the end")
        else:
            same = there == would and there
            remedy = f"restore.{side}: modprobe would load {would or 'none'} at the end"
            yield _found(
                side,
                f"module {name}",
                f"srcversion {there or 'not told'}",
                "" if same or getattr(board.restore, side) else remedy,
            )


def _interrupts(board: Board, side: str, now: Survey) -> Iterator[BoardFinding]:
    placed = [affinity for affinity in board.axes.affinity if affinity != FOUND]
    polls = "pci_epf_vntb" in now.group("loaded")
    told = ", ".join(now.lines) or "none of NTB in /proc/interrupts"
    remedy = "the driver loaded, or irqs = the name of its lines"
    remedy = "none where pci_epf_vntb polls: nothing is placed" if polls else remedy
    ready: Ready = "missing" if placed and not polls else "note"
    yield _found(side, "doorbell lines", told, "" if now.lines else remedy, ready=ready)
    is_running = bool(now.get("irqbalance"))
    remedy = ""
    if is_running and placed and not now.has("systemctl"):
        remedy = "stop irqbalance: without systemd it is not stopped and started from here"
    elif IRQBALANCE in placed and not is_running:
        remedy = "start irqbalance, or leave out that affinity"
    yield _found(side, "irqbalance", "running" if is_running else "not running", remedy)


def _governor(board: Board, side: str, now: Survey) -> BoardFinding:
    found = set(now.group("governor").values())
    moves = bool(found) and found != {PERFORMANCE} and not board.how.governor
    remedy = f'how.governor = "{PERFORMANCE}" sets it for the run' if moves else ""
    return _found(side, "governor", ", ".join(sorted(found)) or "no cpufreq", remedy, ready="note")


def _of_both(now: Mapping[str, Survey]) -> Iterator[BoardFinding]:
    clocks = [int(now[side].get("clock") or 0) for side in SIDES]
    skew = abs(clocks[0] - clocks[1])
    remedy = "set the clocks; no result depends on them" if skew > SKEW else ""
    yield _found("both", "clocks", f"{skew} s apart", remedy, ready="note")
    same = now["rc"].get("boot") == now["ep"].get("boot")
    told = "two ends of one machine: CPU times are of both" if same else "two machines"
    yield _found("both", "machines", told)
