# SPDX-License-Identifier: BSD-3-Clause
"""The servers of Debian, OpenSSH's and dropbear's, here or in a network namespace."""

import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

PLACE = "127.0.0.1"
# Dropbear reads the keys of the user's home alone: root's home is another one for it.
HOME = 'mkdir -m 700 -p "$1/home/.ssh" && cp "$1/user_key.pub" "$1/home/.ssh/authorized_keys" && \
chown -R root "$1/home" && mount --bind "$1/home" /root && shift && exec "$@"'


def _free_port() -> int:
    with socket.socket() as free:
        free.bind((PLACE, 0))
        port: int = free.getsockname()[1]
    return port


def _keys(folder: Path, port: int, before: Sequence[str]) -> Path:
    """Make the keys of host and user, and return the client's configuration."""
    for name in ("host_key", "user_key"):
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(words, check=True)
    public = (folder / "host_key.pub").read_text()
    (folder / "known_hosts").write_text(f"[{PLACE}]:{port} {public}")
    proxy = f"  ProxyCommand {' '.join(before)} busybox nc {PLACE} {port}\n" if before else ""
    config = folder / "config"
    config.write_text(
        f"Host board\n  HostName {PLACE}\n  Port {port}\n  User root\n{proxy}"
        f"  IdentityFile {folder}/user_key\n  UserKnownHostsFile {folder}/known_hosts\n"
    )
    return config


@contextmanager
def openssh_server(folder: Path, before: Sequence[str] = ()) -> Iterator[Path]:
    """Yield the client's configuration while OpenSSH's server runs.

    Parameters
    ----------
    before : the words that enter the namespace it runs in.
    """
    port = _free_port()
    config = _keys(folder, port, before)
    Path("/run/sshd").mkdir(exist_ok=True)
    (folder / "sshd_config").write_text(
        f"ListenAddress {PLACE}:{port}\nHostKey {folder}/host_key\nStrictModes no\n"
        f"AuthorizedKeysFile {folder}/user_key.pub\nPidFile none\nUsePAM no\n"
        "PermitRootLogin yes\n"
    )
    words = [*before, "/usr/sbin/sshd", "-D", "-e", "-f", str(folder / "sshd_config")]
    yield from _served(words, b"listening", config)


@contextmanager
def dropbear_server(folder: Path, before: Sequence[str] = ()) -> Iterator[Path]:
    """Yield the client's configuration while dropbear runs; `before` as of `openssh_server`."""
    port = _free_port()
    config = _keys(folder, port, before)
    convert = ["/usr/lib/dropbear/dropbearconvert", "openssh", "dropbear"]
    subprocess.run(
        [*convert, str(folder / "host_key"), str(folder / "dropbear_key")],
        check=True, capture_output=True,
    )  # fmt: skip
    enter = ["unshare", "--mount", "/bin/sh", "-c", HOME, "sh", str(folder)]
    listens = ["-p", f"{PLACE}:{port}", "-r", str(folder / "dropbear_key")]
    words = [*before, *enter, "dropbear", "-F", "-E", *listens]
    yield from _served(words, b"Not backgrounding", config)


def _served(words: Sequence[str], ready: bytes, config: Path) -> Iterator[Path]:
    with subprocess.Popen(words, stderr=subprocess.PIPE) as server:
        assert server.stderr is not None
        lines = []
        while not lines or ready not in lines[-1]:
            lines.append(server.stderr.readline())
            assert lines[-1], b"".join(lines)
        try:
            yield config
        finally:
            server.terminate()
