# SPDX-License-Identifier: BSD-3-Clause
"""The dispatch kernels: input checks, the compiled modules, the plain-Python reference."""
