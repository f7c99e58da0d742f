# SPDX-License-Identifier: BSD-3-Clause
"""What can go wrong in the lab, each told in one line."""

from ntbbench.core.errors import ExitCode, NtbbenchError

LAB_FAILED = ExitCode.LAB_FAILED


class MissingToolError(NtbbenchError):
    """This machine lacks a program; the message names the command that installs it."""

    exit_code = ExitCode.BAD_INPUT


class FetchError(NtbbenchError):
    """A package could not be had: no network, no such version, a damaged cache."""

    exit_code = ExitCode.BAD_INPUT


class BuildError(NtbbenchError):
    """The modules did not build; the message carries the compiler's first error."""

    exit_code = LAB_FAILED


class HostError(NtbbenchError):
    """QEMU or the disk of this machine failed, which says nothing of a driver."""

    exit_code = LAB_FAILED


class GuestError(NtbbenchError):
    """The guest panicked, hung or said something that is no recording."""

    exit_code = LAB_FAILED


class UnjudgedError(GuestError):
    """The lab gave up in the guest where the driver need not be the cause: it lacks a function that
    the lab traces, for one.
    """
