# SPDX-License-Identifier: BSD-3-Clause
"""board.toml: what it may say, and one line about what it may not."""

from pathlib import Path
from typing import Any

import pytest

from ntbbench.board.settings import load_board, parsed
from ntbbench.core.errors import InputError

SIDE = {"host": "local", "netdev": "eth1", "address": "192.0.2.1"}


def table(**changes: Any) -> dict[str, Any]:
    return {"rc": SIDE, "ep": SIDE, "variants": [{"name": "before"}], **changes}


def test_a_board_is_read_back_as_it_is_written() -> None:
    board = parsed(
        table(
            rc={**SIDE, "host": "ssh:root@spider-rc", "become": "sudo -n", "irqs": "epf"},
            axes={"queues": [1, 4], "affinity": ["single", "0,1,0,1"], "flows": "1,4"},
            how={"until": "decided", "seconds": 3, "rate": "500M", "seed": 7},
            variants=[{"name": "after", "modules": ["/root/ntb_netdev.ko"], "rc": "make load"}],
            restore={"rc": "modprobe ntb_netdev"},
            commands=[{"name": "own", "command": "./b {address}", "metric": "regex:took (.*)"}],
        ),
        "",
    )
    assert parsed(board.plain(), "") == board
    assert board.axes.flows == (1, 4)
    assert board.how.until == 0
    assert board.how.seed == 7


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"varients": []}, "key: 'varients': unknown; did you mean variants?"),
        ({"rc": {**SIDE, "hots": "x"}}, "rc.key: 'hots': unknown; did you mean host?"),
        ({"rc": {**SIDE, "host": "telnet:x"}}, "rc.host: 'telnet:x': local, netns:NAME or ssh:NA"),
        ({"rc": {**SIDE, "address": "spider"}}, "rc.address: 'spider': an IP address"),
        ({"rc": {"host": "local"}}, "rc.netdev: '': a value: it is needed"),
        ({"rc": {**SIDE, "irqs": "("}}, "rc.irqs: '(': a regular expression"),
        ({"axes": {"affinity": ["spred"]}}, "axes.affinity: 'spred': unknown; did you mean spread"),
        ({"axes": {"queues": [0]}}, "axes.queues: 0: "),
        (
            {"axes": {"programs": []}},
            "axes.programs: '': one of iperf3, ping, sockperf, netperf, ntb_perf, ntb_pingpong, or",
        ),
        ({"how": {"untill": 3}}, "how.key: 'untill': unknown; did you mean until?"),
        ({"how": {"rate": "fast"}}, "how.rate: 'fast': as iperf3 -b: 500M"),
        ({"variants": []}, "variants: '': at least one"),
        ({"variants": {"name": "x"}}, "variants: {'name': 'x'}: tables: [[variants]]"),
        ({"variants": [{"name": "a"}, {"name": "a"}]}, "variants.name: 'a': a name of its own"),
        ({"variants": [{"name": "a/b"}]}, "variants.1.name: 'a/b': letters"),
        ({"variants": [{"name": "a", "modules": ["x.ko"]}]}, "variants.1.modules: 'x.ko': a list"),
        ({"variants": [{"name": "a", "rc": "load"}]}, "restore.rc: '': the command that loads"),
        ({"commands": [{"name": "a", "metric": "json:x"}]}, "commands.a.command: '': a shell line"),
        ({"commands": [{"name": "a", "command": "x"}]}, "commands.a.metric: '': json: or regex:"),
    ],
)
def test_one_line_tells_what_is_wrong(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError) as error:
        parsed(table(**changes), "")
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_a_line_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "board.toml"
    path.write_text("[rc]\nhots = 'x'\n")
    with pytest.raises(InputError, match=r"board\.toml: rc\.key: 'hots'"):
        load_board(path)
