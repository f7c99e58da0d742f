# SPDX-License-Identifier: BSD-3-Clause
"""What the lab says: options it refuses, guests it gives up, reports in every format."""

import base64
import csv
import errno
import io
import json
import os
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from recordings import PER_VECTOR, copy, one_qp_too_many, without
from rendered import rendered

from ntbbench.cli.main import main
from ntbbench.core.errors import InputError
from ntbbench.lab.lab_errors import BuildError, GuestError
from ntbbench.lab.loopback.evaluate import evaluate
from ntbbench.lab.loopback.records import LabPoint, LabResult
from ntbbench.lab.machine.console import complaints, hung_words, last_words
from ntbbench.lab.machine.guest_task import PointPlan, unpack
from ntbbench.lab.machine.qemu import Boot
from ntbbench.lab.packages.cache import Cache
from ntbbench.lab.packages.modules import Kernel
from ntbbench.lab.packages.tree import build_tree

# What a guest printed whose doorbell callback called BUG().
PANIC = """\
[    5.010203] ------------[ cut here ]------------
[    5.010204] kernel BUG at ntb_transport.c:2540!
[    5.010305] Oops: invalid opcode: 0000 [#1] PREEMPT SMP NOPTI
[    5.010405] RIP: 0010:ntb_transport_doorbell_callback+0x14/0x150 [ntb_transport]
[    5.010505] RIP: 0010:usleep_range_state+0x10/0x80
[    5.010605] Kernel panic - not syncing: Fatal exception in interrupt
[    5.010705] Rebooting in 1 seconds..
"""
POINT = LabPoint(
    name="vectors-2-latched",
    vectors=2,
    db_read="latched",
    queues=2,
    sending_qps=[0, 1],
    order="turn",
    gap_us=0,
    packets=10,
    doorbells_rung=20,
    events=19,
    events_per_vector={"0": 10, "1": 9},
    tasklet_schedules=38,
    predicted_tasklet_schedules=40,
    packets_received=20,
    runs_per_qp=[20, 18],
    predicted_runs_per_qp=[20, 20],
    difference_per_qp=[0, -2],
    least_runs_per_qp=[1, 1],
    most_runs_per_qp=[20, 20],
    spaced=False,
    agrees=True,
    notes=["runs: -2: doorbell calls that met the tasklet <scheduled>"],
)
RESULT = LabResult(
    kernel="6.12.95+deb12-amd64",
    kernel_version="Linux version 6.12.95+deb12-amd64 (debian-kernel@lists.debian.org)",
    kernel_source="debian:6.12",
    ntb_source="linux-source",
    accelerator="tcg",
    environment={"qemu": "QEMU emulator version 7.2"},
    points=[POINT, msgspec.structs.replace(POINT, agrees=False)],
    warnings=["the guest kernel warned: WARNING: possible recursion"],
)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("--vectors 17", "--vectors: 17: a whole number from 0 to 16"),
        ("--vectors x", "--vectors: 'x': a whole number from 0 to 16"),
        ("--queues 15", "--queues: 15: a whole number from 1 to 14"),
        ("--queues 2 --senders 2", "--senders: 2: a whole number from 0 to 1"),
        ("--db-read latch", "--db-read: 'latch': unknown; did you mean latched?"),
        ("--gap -1", "--gap: '-1': a whole number from 0 to 1000000"),
        ("--packets 0", "--packets: 0: a whole number from 1 to 100000"),
        ("--packets 100000", "--packets: 100000: at most "),
        ("--kernel 6.12", "--kernel: '6.12': debian:VERSION"),
        ("--image bzImage", "--image: 'bzImage': goes together with --kbuild"),
        ("--image x --kbuild . --kernel debian:6.12", "--kernel: 'debian:6.12': not with --image"),
        ("--image x --kbuild .", "--image: 'x': a kernel's bzImage"),
        ("--source .", "--source: '.': a kernel tree with drivers/ntb/core.c"),
        ("-o missing/x.json", "output: 'missing/x.json': cannot be written"),
    ],
)
def test_bad_options_are_one_line(
    arguments: str,
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["lab", "run", *arguments.split()]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"ntbbench: {told}")


