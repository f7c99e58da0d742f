# SPDX-License-Identifier: BSD-3-Clause
"""The lab's modules for one kernel: the NTB files as they are, and the lab's own two."""

import hashlib
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from ntbbench.core.errors import InputError
from ntbbench.lab.commands import BuildError, CommandOutput, program, run
from ntbbench.lab.packages.cache import Cache, check_for_make
from ntbbench.lab.packages.fetch import NTB_FILES

MODULES = ("ntb.ko", "ntb_transport.ko", "ntb_netdev.ko", "ntb_loop.ko", "ntb_lab.ko")
OWN_FILES = ("Kbuild", "ntb_loop.c", "ntb_lab.c")
ERROR = re.compile(r"(?:error|undefined)!?[: ]|ERROR: modpost|No rule to make", re.IGNORECASE)
# What a make that runs us or the user's shell would pass on: no build's key knows it.
MAKE_STATE = (
    *("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "GNUMAKEFLAGS"),
    *("KCFLAGS", "KCPPFLAGS", "KAFLAGS"),
)
SETTING = re.compile(r"^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION)[ \t]*=[ \t]*(\S*)[ \t]*$", re.M)
SERIES = re.compile(r"\d+\.\d+")
ALIGNMENT = "CONFIG_CC_HAS_MIN_FUNCTION_ALIGNMENT"  # gcc 14: -fmin-function-alignment


@dataclass(frozen=True)
class Kernel:
    """A kernel to boot, and the NTB files to build for it."""

    label: str  # how the user named it
    image: Path  # compressed boot image
    kbuild: Path  # folder that `make -C` takes to build modules
    source: Path  # root of a kernel tree; only its NTB files are read
    # the tree of --source as it is to be told; empty: the kernel's own NTB files
    source_tree: str = ""


def check_source(option: str, root: Path) -> None:
    """Raise InputError unless `root` is a kernel tree that holds the NTB files."""
    missing = [name for name in NTB_FILES if not (root / name).is_file()]
    if missing:
        raise InputError(option, str(root), f"a kernel tree with {missing[0]}")


def check_kbuild(option: str, kbuild: Path) -> None:
    """Raise InputError unless `kbuild` is a built kernel whose NTB core can be a module of ours."""
    check_for_make(option, kbuild.absolute())
    config = kbuild / "include" / "config" / "auto.conf"
    if not config.is_file():
        raise InputError(option, str(kbuild), "a kernel's build folder (`make modules_prepare`)")
    if re.search(r"^CONFIG_NTB=y$", config.read_text(), re.MULTILINE):
        raise InputError(option, str(kbuild), "CONFIG_NTB=n or m: the lab loads its own NTB core")


@dataclass(frozen=True)
class ModuleSet:
    """What to build out of tree, in one folder."""

    label: str  # what it is for, as the user named it
    kbuild: Path  # folder that `make -C` takes to build modules
    sources: Mapping[str, Path]  # files by their name in the build folder
    modules: tuple[str, ...]  # file names that the build must leave
    flags: tuple[str, ...] = ()  # make's variables, beside those of every build


def build(cache: Cache, kernel: Kernel, say: Callable[[str], None]) -> Path:
    """Return the folder with the loopback modules, building them unless the cache has just these;
    BuildError: with the compiler's first error, and both versions where they may be its cause."""
    guest = Path(str(files("ntbbench.lab") / "guest"))
    own = {name: guest / name for name in OWN_FILES}
    sources = {**ntb_sources(kernel.source), **own}
    try:
        return build_modules(cache, ModuleSet(kernel.label, kernel.kbuild, sources, MODULES), say)
    except BuildError as error:
        if hint := _version_hint(kernel):
            raise BuildError(f"{error} ({hint})") from error
        raise


def _version_hint(kernel: Kernel) -> str:
    release = kernel.kbuild / "include" / "config" / "kernel.release"
    if not kernel.source_tree or not release.is_file():
        return ""
    booted, own = release.read_text().strip(), tree_version(kernel.source)
    if own is None:
        return f"the kernel is {booted}; --source has no Makefile that tells its version"
    series = [SERIES.match(version) for version in (own, booted)]
    if len({match and match[0] for match in series}) == 1:
        return ""
    return f"--source is Linux {own}, the kernel is {booted}: choose one of its version, --kernel"


def tree_version(root: Path) -> str | None:
    """Return the version that the Makefile of a kernel tree says; None: it says none."""
    try:
        text = (root / "Makefile").read_text(errors="replace")
    except OSError:
        return None
    found = dict(SETTING.findall(text))
    if not found.get("VERSION") or not found.get("PATCHLEVEL"):
        return None
    sublevel = f".{found['SUBLEVEL']}" if found.get("SUBLEVEL") else ""
    return f"{found['VERSION']}.{found['PATCHLEVEL']}{sublevel}{found.get('EXTRAVERSION', '')}"


def ntb_sources(tree: Path) -> dict[str, Path]:
    """Return the NTB files of a kernel tree by their name in a build folder."""
    return {
        name if name.startswith("include/") else Path(name).name: tree / name for name in NTB_FILES
    }


def build_modules(cache: Cache, wanted: ModuleSet, say: Callable[[str], None]) -> Path:
    """Return the folder with the modules, building them unless the cache has just these;
    BuildError: with the compiler's first error."""
    settings = (*compiler_settings(wanted.kbuild), *wanted.flags)
    place = cache.root / "modules" / _key(wanted, settings)
    words = f"building the modules for {wanted.label}"
    return cache.kept(place, words, say, lambda folder: _make(folder, wanted, settings))


def build_program(cache: Cache, name: str, say: Callable[[str], None]) -> Path:
    """Return the guest's program `name`, linked statically: there is no other in the guest.

    BuildError: with the compiler's first error.
    """
    return compile_program(cache, Path(str(files("ntbbench.lab") / "guest" / f"{name}.c")), (), say)


def compile_program(
    cache: Cache, source: Path, headers: tuple[Path, ...], say: Callable[[str], None]
) -> Path:
    """Return the program that is one C file, linked statically, with the headers that are not the
    compiler's; BuildError: with the compiler's first error."""
    content = b"".join(path.read_bytes() for path in (source, *headers))
    place = cache.root / "programs" / hashlib.sha256(content).hexdigest()[:16]
    name = source.stem
    beside = [f"-I{path.parent}" for path in headers]

    def compile_into(folder: Path) -> None:
        # a program may say the name of its file: never where that lies
        named = f"-fmacro-prefix-map={source.parent}/="
        result = run(["gcc", "-O2", "-static", named, *beside, "-o", folder / name, source])
        if result.status:
            raise BuildError(f"{source.name}: {first_error(result, source.parent)}")

    return cache.kept(place, f"building {name}", say, compile_into) / name


def compiler_settings(kbuild: Path) -> tuple[str, ...]:
    """Return the make settings that let this machine's compiler build for `kbuild`.

    Debian's headers name the very compiler of the kernel. Where it is absent the default gcc does:
    the modules' layout does not depend on it, only flags that it may not know.
    """
    variables = kbuild / ".kernelvariables"
    named = re.search(r"\)(gcc-\d+)$", variables.read_text(), re.M) if variables.is_file() else None
    if named is None or shutil.which(f"x86_64-linux-gnu-{named[1]}"):
        return ()
    gcc = program("gcc")
    configured = (kbuild / "include" / "config" / "auto.conf").read_text()
    flag = ["-fmin-function-alignment=16", "-fsyntax-only", "-x", "c", "/dev/null"]
    unknown = f"{ALIGNMENT}=y" in configured and run([gcc, *flag]).status
    return (f"CC={gcc}", *([f"{ALIGNMENT}="] if unknown else []))


def _key(wanted: ModuleSet, settings: tuple[str, ...]) -> str:
    digest = hashlib.sha256(repr((str(wanted.kbuild), settings)).encode())
    for name, path in {"symvers": wanted.kbuild / "Module.symvers", **wanted.sources}.items():
        content = path.read_bytes() if path.is_file() else b""
        digest.update(f"{name} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]


def _make(folder: Path, wanted: ModuleSet, settings: tuple[str, ...]) -> None:
    work = folder / "build"
    for name, path in wanted.sources.items():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, work / name)
    # pahole is not needed: nothing reads the modules' BTF
    words = ("CONFIG_DEBUG_INFO_BTF_MODULES=", *settings, "modules")
    result = make("-C", wanted.kbuild, f"M={work}", *words)
    missing = [name for name in wanted.modules if not (work / name).is_file()]
    if result.status or missing:
        raise BuildError(f"{wanted.label}: {first_error(result, work)}")
    for name in wanted.modules:
        (work / name).rename(folder / name)
    shutil.rmtree(work)


def make(*words: str | Path, **env: str) -> CommandOutput:
    """Run make on all processors, without what the user's shell says to other builds."""
    command = ["make", f"-j{os.cpu_count() or 1}", *words]
    return run(command, env={**dict.fromkeys(MAKE_STATE, ""), **env})


def first_error(result: CommandOutput, work: Path) -> str:
    """Return the first error of a failed make, with the build folder left out."""
    lines = (result.stderr + result.stdout).splitlines()
    line = next((line for line in lines if ERROR.search(line)), result.last_words)
    return line.replace(f"{work}/", "").strip()
