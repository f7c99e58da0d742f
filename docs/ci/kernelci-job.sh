#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A job in KernelCI's manner: build and test each commit of RANGE in TREE, and leave a report that
# KCIDB takes. It exits with what `ntbbench lab series` found; an invalid report is 2.
#   TREE=~/linux RANGE=v7.2..HEAD OUT=out ./kernelci-job.sh [options of ntbbench lab series]
set -u
: "${TREE:?a repository}" "${RANGE:?BASE..HEAD}" "${OUT:?a folder for the reports}"
mkdir -p "$OUT"
ntbbench lab series "$RANGE" --tree "$TREE" -o "$OUT/series.json" \
	--write kcidb="$OUT/kcidb.json" --html "$OUT/series.html" --format ktap "$@" > "$OUT/series.ktap"
found=$?
[ $found -le 1 ] || exit $found
python3 -c 'import json, kcidb_io, sys; kcidb_io.schema.V5_3.validate(json.load(sys.stdin))' \
	< "$OUT/kcidb.json" || exit 2  # pip install kcidb-io
# Whoever may submit does: kcidb-submit < "$OUT/kcidb.json"
exit $found