def test_a_guest_that_hung_tells_how_far_it_came() -> None:
    said = "[    1.5] pci_epf_vntb: Failed to allocate doorbell: -19\n"
    begun = "@@ kernel 7.3.4\n@@ version Linux\n@@ point setup\nH4sI\n"
    whole = begun + "@@ end\n"
    alone = "pci_epf_vntb: Failed to allocate doorbell: -19"
    silent = "was not in its kernel; "
    assert hung_words("", "") == f"{silent}it said nothing"
    assert hung_words(said, "") == hung_words(said, begun) == silent + alone
    later = whole + "@@ point ep-to-rc\nAAAA\n"
    for data in (whole, later):
        assert hung_words(said, data) == f"after it had recorded setup: {silent}{alone}"
    assert hung_words(said, later + "@@ end\n").startswith("after it had recorded ep-to-rc: ")
    assert Boot(said, whole, "9 s").died == (
        f"the guest hung: no end after 9 s: after it had recorded setup: {silent}{alone}"
    )


# What guests printed whose kernel the lab made die: in a handler, in a loop of a task, and idle.
OOPS = """\
[    1.1] Oops: invalid opcode: 0000 [#1] SMP\r
[    1.1] CPU: 0 UID: 0 PID: 0 Comm: swapper/0 Tainted: G        W  O        7.3.4-ntbbench #1\r
"""
HANDLER = """\
[    1.1] RIP: 0010:ntb_epf_vec_isr+0x6/0xf0 [ntb_hw_epf]
[    1.1] Code: 55 89 f1 48 c7 c6 88 82 21 a0
[    1.1]  ? ntb_epf_vec_isr+0x6/0xf0 [ntb_hw_epf]
[    1.1]  <IRQ>
[    1.1]  ? __handle_irq_event_percpu+0x5f/0x240
[    1.1]  handle_irq_event+0x34/0x70
[    1.1]  deliver_here+0x11/0x20 [epc_loop]
[    1.1]  </IRQ>
[    1.1]  <TASK>
[    1.1]  do_idle+0x99/0x100
[    1.1]  </TASK>
"""
LOCKED = """\
[    1.1] RIP: 0010:native_queued_spin_lock_slowpath+0x6/0xf0
[    1.1]  <TASK>
[    1.1]  ? vntb_epf_spad_read+0x1/0x50 [pci_epf_vntb]
[    1.1]  vntb_epf_peer_db_set+0x2d/0x60 [pci_epf_vntb]
[    1.1]  ntb_transport_tx_enqueue+0x8/0x20 [ntb_transport]
[    1.1]  </TASK>
"""
IDLE = """\
[    1.1] RIP: 0010:pv_native_safe_halt+0x13/0x20
[    1.1]  <TASK>
[    1.1]  arch_cpu_idle+0x9/0x10
[    1.1]  do_idle+0x99/0x100
[    1.1]  </TASK>
[    1.1] Kernel Offset: disabled
"""
BLOCKED = """\
[    1.2] task:reboot          state:D stack:0     pid:738   tgid:738   ppid:1
[    1.2]  <TASK>
[    1.2]  __schedule+0x30c/0x7e0
[    1.2]  wait_for_device_probe+0x5f/0xa0
[    1.2] RIP: 0033:0x47e1e3
[    1.2]  </TASK>
[    1.2] task:kworker/0:1     state:D stack:0     pid:10    tgid:10    ppid:2
[    1.2] Workqueue: events attach_work [epc_loop]
[    1.2]  <TASK>
[    1.2]  __schedule+0x30c/0x7e0
[    1.2]  schedule+0x23/0x70
[    1.2]  ntb_epf_link_enable+0x2d/0x80 [ntb_hw_epf]
[    1.2]  ntb_transport_probe+0x7a8/0x820 [ntb_transport]
[    1.2]  </TASK>
"""


@pytest.mark.parametrize(
    ("stacks", "told"),
    [
        (HANDLER, "was in ntb_epf_vec_isr() of ntb_hw_epf"),
        (LOCKED, "was in vntb_epf_peer_db_set() of pci_epf_vntb"),
        ("[    1.1] RIP: 0010:panic+0x1/0x2\n", "was in panic()"),
        (IDLE, "the CPU was idle; the last line"),
        (
            IDLE + BLOCKED,
            "the CPU was idle; kworker/0:1 waits in ntb_epf_link_enable() of ntb_hw_epf; "
            "the last line",
        ),
        (
            IDLE + BLOCKED[: BLOCKED.index("[    1.2] task:kw")],
            "the CPU was idle; reboot waits in wait_for_device_probe(); the last line",
        ),
    ],
)
def test_a_hung_guest_tells_in_which_function(stacks: str, told: str) -> None:
    said = "[    1.0] RIP: 0010:of_a_warning+0x1/0x2 [epc_loop]\n[    1.0] the last line\n"
    assert hung_words(said + OOPS + stacks, "") == told


