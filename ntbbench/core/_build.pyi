# SPDX-License-Identifier: BSD-3-Clause
COMPILER: str
FLAGS: str
CHECKED: bool
