# SPDX-License-Identifier: BSD-3-Clause
"""The kernel's own endpoint tests on a software endpoint controller with features of choice."""