def test_a_kernel_with_its_own_ntb_core_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "include" / "config").mkdir(parents=True)
    (tmp_path / "include" / "config" / "auto.conf").write_text("CONFIG_NTB=y\n")
    (tmp_path / "bzImage").touch()
    options = ["--image", str(tmp_path / "bzImage"), "--kbuild", str(tmp_path)]
    assert main(["lab", "run", *options, "-o", str(tmp_path / "x.json")]) == 2
    assert "CONFIG_NTB=n or m" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("makefile", "told"),
    [
        ("VERSION = 7\nPATCHLEVEL = 3\nSUBLEVEL = 0\nEXTRAVERSION = -rc2\n", "Linux 7.3.0-rc2, "),
        ("VERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = 9\nEXTRAVERSION =\n", None),
        (None, "the kernel is 6.12.117+deb12-amd64; --source has no Makefile"),
    ],
)
def test_a_tree_that_does_not_build_tells_both_versions_where_they_differ(
    makefile: str | None, told: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "include" / "config").mkdir(parents=True)
    (tmp_path / "include" / "config" / "kernel.release").write_text("6.12.117+deb12-amd64\n")
    if makefile is not None:
        (tmp_path / "Makefile").write_text(makefile)

    def fails(*_: object) -> Path:
        raise BuildError("debian:6.12: ntb_transport.c:1540:26: error: implicit declaration")

    monkeypatch.setattr("ntbbench.lab.packages.tree.build", fails)
    kernel = Kernel("debian:6.12", tmp_path / "image", tmp_path, tmp_path, str(tmp_path))
    for own in (kernel, replace(kernel, source_tree="")):
        with pytest.raises(BuildError, match=r"1540:26: error: implicit declaration") as caught:
            build_tree(Cache(tmp_path / "cache"), own, print)
        if told is not None and own is kernel:
            assert told in str(caught.value)
        else:
            assert "(" not in str(caught.value)


def test_last_words_name_cause_place_and_panic() -> None:
    assert last_words(PANIC) == (
        "kernel BUG at ntb_transport.c:2540!; "
        "RIP: 0010:ntb_transport_doorbell_callback+0x14/0x150; "
        "Kernel panic - not syncing: Fatal exception in interrupt"
    )
    assert last_words("[    1.0] first\n[    2.0] second\n\n") == "second"
    assert last_words("") == ""


def test_a_warning_of_the_kernel_is_kept() -> None:
    console = "[    1.5] WARNING: CPU: 0 PID: 1 at core.c:1 f+0x1/0x2\n[    2.0] fine\n"
    assert complaints(console) == ["WARNING: CPU: 0 PID: 1 at core.c:1 f+0x1/0x2"]


def packed(**files: str) -> str:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return base64.encodebytes(data.getvalue()).decode()


HEAD = "@@ kernel 6.12.95\n@@ version Linux version 6.12.95 (x)\n"


