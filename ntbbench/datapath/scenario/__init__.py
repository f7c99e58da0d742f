# SPDX-License-Identifier: BSD-3-Clause
"""Scenarios of `ntbbench simulate`: keys, boards, axes, and the system that each point becomes."""
