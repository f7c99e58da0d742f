# SPDX-License-Identifier: BSD-3-Clause
"""What a guest's kernel said last: why it died, where it hangs, what it complained of."""

import pytest

from ntbbench.lab.qemu import Boot, complaints, hung_words, last_words

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
