# SPDX-License-Identifier: BSD-3-Clause
"""A host by ssh: one connection, the user's keys, agent, configuration and known hosts."""

import asyncio
import shlex
import threading
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import asyncssh

from ntbbench.board.hosts import Done, Host, HostLost, Running
from ntbbench.board.settings import BoardSide
from ntbbench.core.errors import InputError

CONNECT = 20.0  # seconds
ALIVE = 5  # seconds between two messages that a silent host must answer; three may be lost
Answer = TypeVar("Answer")


class SshRunning(Running):
    """A command on the other machine; its streams are read in the thread of the connection."""

    def __init__(self, host: "SshHost", process: "asyncssh.SSHClientProcess[bytes]") -> None:
        self._host, self._process = host, process
        self._out, self._err = bytearray(), bytearray()
        self._task = host.spawn(self._collected())

    async def _collected(self) -> None:
        async def into(buffer: bytearray, stream: "asyncssh.SSHReader[bytes]") -> None:
            while piece := await stream.read(1 << 16):
                buffer += piece

        await asyncio.gather(
            into(self._out, self._process.stdout), into(self._err, self._process.stderr)
        )
        await self._process.wait_closed()

    def poll(self) -> Done | None:
        """Return what it left; HostLost: the connection ended first."""
        if not self._task.done():
            return None
        try:
            self._task.result()
        except (asyncssh.Error, OSError) as error:
            raise HostLost(f"{self._host.name}: the connection was lost: {error}") from error
        code = self._process.returncode
        if code is None:
            raise HostLost(f"{self._host.name}: the connection was lost")
        return Done(code, bytes(self._out), self._err.decode(errors="backslashreplace"))

    def begun(self) -> bytes:
        """Return its stdout so far."""
        return bytes(self._out)

    def end_input(self) -> None:
        """Send the end of its stdin."""

        async def ended() -> None:
            self._process.stdin.write_eof()

        self._host.told(ended())


class SshHost(Host):
    """Another machine."""

    def __init__(self, name: str, side: BoardSide) -> None:
        super().__init__(name)
        self._become = side.become
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        try:
            self._connection = self._answer(self._connected(side), CONNECT + 1)
        except (InputError, HostLost):
            self.close()
            raise

    async def _connected(self, side: BoardSide) -> asyncssh.SSHClientConnection:
        where = side.host.partition(":")[2]
        user, at, machine = where.rpartition("@")
        options: dict[str, Any] = {"username": user} if at else {}
        if side.ssh_config:
            options["config"] = [side.ssh_config]
        try:
            return await asyncssh.connect(
                machine,
                connect_timeout=CONNECT,
                keepalive_interval=ALIVE,
                password_auth=False,
                kbdint_auth=False,
                agent_forwarding=False,
                **options,
            )
        except asyncssh.HostKeyNotVerifiable as error:
            allowed = f"a host whose key known_hosts has: {error.reason}; ssh {machine} once"
            raise InputError(f"{self.name}.host", side.host, allowed) from error
        except asyncssh.PermissionDenied as error:
            allowed = f"a host that takes a key of yours (no password is asked): {error.reason}"
            raise InputError(f"{self.name}.host", side.host, allowed) from error
        except asyncssh.ConfigParseError as error:
            raise InputError(f"{self.name}.ssh_config", side.ssh_config, str(error)) from error
        except (asyncssh.Error, OSError, TimeoutError) as error:
            raise HostLost(f"{self.name}: {side.host} does not answer: {error}") from error

    def launch(self, words: Sequence[str], first: bytes = b"") -> Running:
        """Start a program there; whatever the login shell is, it only has to start it."""
        line = f"exec {self._become} {shlex.join(words)}"
        try:
            process = self._answer(self._started(line, first), CONNECT)
        except (asyncssh.Error, OSError, TimeoutError) as error:
            raise HostLost(f"{self.name}: the connection was lost: {error}") from error
        return SshRunning(self, process)

    async def _started(self, line: str, first: bytes) -> "asyncssh.SSHClientProcess[bytes]":
        process = await self._connection.create_process(line, encoding=None, stdin=asyncssh.PIPE)
        with suppress(BrokenPipeError):  # it ended first, and `poll` tells why
            process.stdin.write(first)
        return process

    def _answer(self, question: Coroutine[Any, Any, Answer], seconds: float) -> Answer:
        if self._loop.is_closed():
            question.close()
            raise HostLost(f"{self.name}: the connection was lost")
        return asyncio.run_coroutine_threadsafe(question, self._loop).result(seconds)

    def spawn(self, task: Coroutine[Any, Any, None]) -> Any:
        """Start a task of this connection."""
        return asyncio.run_coroutine_threadsafe(task, self._loop)

    def told(self, word: Coroutine[Any, Any, None]) -> None:
        """Send what a lost connection need not get."""
        try:
            self._answer(word, CONNECT)
        except (asyncssh.Error, OSError, TimeoutError, HostLost):
            return

    def close(self) -> None:
        """End the connection and its thread; once more does nothing."""
        if self._loop.is_closed():
            return

        async def ended() -> None:
            self._connection.abort()
            await self._connection.wait_closed()

        if hasattr(self, "_connection"):
            self.told(ended())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
