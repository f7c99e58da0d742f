# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench` as another program calls it, with recordings in place of guests."""

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from series_fake import fake_series

from ntbbench.cli.main import main

if __name__ == "__main__":
    here = Path.cwd()
    with TemporaryDirectory() as scratch, pytest.MonkeyPatch.context() as patch:
        fake_series(patch, Path(scratch))
        os.chdir(here)
        sys.exit(main(sys.argv[1:]))
