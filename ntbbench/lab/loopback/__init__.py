# SPDX-License-Identifier: BSD-3-Clause
"""The real NTB core and transport over a loopback device."""
