# SPDX-License-Identifier: BSD-3-Clause
"""Parse, call, print, exit code; nothing imports this package."""
