# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench` as another program calls it, with recordings in place of guests."""

import os
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from pair_recordings import DATA, load
from series_fake import AFTER, BROKEN, LOSES, fake_series, kernel_in, kind_of

from ntbbench.cli import lab_kernel
from ntbbench.cli.main import main
from ntbbench.lab.commands import BuildError
from ntbbench.lab.pair import runner
from ntbbench.lab.pair.boot.left import PairRecordings
from ntbbench.lab.pair.plan import EP, RC, PairPlan
from ntbbench.lab.pair.sources import DRIVERS


def boot_pair(_lab: object, plan: PairPlan, folder: Path) -> PairRecordings:
    """Return the recordings of two drivers, of which one may be of a tree."""
    specs = {EP: plan.setup.ep_driver, RC: plan.setup.rc_driver}
    kinds = [
        kind_of(str(Path(spec) / DRIVERS[side]) if Path(spec).is_dir() else spec)
        for side, spec in specs.items()
    ]
    if BROKEN in kinds:
        raise BuildError("x.c:1: error: no brace")
    folder.mkdir(parents=True)
    old = load(DATA / "-".join(AFTER if kind == LOSES else kind for kind in kinds))
    points = tuple(point for point in old.points if point.traffic.gap_us)
    whole = replace(old, plan=replace(old.plan, traffic=tuple(p.traffic for p in points)))
    found = replace(whole, points=points)
    return replace(found, ep_qp_count=1) if LOSES in kinds else found


if __name__ == "__main__":
    here = Path.cwd()
    with TemporaryDirectory() as scratch, pytest.MonkeyPatch.context() as patch:
        fake_series(patch, Path(scratch))
        patch.setattr(lab_kernel, "pair_kernel", kernel_in(Path(scratch)))
        patch.setattr(runner, "boot_pair", boot_pair)
        os.chdir(here)
        sys.exit(main(sys.argv[1:]))
