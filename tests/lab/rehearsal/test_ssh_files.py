# SPDX-License-Identifier: BSD-3-Clause
"""Keys, configuration and board.toml of a guest that serves ssh."""

import stat
from pathlib import Path

import asyncssh
import pytest

from ntbbench.board.settings import load_board
from ntbbench.core.errors import InputError
from ntbbench.lab.rehearsal.ssh_files import (
    dropbear_key,
    new_keys,
    write_client,
    write_server,
)


def test_the_board_is_the_two_ends_of_the_guest(tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    assert write_client(folder, new_keys(), 2222, queues=4)
    board = load_board(folder / "board.toml")
    assert board.rc.host == "ssh:pair-rc" and board.ep.host == "ssh:pair-ep"
    assert board.axes.queues == board.axes.flows == (4,)
    assert [one.rc for one in board.variants] == ["variant before", "variant after"]
    assert "emulator" in board.how.note


def test_a_board_that_is_there_stays(tmp_path: Path) -> None:
    (tmp_path / "board.toml").write_text("mine")
    assert not write_client(tmp_path, new_keys(), 2222, queues=4)
    assert (tmp_path / "board.toml").read_text() == "mine"


def test_nobody_else_reads_the_key(tmp_path: Path) -> None:
    write_client(tmp_path / "out", new_keys(), 2222, queues=1)
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "out" / "key").stat().st_mode) == 0o600


@pytest.mark.parametrize("side", ["rc", "ep"])
def test_a_client_finds_user_port_and_keys_in_a_path_with_blanks(tmp_path: Path, side: str) -> None:
    folder, keys = tmp_path / "a folder", new_keys()
    write_client(folder, keys, 2345, queues=1)
    config = [folder / "ssh_config"]
    options = asyncssh.SSHClientConnectionOptions(config=config, host=f"pair-{side}")
    assert (options.host, options.port, options.username) == ("127.0.0.1", 2345, side)
    known = asyncssh.read_known_hosts(str(folder / "known_hosts"))
    trusted = asyncssh.match_known_hosts(known, "127.0.0.1", "127.0.0.1", 2345)[0]
    assert {key.public_data for key in trusted} == {keys.host.public_data}
    assert asyncssh.read_private_key(folder / "key") == keys.client


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"-o.*cannot be written"):
        write_client(tmp_path / "file", new_keys(), 2222, queues=1)


def test_the_server_has_a_user_for_each_end(tmp_path: Path) -> None:
    write_server(tmp_path, new_keys())
    users = [line.split(":") for line in (tmp_path / "etc/passwd").read_text().splitlines()]
    assert {(user[0], user[2], user[-1]) for user in users} >= {
        ("ep", "0", "/bin/sh"),
        ("rc", "0", "/bin/rc-shell"),
    }


def test_a_key_of_dropbear_has_both_halves() -> None:
    key = new_keys().host
    data = dropbear_key(key)
    assert data[:15] == b"\0\0\0\x0bssh-ed25519"
    assert data[15:19] == b"\0\0\0\x40" and len(data) == 19 + 64
    assert data[-32:] == key.public_data[-32:]
    again = asyncssh.import_private_key(key.export_private_key("pkcs8-der"))
    assert data[19:51] in again.export_private_key("pkcs8-der")
