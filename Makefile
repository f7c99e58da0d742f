# SPDX-License-Identifier: BSD-3-Clause
# Everything lives in .venv/ below this folder; nothing here needs root, but see `browser`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := pyproject.toml setup.py MANIFEST.in $(wildcard ext/*.pyx ext/*.pxd ext/*.pxi ext/*.h)
RUNS := results/runs

.DEFAULT_GOAL := help
.PHONY: help sweep test golden reference test-guest test-mutants stress test-board lint docs wheel checked aarch64 freethreaded bench bench-counts browser guest board-tools clean

help:  ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## */\t/' | expand -t 16

sweep: $(VENV)/.built  ## the main job: a table here, a report in results/runs/sweep.html
	$(BIN)/ntbbench sweep -o $(RUNS)/sweep.json --html $(RUNS)/sweep.html

test: $(VENV)/.dev browser  ## build if needed and run all tests but those of test-guest
	$(BIN)/pytest -m 'not guest and not netns'

golden: $(VENV)/.dev  ## write the golden outputs of every command anew; review the diff
	$(BIN)/python tests/support/golden_cases.py

reference: $(VENV)/.dev  ## write docs/reference/ anew from what the code declares
	$(BIN)/python tests/support/reference_pages.py

test-guest: $(VENV)/.dev guest  ## boot a real kernel in QEMU beside the model (fetches it once)
	$(BIN)/pytest -m guest $(PYTEST)

test-board: $(VENV)/.dev board-tools  ## run `board` between two network namespaces, as root
	$(BIN)/pytest -m netns

# STRESS="--seconds 60 --seed 1" for a sample that is the same each time.
stress: $(VENV)/.dev  ## try to break it for ten minutes: damaged inputs, signals, full disks, ...
	$(BIN)/python tests/support/stress.py $(STRESS)

test-mutants: $(VENV)/.dev guest  ## boot every edit of the mutation kit, resumed where it was left
	$(BIN)/python tests/support/mutants.py

lint: $(VENV)/.dev  ## ruff, mypy, cython-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PATH="$(CURDIR)/$(BIN):$$PATH" cython-lint ext benches  # it calls pycodestyle by name

docs: $(VENV)/.dev  ## build the documents as a site into build/site; a dead link fails it
	$(BIN)/mkdocs build -q -f .ci/mkdocs.yml

wheel: $(VENV)/.dev  ## build sdist and wheel into dist/, test the installed wheel
	rm -rf dist build/lib* build/bdist*  # what an older build left would go into the wheel
	$(BIN)/python -m build --outdir dist .
	$(BIN)/python .ci/test_wheel.py dist

checked: $(VENV)/.dev  ## rebuild the kernels with bounds checks and sanitizers, run their tests
	.ci/checked

aarch64: $(VENV)/.dev  ## cross-compile the arm64 wheel, run its kernels' tests under qemu-user
	.ci/aarch64

freethreaded:  ## run the kernels' tests without the GIL; builds that Python once (minutes, not in .ci/run)
	.ci/freethreaded

bench: $(VENV)/.dev  ## time the kernels side by side, a sweep's counting, two threads against one
	$(BIN)/python -m benches.kernels
	$(BIN)/python -m benches.streams
	$(BIN)/python -m benches.threads

bench-counts: $(VENV)/.dev  ## run every bench once, untimed: its exact counts must hold
	$(BIN)/pytest benches --benchmark-disable

# Reports are tested in a real browser, completions in the real shells: they come from the system.
SYSTEM := chromium zsh fish man
browser:
	@missing=$$(for one in $(SYSTEM); do command -v $$one >/dev/null || echo $$one; done); \
	packages=$$(echo $$missing | sed 's/\bman\b/man-db/'); \
	if [ -z "$$missing" ]; then :; \
	elif [ "$$(id -u)" = 0 ]; then apt-get -qq update && apt-get -qq -y install $$packages >/dev/null; \
	else echo "make test needs them: sudo apt-get install $$packages" >&2; exit 1; fi

# The lab runs a real kernel in QEMU; the kernel itself is fetched by the tests, into the cache.
GUEST := qemu-system-x86 busybox-static cpio make gcc libc6-dev debian-archive-keyring flex bison bc libelf-dev xz-utils tmux
guest:
	@command -v qemu-system-x86_64 >/dev/null && command -v busybox >/dev/null && command -v cpio >/dev/null && \
	  command -v flex >/dev/null && command -v bison >/dev/null && command -v bc >/dev/null && command -v xz >/dev/null && command -v tmux >/dev/null && \
	  test -f /usr/include/gelf.h || { \
	  if [ "$$(id -u)" = 0 ]; then apt-get -qq update && apt-get -qq -y install --no-install-recommends $(GUEST) >/dev/null; \
	  else echo "make test-guest boots kernels in QEMU: sudo apt-get install $(GUEST)" >&2; exit 1; fi; }

# Two ends of one machine, each with the servers and programs that a board has.
BOARD := iproute2 ethtool iperf3 sockperf iputils-ping openssh-server dropbear-bin busybox-static
BOARD_TOOLS := ip tc ethtool iperf3 sockperf ping ssh-keygen busybox dropbear
board-tools:
	@test "$$(id -u)" = 0 || { echo "make test-board makes network namespaces: it needs root" >&2; exit 1; }
	@for one in $(BOARD_TOOLS) /usr/sbin/sshd; do command -v $$one >/dev/null || missing=yes; done; \
	[ -z "$$missing" ] || { apt-get -qq update && apt-get -qq -y install --no-install-recommends $(BOARD) >/dev/null; }

clean:  ## remove the venv and everything built
	rm -rf $(VENV) .venv-* build dist *.egg-info ext/*.c $(shell find ntbbench -name "*.so")

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "ntbbench needs Python 3.11 or newer with venv: sudo apt-get install python3-venv python3-dev" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.built: $(VENV)/bin/python $(SOURCES)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.built
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@
