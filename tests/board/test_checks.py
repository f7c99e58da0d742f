# SPDX-License-Identifier: BSD-3-Clause
"""What `board check` and `board plan` say of hosts that have this and lack that."""

import shutil
import subprocess
from importlib.resources import files
from typing import Any

import pytest
from fake_host import FakeHost

from ntbbench.board.checks import check_board_hosts
from ntbbench.board.plan_runs import planned
from ntbbench.board.settings import parsed
from ntbbench.board.survey import Survey, module_name, survey

SIDE = {"host": "local", "netdev": "eth1", "address": "192.0.2.1"}
READY = {
    **dict.fromkeys(("tool setsid", "tool tar", "tool gzip", "tool iperf3", "tool ethtool"), "yes"),
    "uid": "0", "kernel": "6.19.0", "machine": "aarch64", "clock": "100", "boot": "b1",
    "state": "up", "debugfs": "yes", "free": "60000", "most combined": "4",
    "channels combined": "4", "cpus": "0-1", "irq 40": "0-1",
}  # fmt: skip


def board(**changes: Any):
    return parsed({"rc": SIDE, "ep": SIDE, "variants": [{"name": "before"}], **changes}, "")


def found(changes: dict[str, str], lacks: tuple[str, ...] = (), **table: Any) -> dict[str, Any]:
    told = {key: value for key, value in {**READY, **changes}.items() if key not in lacks}
    one = Survey(told, {"pci-vntb:0": 40} if "irq 40" in told else {})
    ready = Survey({**READY, "boot": "b2"}, {"pci-vntb:0": 40})
    report = check_board_hosts(board(**table), {"rc": one, "ep": ready})
    return {one.what: one for one in report.findings if one.side in ("rc", "both")}


def test_a_board_that_lacks_nothing() -> None:
    findings = found({})
    assert {one.ready for one in findings.values()} == {"ok"}
    assert findings["machines"].told == "two machines"


@pytest.mark.parametrize(
    ("what", "ready", "remedy", "changes", "table"),
    [
        ("privileges", "missing", "root, or become", {"uid": "1000"}, {}),
        ("link", "missing", "ip link set eth1 up", {"state": "down"}, {}),
        ("room in /tmp", "missing", "4096 KiB", {"free": "12"}, {}),
        ("lock", "missing", "wait, or", {"owner": "12ab ada@here"}, {}),
        ("debugfs", "note", "mount -t debugfs", {"debugfs": ""}, {}),
        ("clocks", "note", "set the clocks", {"clock": "4000"}, {}),
        ("governor", "note", "how.governor", {"governor cpu0": "ondemand"}, {}),
        ("queues at most", "missing", "8 is asked for", {}, {"axes": {"queues": [8]}}),
        ("irqbalance", "missing", "start irqbalance", {}, {"axes": {"affinity": ["irqbalance"]}}),
        (
            "irqbalance", "missing", "stop irqbalance", {"irqbalance": "running"},
            {"axes": {"affinity": ["single"]}},
        ),
        ("tools", "missing", "install sockperf", {}, {"axes": {"programs": ["sockperf"]}}),
        (
            "module ntb_netdev", "missing", "restore.rc: modprobe would load BBB",
            {"loaded ntb_netdev": "yes", "module ntb_netdev": "AAA", "modprobe ntb_netdev": "BBB",
             "tool modinfo": "yes"},
            {"variants": [{"name": "a", "modules": ["/root/ntb_netdev.ko"]}]},
        ),
    ],
)  # fmt: skip
def test_each_lack_has_its_remedy(
    what: str, ready: str, remedy: str, changes: dict[str, str], table: dict[str, Any]
) -> None:
    one = found(changes, **table)[what]
    assert one.ready == ready
    assert remedy in one.remedy


def test_no_doorbell_line_matters_where_they_are_placed() -> None:
    assert found({}, lacks=("irq 40",))["doorbell lines"].ready == "note"
    placed = found({}, lacks=("irq 40",), axes={"affinity": ["single"]})
    assert placed["doorbell lines"].ready == "missing"


def test_a_plan_has_every_line_that_a_run_gives() -> None:
    """The lines of a whole session on a board that is a table are in the plan."""
    asked = board(
        axes={"queues": [2], "affinity": ["single", "found"]},
        how={"until": 2, "governor": "performance"},
        variants=[{"name": "a", "modules": ["/root/ntb_netdev.ko"]}],
    )
    now = {side: survey(FakeHost(side), asked) for side in ("rc", "ep")}
    lines = {one.command for one in planned(asked, 1, now).changes if one.side == "rc"}
    assert lines >= {
        "rmmod ntb_netdev",
        "insmod /root/ntb_netdev.ko",
        "modprobe ntb_netdev",
        "ethtool -L eth1 combined 2",
        "ethtool -L eth1 combined 4",
        "echo 0 > /proc/irq/40/smp_affinity_list",
        "echo 0-1 > /proc/irq/40/smp_affinity_list",
        "echo performance > /sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
        "echo schedutil > /sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
    }


@pytest.mark.parametrize("shell", [["dash"], ["busybox", "ash"]], ids=["dash", "busybox"])
@pytest.mark.parametrize("name", ["survey", "one_run/counters"])
def test_every_shell_tells_the_same(shell: list[str], name: str) -> None:
    """Keys, for the numbers move; busybox has programs of its own."""
    assert shutil.which("dash")
    script = files("ntbbench.board").joinpath(f"{name}.sh").read_text()
    told = [
        subprocess.run([*one, "-c", script, name, "lo"], capture_output=True, text=True, check=True)
        for one in (shell, ["/bin/sh"])
    ]
    keys = [
        [line.partition("\t")[0] for line in one.stdout.splitlines() if line[:5] != "tool "]
        for one in told
    ]
    assert keys[0] == keys[1]
    assert not told[0].stderr
    assert "kernel" in keys[0] or "uptime" in keys[0]


def test_a_module_has_the_name_that_the_kernel_gives_it() -> None:
    assert module_name("/lib/v4/ntb-hw-epf.ko.xz") == "ntb_hw_epf"
