# SPDX-License-Identifier: BSD-3-Clause
"""How many A/A pairs of results, one process a side, fail the gate by the allowance for processes.

for i in $(seq -w 1 44); do pytest benches/ --benchmark-json=aa/$i.json; done
python -m benches.one_process aa/*.json      # pairs 1 and 2, 3 and 4, ...
"""

import argparse
from collections.abc import Sequence

from msgspec.structs import replace
from tabulate import tabulate

from ntbbench.compare.compare import compare
from ntbbench.compare.policy import Policy
from ntbbench.compare.readers.detect import load_variant
from ntbbench.compare.series import Variant

ALLOWANCES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0)


def failing(runs: Sequence[Variant], policy: Policy) -> int:
    """Return how many of the disjoint pairs of consecutive runs exit with another code than 0."""
    pairs = zip(runs[::2], runs[1::2], strict=False)
    return sum(compare(base, [candidate], policy).exit_code != 0 for base, candidate in pairs)


def main() -> None:
    """Print the table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", nargs="+", help="results of one commit, a process each")
    runs = [load_variant(name) for name in parser.parse_args().results]
    rows = [
        [f"{allowance:.0%}", failing(runs, replace(Policy(), one_process_allowance=allowance))]
        for allowance in ALLOWANCES
    ]
    print(tabulate(rows, ["allowance", f"fail of {len(runs) // 2}"], tablefmt="github"))


if __name__ == "__main__":
    main()