def test_recordings_are_unpacked(tmp_path: Path) -> None:
    data = f"{HEAD}@@ point one\n{packed(point='vectors=0')}@@ end\n@@ done\n"
    assert unpack(Boot("", data), ["one"], tmp_path) == "6.12.95"
    assert (tmp_path / "kernel").read_text() == "6.12.95\nLinux version 6.12.95 (x)\n"
    assert (tmp_path / "one" / "point").read_text() == "vectors=0"


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ("", "before it had recorded every point"),
        ("@@ failed cannot load ntb.ko: bad\n", "the guest gave up: cannot load ntb.ko: bad"),
        (f"{HEAD}@@ point one\n{packed(point='x')}@@ end\n", "before it had recorded every"),
        (f"{HEAD}@@ point two\n{packed(point='x')}@@ end\n@@ done\n", "before it had recorded"),
        (f"{HEAD}@@ point one\n{packed(point='x')[:40]}\n@@ end\n@@ done\n", "arrived damaged"),
        (f"{HEAD}@@ point one\nnothing\n@@ end\n@@ done\n", "arrived damaged"),
    ],
)
def test_a_broken_report_of_the_guest_is_told(data: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(GuestError, match=told):
        unpack(Boot("", data), ["one"], tmp_path)


def test_a_guest_that_gave_up_keeps_what_it_had_recorded(tmp_path: Path) -> None:
    data = f"{HEAD}@@ point one\n{packed(point='x')}@@ end\n@@ failed no receiver\n"
    booted = Boot("", data)
    assert booted.died == "the guest gave up: no receiver"
    assert unpack(booted, ["one"], tmp_path) == "6.12.95"
    assert (tmp_path / "one" / "point").read_text() == "x"


def test_a_full_disk_leaves_no_half_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second of two recordings meets it; neither is kept, and the line says where."""
    data = "".join(f"@@ point {name}\n{packed(point='x')}@@ end\n" for name in ("one", "two"))
    extract = tarfile.TarFile.extractall

    def fill_up(archive: tarfile.TarFile, path: Path, **options: Any) -> None:
        extract(archive, path, **options)
        if path.name == "two":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tarfile.TarFile, "extractall", fill_up)
    folder = tmp_path / "kept"
    with pytest.raises(InputError, match="cannot be written: No space left on device"):
        unpack(Boot("", f"{HEAD}{data}@@ done\n"), ["one", "two"], folder)
    assert list(tmp_path.iterdir()) == []


def test_the_guest_is_told_each_point_on_a_line() -> None:
    plan = PointPlan("p", 4, True, 1000, 50, "turn", (0, 3))
    assert plan.line == "p 4 1 1000 50 turn 0 3\n"


def test_notes_tell_each_cause_once_in_the_words_of_the_table(tmp_path: Path) -> None:
    """A callback that schedules QP 3 beside the one of its vector."""
    edit = without("rxc_db")
    folder = copy(PER_VECTOR, tmp_path / "r", trace=lambda t: one_qp_too_many(edit(t)))
    plan = PointPlan("r", 16, True, 700, 40, "turn", (0, 1, 2, 3))
    point = evaluate(folder, plan, 4)
    added = point.runs_per_qp[3] - point.predicted_runs_per_qp[3]
    assert point.agrees is False
    assert point.notes == [
        f"tasklet schedules and tasklet runs of QP 3: {added:+d} each: more schedules: "
        "the doorbell callback scheduled a QP whose bit is not under its vector"
    ]


def test_text_fits_a_terminal_and_tells_each_number() -> None:
    text = rendered(RESULT, "text")
    assert text.isascii()
    assert max(map(len, text.splitlines())) <= 80
    assert "agrees in 1 of 2 points" in text
    assert "DISAGREES" in text and "in bounds" in text
    assert "events by vector: 0: 10, 1: 9" in text
    assert "QP 0: 1 .. 20" in text
    assert "possible recursion" in text


def test_a_developers_tree_is_named() -> None:
    """Else the text of a patched kernel's run is that of the unpatched one."""
    patched = msgspec.structs.replace(RESULT, source_tree="/home/me/linux")
    for style in ("text", "md"):
        words = " ".join(rendered(patched, style).split())
        assert "its NTB files from --source /home/me/linux" in words
        assert "--source" not in rendered(RESULT, style)
    assert "--source /home/me/linux" in rendered(patched, "html")


def test_csv_has_a_row_a_qp() -> None:
    rows = list(csv.DictReader(io.StringIO(rendered(RESULT, "csv"))))
    assert [row["qp_num"] for row in rows] == ["0", "1"] * 2
    assert [row["runs"] for row in rows] == ["20", "18"] * 2
    assert rows[1]["difference"] == "-2"
    assert rows[0]["agrees"] == "True"


def test_json_is_the_record() -> None:
    assert msgspec.json.decode(rendered(RESULT, "json"), type=LabResult) == RESULT
    assert next(iter(json.loads(rendered(RESULT, "json")))) == "schema"


def test_show_reads_a_lab_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "lab.json"
    path.write_bytes(msgspec.json.encode(RESULT))
    for name in ("text", "md", "csv", "json"):
        page = tmp_path / f"{name}.html"
        assert main(["show", str(path), "--format", name, "--html", str(page)]) == 0
        assert capsys.readouterr().out == rendered(RESULT, name)
        assert page.read_text() == rendered(RESULT, "html")
    path.write_bytes(msgspec.json.encode(RESULT)[:-40])
    assert main(["show", str(path)]) == 2


def test_markdown_and_html_escape_what_they_tell() -> None:
    assert "&lt;scheduled&gt;" in rendered(RESULT, "md")
    html = rendered(RESULT, "html")
    assert "&lt;scheduled&gt;" in html and "<scheduled>" not in html
    assert "6.12.95+deb12-amd64" in html
