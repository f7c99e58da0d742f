# SPDX-License-Identifier: BSD-3-Clause
"""ntbbench: what Linux NTB doorbell handling costs, and whether a patch made it better."""


def __getattr__(name: str) -> str:
    """Return `__version__`: to look it up takes a third of what `ntbbench --help` does."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import version  # noqa: PLC0415

    return version("ntbbench")
