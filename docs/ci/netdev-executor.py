#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""An executor for netdev's CI: it tests each new branch of a list, and publishes what came of it.

    netdev-executor.py BRANCHES TREE RESULTS [options of ntbbench lab series]

BRANCHES is the address of the list of branches, each with `branch`, `base` and `url`; TREE a clone
of the kernel; RESULTS the folder that a web server shows: `results.json`, and a file and a page a
branch. A branch that is in `results.json` is not tested again. Run it from a timer.
"""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from urllib.request import urlopen

EXECUTOR = "ntbbench"
RESULTS = {True: "pass", False: "fail", None: "skip"}


def run(branch: dict, tree: Path, folder: Path, options: list[str]) -> dict:
    """Test one branch, and return what results.json says of it."""
    start = datetime.now(UTC)
    name = branch["branch"]
    ref = f"refs/ntbbench/{name}"
    fetch = ["git", "-C", tree, "fetch", "--quiet", branch["url"], f"{name}:{ref}"]
    subprocess.run(fetch, check=True)
    commits = f"{branch['base']}..{ref}"
    told = {"executor": EXECUTOR, "branch": name, "start": start.isoformat()}
    result = folder / f"{name}.json"
    words = (commits, "--tree", tree, "-o", result)
    command = ["ntbbench", "lab", "series", *words, "--html", result.with_suffix(".html")]
    code = subprocess.run([*command, *options], check=False).returncode
    if code > 1:
        raise SystemExit(f"{name}: ntbbench exited with {code}")
    tests = [
        {
            "test": f"{commit['number']}-{question}",
            "group": "ntb",
            "result": RESULTS[commit[question]],
            "comment": commit["subject"],
            "link": f"{name}.html",
        }
        for commit in json.loads(result.read_text())["commits"]
        if commit["number"]
        for question in ("applies", "builds", "works", "peers")
    ]
    return {**told, "end": datetime.now(UTC).isoformat(), "results": tests}


def main() -> None:
    """Test the branches that are new."""
    branches, tree, folder, *options = sys.argv[1:]
    results = Path(folder) / "results.json"
    done = json.loads(results.read_text()) if results.exists() else []
    known = {one["branch"] for one in done}
    with urlopen(branches) as answer:
        found = json.load(answer)
    for branch in found:
        if branch["branch"] not in known:
            done.append(run(branch, Path(tree), Path(folder), options))
            results.with_suffix(".new").write_text(json.dumps(done, indent=1))
            results.with_suffix(".new").rename(results)


if __name__ == "__main__":
    main()
