# SPDX-License-Identifier: BSD-3-Clause
"""One file an output format; every function returns a string and prints nothing."""
