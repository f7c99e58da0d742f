# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench ab`: two commands as fresh processes in random blocks, until the pairs decide."""
