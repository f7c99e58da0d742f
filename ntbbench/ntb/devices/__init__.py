# SPDX-License-Identifier: BSD-3-Clause
"""NTB devices as their drivers present them, and the dispatch modes of each."""
