# SPDX-License-Identifier: BSD-3-Clause
"""The datapath model on ns-3's event queue, compiled where ns-3 is installed."""

import importlib.util
import shlex
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

from ntbbench.core.environment import BUILD
from ntbbench.datapath.engine import buffers
from ntbbench.datapath.engine.engine_plan import outcome, plan
from ntbbench.datapath.outcome import SystemOutcome
from ntbbench.datapath.system import System

HERE = Path(__file__).parent
MODEL = HERE.parent / "ext"
HEADER = Path("/usr/include/ns3/simulator.h")  # where Debian's libns3-dev has it
DIRECTIVES = "boundscheck=False,wraparound=False,initializedcheck=False,cdivision=True"  # setup.py


def built(directory: Path) -> Path:
    """Compile the model and its queue into one module.

    The model has the flags of the engines; ns-3's pkg-config file names a folder `/usr;`, which
    breaks a shell, so the library is named here.
    """
    c, module = directory / "ns3_datapath.c", directory / "ns3_datapath.so"
    queue, model = directory / "queue.o", directory / "model.o"
    cython = [sys.executable, "-m", "cython", "-3", "-X", DIRECTIVES, "-I", str(MODEL)]
    cc, cxx = (shlex.split(sysconfig.get_config_var(name)) for name in ("CC", "CXX"))
    python = f"-I{sysconfig.get_path('include')}"
    for command in (
        [*cython, str(HERE / "ns3_datapath.pyx"), "-o", str(c)],
        [*cc, *BUILD.flags.split(), "-fPIC", python, "-c", str(c), "-o", str(model)],
        [*cxx, "-O2", "-fPIC", "-c", str(HERE / "ns3_events.cc"), "-o", str(queue)],
        [*cxx, "-shared", str(model), str(queue), "-lns3-core", "-o", str(module)],
    ):
        subprocess.run(command, check=True)
    return module


def on_ns3(directory: Path) -> Callable[[System], SystemOutcome]:
    """Return what simulates a point on ns-3, compiled into `directory`."""
    spec = importlib.util.spec_from_file_location("ns3_datapath", built(directory))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    # The keys as every engine has them; the tree and the places are the heap's, unused here.
    engine = buffers.Engine(module.run, buffers.heap_of)

    def run(point: System) -> SystemOutcome:
        resolved = plan(point)
        return outcome(resolved, buffers.run(resolved, 1, engine, 0)[0])

    return run
