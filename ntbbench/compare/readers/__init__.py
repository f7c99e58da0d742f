# SPDX-License-Identifier: BSD-3-Clause
"""Readers of what a comparison takes: one module a format, `load_variant` finds the right one."""

from ntbbench.compare.readers.detect import KNOWN_SCHEMAS, load_variant, unique_labels

__all__ = ["KNOWN_SCHEMAS", "load_variant", "unique_labels"]
