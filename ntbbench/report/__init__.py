# SPDX-License-Identifier: BSD-3-Clause
"""Views make a Document of a record, figures draw it, renderers write it in a format."""
