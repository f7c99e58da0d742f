# SPDX-License-Identifier: BSD-3-Clause
"""Which packages make a kernel, the cache that holds them, and what does not build: no network."""

import errno
import fcntl
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import children
import pytest

from ntbbench.cli.main import main
from ntbbench.core.errors import InputError
from ntbbench.lab.commands import BuildError, FetchError
from ntbbench.lab.packages import apt
from ntbbench.lab.packages.apt import Archive, Package, parse_stanza, version_key
from ntbbench.lab.packages.cache import Cache, damaged, default_root, write_checksums
from ntbbench.lab.packages.fetch import LOADER, cached, wrap_programs
from ntbbench.lab.packages.modules import Kernel, build

# Oldest first, as Debian orders them.
VERSIONS = [
    "6.1.9-1",
    "6.1.192-1",
    "6.1.192-2",
    "6.12.95-1~bpo12+1",
    "6.12.95-1",
    "6.12.117-1~deb12u1",
    "6.12.117-1",
    "7.3~rc4-1",
    "7.3.4-1~bpo13+1",
    "7.3.4-1",
    "1:1.3.dfsg+really1.3.1-1+deb13u1",
]
STANZA = """\
Package: linux-headers-7.3.4+deb13-amd64
Source: linux
Version: 7.3.4-1~bpo13+1
Depends: gcc-14-for-host, linux-base (>= 4.12~), linux-kbuild-7.3.4+deb13, libc6 (>= 2.38) | x
Size: 1813392
"""


def package(name: str, version: str, *depends: str) -> Package:
    return Package(name, version, depends, (), 1)


def one_kernel(version: str = "6.12.95-1", abi: str = "6.12.95+deb12") -> list[Package]:
    parts = (f"linux-headers-{abi}-common", f"linux-kbuild-{abi}")
    return [
        package("linux-source-6.12", version),
        package(f"linux-headers-{abi}-amd64", version, *parts, "gcc-12"),
        *(package(name, version) for name in parts),
        package(f"linux-image-{abi}-amd64", version),
        package(f"linux-image-{abi}-amd64-unsigned", version),
        package("linux-headers-6.12-amd64", version, f"linux-headers-{abi}-amd64"),
    ]


def test_versions_sort_as_dpkg_sorts_them() -> None:
    shuffled = [*VERSIONS[1::2], *VERSIONS[::2]]
    assert sorted(shuffled, key=version_key) == VERSIONS
    for older, newer in pairwise(VERSIONS):
        command = ["dpkg", "--compare-versions", older, "lt", newer]
        assert children.run(command, check=False).returncode == 0


def test_a_stanza_gives_names_and_limits() -> None:
    found = parse_stanza(STANZA)
    assert found.name == "linux-headers-7.3.4+deb13-amd64"
    assert found.version == "7.3.4-1~bpo13+1"
    assert found.depends == ("gcc-14-for-host", "linux-base", "linux-kbuild-7.3.4+deb13", "libc6")
    assert found.limits == (("linux-base", "4.12~"), ("libc6", "2.38"))
    assert found.size == 1813392


def test_a_kernel_is_its_source_image_headers_and_tools() -> None:
    parts = apt.assemble(one_kernel())
    assert parts is not None
    source, image, headers = parts
    assert source.name == "linux-source-6.12"
    assert image.name == "linux-image-6.12.95+deb12-amd64-unsigned"
    assert [p.name for p in headers] == [
        "linux-headers-6.12.95+deb12-amd64",
        "linux-headers-6.12.95+deb12-common",
        "linux-kbuild-6.12.95+deb12",
    ]


@pytest.mark.parametrize("missing", ["linux-source", "linux-headers-6.12.95+deb12-common",
                                     "linux-kbuild", "linux-image"])  # fmt: skip
def test_an_incomplete_kernel_is_none(missing: str) -> None:
    left = [p for p in one_kernel() if not p.name.startswith(missing)]
    assert apt.assemble(left) is None


def test_the_newest_complete_version_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    newer = one_kernel("6.12.117-1", "6.12.117+deb12")
    half = [p for p in one_kernel("6.12.118-1", "6.12.118+deb12") if "image" not in p.name]
    listed = sorted([*one_kernel(), *newer, *half], key=lambda p: version_key(p.version))
    monkeypatch.setattr(Archive, "names", lambda *_: ["some"])
    monkeypatch.setattr(Archive, "versions", lambda *_: list(reversed(listed)))
    assert apt.resolve(Archive(Path()), "6.12").version == "6.12.117-1"
    assert apt.resolve(Archive(Path()), "6.12.95").version == "6.12.95-1"
    with pytest.raises(FetchError, match=r"debian:6\.1: no suite has all of its packages"):
        apt.resolve(Archive(Path()), "6.1")


