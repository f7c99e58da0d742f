# SPDX-License-Identifier: BSD-3-Clause
"""The other machine: a server of asyncssh whose commands run here, and which can fail on demand."""

import asyncio
import os
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import asyncssh

PIECE = 1 << 16


class Machine:
    """A server on loopback.

    Parameters
    ----------
    before : the words before `/bin/sh -c COMMAND`: a namespace, another shell.
    cut_at : the number of the command, from 1, at which the connection is cut; 0: never.
    late : the command is run, and the connection is cut before its answer.
    """

    def __init__(self, folder: Path, before: Sequence[str] = ()) -> None:
        self.folder, self.before = folder, list(before)
        self.cut_at, self.late, self.count = 0, False, 0
        self._connections: set[asyncssh.SSHServerConnection] = set()
        self.lines: list[str] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._key = asyncssh.generate_private_key("ssh-ed25519")
        self._user = asyncssh.generate_private_key("ssh-ed25519")
        self._user.write_private_key(folder / "user_key")
        (folder / "user_key").chmod(0o600)
        self._user.write_public_key(folder / "authorized")
        self.port = 0
        self.up()

    def up(self, key: asyncssh.SSHKey | None = None) -> None:
        """Listen, with the machine's key or another one."""
        self._server = self._do(self._listen(key or self._key))
        self.port = self._server.get_port()
        host = f"[127.0.0.1]:{self.port}"
        public = self._key.export_public_key().decode()
        (self.folder / "known_hosts").write_text(f"{host} {public}")
        self.config = self.folder / "config"
        self.config.write_text(
            f"Host board\n  HostName 127.0.0.1\n  Port {self.port}\n"
            f"  IdentityFile {self.folder}/user_key\n"
            f"  UserKnownHostsFile {self.folder}/known_hosts\n"
        )

    def down(self) -> None:
        """Stop listening and cut what is connected."""

        async def ended() -> None:
            for connection in self._connections:
                connection.abort()
            self._connections.clear()
            self._server.close()
            await self._server.wait_closed()

        self._do(ended())

    def close(self) -> None:
        """End the machine."""
        self.down()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, task):
        return asyncio.run_coroutine_threadsafe(task, self._loop).result(20)

    async def _listen(self, key: asyncssh.SSHKey) -> asyncssh.SSHAcceptor:
        return await asyncssh.listen(
            "127.0.0.1",
            self.port,
            server_host_keys=[key],
            authorized_client_keys=str(self.folder / "authorized"),
            process_factory=self._serve,
            encoding=None,
        )

    async def _serve(self, process: asyncssh.SSHServerProcess) -> None:
        self.count += 1
        command = process.command or ""
        self.lines.append(command)
        connection = process.get_extra_info("connection")
        self._connections.add(connection)
        cut = self.count == self.cut_at
        if cut and not self.late:
            connection.abort()
            return
        child = await asyncio.create_subprocess_exec(
            *self.before, "/bin/sh", "-c", command,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True, env={"PATH": os.environ["PATH"]},
        )  # fmt: skip
        if cut:
            assert child.stdin is not None
            child.stdin.close()
            await asyncio.sleep(0.3)
            connection.abort()
            await child.wait()
            return
        assert child.stdin is not None
        tasks = [
            asyncio.create_task(self._copied(child.stdout, process.stdout)),
            asyncio.create_task(self._copied(child.stderr, process.stderr)),
        ]
        ended = asyncio.create_task(self._input(process.stdin, child.stdin))
        await asyncio.gather(*tasks)
        code = await child.wait()
        ended.cancel()
        with suppress(OSError, asyncssh.Error):
            process.exit(code)

    async def _input(self, stdin, to) -> None:
        """Pass the command's stdin on, and close it when the client or the connection has."""
        with suppress(asyncssh.Error, OSError):
            while piece := await stdin.read(PIECE):
                to.write(piece)
                await to.drain()
        to.close()

    async def _copied(self, stream, to) -> None:
        while piece := await stream.read(PIECE):
            with suppress(OSError, asyncssh.Error):
                to.write(piece)
                await to.drain()
