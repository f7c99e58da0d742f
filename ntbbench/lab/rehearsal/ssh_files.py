# SPDX-License-Identifier: BSD-3-Clause
"""What the guest's ssh server and its client need: keys, known hosts, a first board.toml."""

import struct
from dataclasses import dataclass
from pathlib import Path

import asyncssh

from ntbbench.core.errors import InputError
from ntbbench.core.result_file import write_bytes

KEY_TYPE = b"ssh-ed25519"
SECRET = 32  # bytes of an ed25519 key, of either half
HOSTS = {"rc": "pair-rc", "ep": "pair-ep"}  # for ssh; the guest's users are called by the side
CONFIG = """\
Host {hosts}
  HostName 127.0.0.1
  Port {port}
  IdentityFile "{folder}/key"
  IdentitiesOnly yes
  UserKnownHostsFile "{folder}/known_hosts"
Host {rc}
  User rc
Host {ep}
  User ep
"""
BOARD = """\
# Of `ntbbench lab shell --ssh`: two ends in one guest of QEMU.
[rc]
host = "ssh:{rc}"
ssh_config = "{folder}/ssh_config"
netdev = "ntb0"
address = "10.0.0.2"
irqs = "ntb_epf"

[ep]
host = "ssh:{ep}"
ssh_config = "{folder}/ssh_config"
netdev = "ntb0"
address = "10.0.0.1"
irqs = "pci_epf_vntb_db"

[axes]
queues = [{queues}]
affinity = ["single"]   # an old ntb_hw_epf may crash where two CPUs take its interrupts at once
flows = [{queues}]
direction = ["ep-rc"]   # an endpoint that polls has no doorbell interrupts to count
programs = ["iperf3", "ping"]

[how]
until = 3
seconds = 3
warmup = 0
note = "rehearsed in QEMU: throughput, latency and CPU times are the emulator's, no board's"

[[variants]]
name = "before"
rc = "variant before"   # ntb_hw_epf of the kernel before the series; waits for the link

[[variants]]
name = "after"
rc = "variant after"    # as --rc-driver says

[restore]
rc = "variant after"
"""
PASSWD = "".join(f"{user}:x:0:0::/root:{shell}\n" for user, shell in (
    ("root", "/bin/sh"), ("ep", "/bin/sh"), ("rc", "/bin/rc-shell")
))  # fmt: skip
SHELLS = "/bin/sh\n/bin/rc-shell\n"


@dataclass(frozen=True)
class SshKeys:
    """The keys of one guest, new for each: of the server and of its one client."""

    host: asyncssh.SSHKey
    client: asyncssh.SSHKey

    @property
    def fingerprint(self) -> str:
        """SHA256:... of the server's key, as ssh shows it."""
        return self.host.get_fingerprint()


def new_keys() -> SshKeys:
    """Return keys that nobody has."""
    return SshKeys(*(asyncssh.generate_private_key(KEY_TYPE.decode()) for _ in range(2)))


def write_client(folder: Path, keys: SshKeys, port: int, queues: int) -> bool:
    """Write `key`, `known_hosts` and `ssh_config`; `board.toml` where there is none.

    Returns whether board.toml is new. InputError: the folder cannot be written.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)  # before there is a key in it
    except OSError as error:
        raise InputError("-o", str(folder), f"cannot be written: {error.strerror}") from None
    values = HOSTS | {"hosts": " ".join(HOSTS.values()), "folder": str(folder.absolute())}
    known = f"[127.0.0.1]:{port} {keys.host.export_public_key().decode()}"
    write_bytes(folder / "key", keys.client.export_private_key())
    (folder / "key").chmod(0o600)
    write_bytes(folder / "known_hosts", known.encode())
    write_bytes(folder / "ssh_config", CONFIG.format(port=port, **values).encode())
    board = folder / "board.toml"
    if board.exists():
        return False
    write_bytes(board, BOARD.format(queues=queues, **values).encode())
    return True


def write_server(root: Path, keys: SshKeys) -> None:
    """Write what the server reads, below the guest's root."""
    for name in ("etc", "root/.ssh"):
        (root / name).mkdir(parents=True)
    (root / "etc/passwd").write_text(PASSWD)
    (root / "etc/shells").write_text(SHELLS)
    (root / "etc/host_key").write_bytes(dropbear_key(keys.host))
    (root / "root/.ssh/authorized_keys").write_bytes(keys.client.export_public_key())


def dropbear_key(key: asyncssh.SSHKey) -> bytes:
    """Return an ed25519 key as dropbear stores it: its type, then the secret and the public half.

    Source: dropbear 2025.89, src/ed25519.c (buf_get_ed25519_priv_key).
    """
    secret = key.export_private_key("pkcs8-der")[-SECRET:]  # RFC 8410: the last of the structure
    public = key.public_data[-SECRET:]
    return _string(KEY_TYPE) + _string(secret + public)


def _string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data