@pytest.mark.parametrize("spec", ["6.12", "debian:", "debian:6", "debian:6.12-rc1", "ubuntu:6.12"])
def test_a_bad_kernel_name_is_refused(spec: str) -> None:
    with pytest.raises(InputError, match="debian:VERSION"):
        apt.parse_spec(spec)


def test_the_cache_is_where_the_user_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("NTBBENCH_CACHE", raising=False)
    assert default_root(None) == tmp_path / "ntbbench"
    monkeypatch.setenv("NTBBENCH_CACHE", str(tmp_path / "own"))
    assert default_root(None) == tmp_path / "own"
    assert default_root(tmp_path / "given") == tmp_path / "given"


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    cache, place = Cache(tmp_path), tmp_path / "kernels" / "one"
    (tmp_path / "kernels" / ".new-left-by-a-crash").mkdir(parents=True)

    def fails(folder: Path) -> None:
        (folder / "half").touch()
        raise FetchError("no network")

    with pytest.raises(FetchError):
        cache.publish(place, fails)
    assert list((tmp_path / "kernels").iterdir()) == []
    cache.publish(place, lambda folder: (folder / "a").touch())
    cache.publish(place, lambda folder: (folder / "b").touch())
    assert [path.name for path in place.iterdir()] == ["b"]
    assert list((tmp_path / "kernels").iterdir()) == [place]


def test_two_runs_do_not_write_at_once(tmp_path: Path) -> None:
    held = Cache(tmp_path).lock(print)
    with held, (tmp_path / "lock").open("w") as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_run_that_waits_for_another_says_so(tmp_path: Path) -> None:
    told: list[str] = []

    def second() -> None:
        with Cache(tmp_path).lock(told.append):
            told.append("in")

    with ThreadPoolExecutor(1) as pool:
        with Cache(tmp_path).lock(told.append):
            waits = pool.submit(second)
            while not told:
                assert not waits.done()
        waits.result(timeout=10)
    assert told == [f"another run is using the cache {tmp_path}, waiting", "in"]


@pytest.fixture
def read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that holds a kernel and that nobody may write to: root ignores a folder's mode."""
    root, opened = tmp_path / "shared", os.open
    (root / "kernels" / "6.12.1-1").mkdir(parents=True)
    (root / "kernels" / "6.12.1-1" / "kernel.json").write_text(
        '{"version": "6.12.1-1", "release": "6.12.1", "packages": []}'
    )
    (root / "lock").touch()

    def refuse(path: str, flags: int, *rest: Any, **options: Any) -> int:
        if str(path).startswith(str(root)) and flags & (os.O_WRONLY | os.O_RDWR):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)
        return opened(path, flags, *rest, **options)

    monkeypatch.setattr("os.open", refuse)
    monkeypatch.setattr("builtins.open", partial(open, opener=refuse))
    monkeypatch.setattr("io.open", partial(open, opener=refuse))
    return root


@pytest.mark.parametrize("has_lock", [True, False])
def test_a_cache_that_may_only_be_read_is_used(read_only: Path, has_lock: bool) -> None:
    if not has_lock:
        (read_only / "lock").unlink()
    assert main(["lab", "fetch", "--cache", str(read_only)]) == 0


def test_what_a_read_only_cache_lacks_is_one_line(read_only, capsys) -> None:
    command = ["lab", "fetch", "--kernel", "debian:7.3", "--cache", str(read_only)]
    assert main(command) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        f"ntbbench: --cache: '{read_only}': lacks what this run needs and cannot be written: "
        "Read-only file system"
    )
    with pytest.raises(InputError, match="cannot be written"):
        Cache(read_only).publish(read_only / "modules" / "one", lambda _: None)


