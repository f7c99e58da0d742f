# SPDX-License-Identifier: BSD-3-Clause
"""ntbbench: what Linux NTB doorbell handling costs, and whether a patch made it better."""

from importlib.metadata import version

__version__ = version("ntbbench")
