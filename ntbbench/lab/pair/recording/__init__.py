# SPDX-License-Identifier: BSD-3-Clause
"""The files that a boot of the pair leaves."""
