# SPDX-License-Identifier: BSD-3-Clause
"""One file a kind of result: from its record to a Document."""
