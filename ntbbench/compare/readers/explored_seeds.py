# SPDX-License-Identifier: BSD-3-Clause
"""Results of `lab pair explore`: seed by seed, whatever drivers ran."""

from collections.abc import Iterator
from typing import Any

from ntbbench.compare.readers.results import Results
from ntbbench.compare.series import Variant
from ntbbench.lab.explore.records import ExploreResult, ExploreSeed


class ExploredSeeds(Results):
    """Seeds of one pair of drivers, or of several: a seed that failed must not, and none new."""

    schema, result, point = "ntbbench.explore/1", ExploreResult, ExploreSeed
    name = "{workload}/{strategy}/seed {seed}"
    context = ("kernel", "cpus")
    also = ("complete",)
    needed = ("ep_driver", "rc_driver")

    def side(self, result: Any, label: str) -> Variant:
        """Return the side with the drivers that ran."""
        variant = super().side(result, label)
        for name in ("ep_driver", "rc_driver"):
            told = {getattr(point, name) for point in result.points}
            variant.context[name] = "; ".join(sorted(told))
        return variant

    def names(self, result: Any) -> Iterator[str]:
        """Yield a name for each seed; that of its drivers where several pairs ran."""
        pairs = {(point.ep_driver, point.rc_driver) for point in result.points}
        for point in result.points:
            drivers = f"EP {point.ep_driver}/RC {point.rc_driver}/"
            yield (drivers if len(pairs) > 1 else "") + self.name_of(point)