def test_a_changed_file_is_found(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("one")
    (tmp_path / "b").write_text("two")
    write_checksums(tmp_path)
    assert damaged(tmp_path) == []
    (tmp_path / "a").write_text("One")
    (tmp_path / "b").unlink()
    assert damaged(tmp_path) == ["a", "b"]
    check = ["sha256sum", "-c", "--status", "SHA256SUMS"]
    assert children.run(check, cwd=tmp_path, check=False, stderr=subprocess.DEVNULL).returncode


def test_a_damaged_manifest_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "kernels" / "6.12.95-1"
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text("{")
    with pytest.raises(FetchError, match=r"kernel\.json: .*fetch again"):
        cached(Cache(tmp_path), "6.12")


def test_build_tools_of_a_newer_suite_run_on_its_libraries(tmp_path: Path) -> None:
    """A program of this machine, wrapped with this machine's own loader, still works."""
    tools = tmp_path / "headers" / "usr" / "lib" / "linux-kbuild" / "scripts"
    libraries = tmp_path / "runtime" / "usr"
    for folder in (tools, libraries / "lib64", libraries / "lib" / "x86_64-linux-gnu"):
        folder.mkdir(parents=True)
    (tools / "echo").write_bytes(Path("/bin/echo").read_bytes())
    (tools / "echo").chmod(0o755)
    (tools / "script").write_text("#!/bin/sh\n")
    (libraries / "lib64" / LOADER).symlink_to(f"/lib64/{LOADER}")
    wrap_programs(tmp_path / "headers", tmp_path / "runtime")
    assert (tools / "script").read_text() == "#!/bin/sh\n"
    assert (tools / "echo").read_text().startswith("#!/bin/sh\n")
    told = children.run([tools / "echo", "a b"], capture_output=True, text=True, check=True)
    assert told.stdout == "a b\n"


MADE = "a path of letters, digits and _ / . + @ ~ - alone: make runs the rest"
ODD = ("a b", "c;touch hit;", "$(touch hit)", "`touch hit`", "a:b", "a#b", "a%b", "a\nb", "a'b")


@pytest.mark.parametrize("through", ["by name", "by a link"])
@pytest.mark.parametrize("option", ["--cache", "--kbuild"])
@pytest.mark.parametrize("name", ODD)
def test_no_shell_of_make_sees_a_path(
    name: str, option: str, through: str, tmp_path: Path, monkeypatch, ntbbench
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / name
    config = folder / "include" / "config" / "auto.conf"
    config.parent.mkdir(parents=True)
    config.touch()
    Path("bzImage").touch()
    if through == "by a link":
        Path("link").symlink_to(folder)
    path = folder if through == "by name" else tmp_path / "link"
    image = ("--image", "bzImage", "--kbuild", path if option == "--kbuild" else "none")
    ran = ntbbench("lab", "run", *image, "--cache", path if option == "--cache" else "cache")
    assert ran.code == 2
    assert ran.err == f"ntbbench: {option}: {str(folder)!r}: {MADE}\n"
    assert not Path("hit").exists()


def test_no_network_is_one_line(tmp_path, monkeypatch, capsys) -> None:
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert main(["lab", "fetch", "--cache", str(tmp_path)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith("ntbbench: cannot read Debian's package lists: ")
    assert not list((tmp_path / "kernels").glob("*"))


def test_a_kernel_with_its_own_ntb_core_is_refused(tmp_path, capsys) -> None:
    (tmp_path / "include" / "config").mkdir(parents=True)
    (tmp_path / "include" / "config" / "auto.conf").write_text("CONFIG_NTB=y\n")
    (tmp_path / "bzImage").touch()
    options = ["--image", str(tmp_path / "bzImage"), "--kbuild", str(tmp_path)]
    assert main(["lab", "run", *options, "-o", str(tmp_path / "x.json")]) == 2
    assert "CONFIG_NTB=n or m" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("makefile", "told"),
    [
        ("VERSION = 7\nPATCHLEVEL = 3\nSUBLEVEL = 0\nEXTRAVERSION = -rc2\n", "Linux 7.3.0-rc2, "),
        ("VERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = 9\nEXTRAVERSION =\n", None),
        (None, "the kernel is 6.12.117+deb12-amd64; --source has no Makefile"),
    ],
)
def test_a_tree_that_does_not_build_tells_both_versions_where_they_differ(
    makefile: str | None, told: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "include" / "config").mkdir(parents=True)
    (tmp_path / "include" / "config" / "kernel.release").write_text("6.12.117+deb12-amd64\n")
    if makefile is not None:
        (tmp_path / "Makefile").write_text(makefile)

    def fails(*_: object) -> Path:
        raise BuildError("debian:6.12: ntb_transport.c:1540:26: error: implicit declaration")

    monkeypatch.setattr("ntbbench.lab.packages.modules.build_modules", fails)
    kernel = Kernel("debian:6.12", tmp_path / "image", tmp_path, tmp_path, str(tmp_path))
    for own in (kernel, replace(kernel, source_tree="")):
        with pytest.raises(BuildError, match=r"1540:26: error: implicit declaration") as caught:
            build(Cache(tmp_path / "cache"), own, print)
        if told is not None and own is kernel:
            assert told in str(caught.value)
        else:
            assert "(" not in str(caught.value)


def test_doctor_names_what_is_missing_and_one_command(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr("ntbbench.lab.commands.SYSTEM_FOLDERS", "")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["lab", "doctor", "--cache", str(tmp_path / "cache")]) == 1
    told = capsys.readouterr().out
    for program, brings in (("qemu-system-x86_64", "qemu-system-x86"), ("cpio", "cpio"),
                            ("busybox", "busybox-static")):  # fmt: skip
        assert f"MISSING  {program}: " in told
        assert brings in told.splitlines()[-1]
    assert "apt-get install" in told.splitlines()[-1]
    assert told.splitlines()[-1].endswith("&& ntbbench lab fetch --kernel debian:6.12")
