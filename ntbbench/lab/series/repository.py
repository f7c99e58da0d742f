# SPDX-License-Identifier: BSD-3-Clause
"""A scratch repository with the kernel files that the lab builds, and git to move it on."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from ntbbench.lab.commands import CommandOutput, program, run

# What a hook, `git rebase -x` or `git bisect run` sets would be another repository than ours.
OUTER = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX")
# So that no setting of the user's changes how a mail is read or applied.
ALONE = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}


def git(
    *words: str | Path, stdin: bytes = b"", env: Mapping[str, str] | None = None
) -> CommandOutput:
    """Run git, and return what it said; MissingToolError: there is none."""
    program("git")
    command = ["env", *(word for name in OUTER for word in ("-u", name)), "git", *words]
    return run(command, stdin=stdin, env=env)


class Repository:
    """The files at one commit, in a folder with an index; it has no commits of its own."""

    def __init__(self, folder: Path, files: Mapping[str, Path], objects: Path | None) -> None:
        """Begin with these files.

        Parameters
        ----------
        files : paths in the kernel tree, and where their content is.
        objects : of the user's repository, so that a patch that does not fit can be merged.
        """
        self.folder, self.names = folder, tuple(files)
        self._env = dict(ALONE)
        if objects is not None:
            self._env["GIT_ALTERNATE_OBJECT_DIRECTORIES"] = str(objects)
        folder.mkdir(parents=True)
        self._git("init", "--quiet")
        for name, path in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(path.read_bytes())
        self._git("add", "--all", "--force")

    def _git(self, *words: str | Path) -> CommandOutput:
        return git("-C", self.folder, *words, env=self._env)

    def apply(self, patch: Path) -> str:
        """Apply what a patch changes of the files, as `git am -3` does; return why it cannot be.

        A patch that cannot be applied leaves nothing.
        """
        before = self.tree
        applying = ["apply", "--index", "--whitespace=nowarn"]
        included = [f"--include={name}" for name in self.names]
        refused = self._git(*applying, *included, patch)
        if not refused.status:
            return ""
        merged = self._git(*applying, "--3way", *included, patch)
        if not merged.status:
            return ""
        self._git("read-tree", "--reset", "-u", before)
        return first_refusal(refused.stderr)

    @property
    def tree(self) -> str:
        """The name of the tree that the files are."""
        return self._git("write-tree").stdout.strip()

    def export(self, folder: Path) -> Path:
        """Write the files as they are to a new folder, and return it."""
        self._git("checkout-index", "--all", f"--prefix={folder.absolute()}/")
        return folder


def first_refusal(said: str) -> str:
    """Return the first thing that `git apply` refused, as it words it."""
    lines = (line.removeprefix("error: ").strip() for line in said.splitlines())
    return next((line for line in lines if line), "git apply gave no reason")


def touched(patch: Path) -> tuple[str, ...]:
    """Return the paths that a patch changes, as they are called after it."""
    listed = git("apply", "--numstat", "-z", patch, env=ALONE).stdout.split("\0")
    return tuple(line.split("\t")[-1] for line in listed if "\t" in line)


def left_out(names: Iterable[str], known: Iterable[str]) -> tuple[str, ...]:
    """Return those of the changed paths that the lab does not build."""
    return tuple(sorted({*names} - {*known}))
