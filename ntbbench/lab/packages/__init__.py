# SPDX-License-Identifier: BSD-3-Clause
"""Kernels, their sources and the modules built for them."""
