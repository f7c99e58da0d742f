# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench board`: variants of a driver on two real hosts, in random blocks, all left as found."""
