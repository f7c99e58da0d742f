# SPDX-License-Identifier: BSD-3-Clause
"""Mailboxes made in the test's own repository, as `git format-patch` writes them."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

AUTHOR = {
    **os.environ,
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_AUTHOR_NAME": "Jörg Tester",
    "GIT_AUTHOR_EMAIL": "tester@example.org",
    "GIT_COMMITTER_NAME": "tester",
    "GIT_COMMITTER_EMAIL": "tester@example.org",
    "GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z",
    "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z",
}


class Commits:
    """A repository whose commits become mails."""

    def __init__(self, folder: Path, base: Mapping[str, str]) -> None:
        self.folder = folder
        folder.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")
        self.base = self.commit("base", base)

    def git(self, *words: str) -> str:
        command = ["git", "-C", str(self.folder), *words]
        done = subprocess.run(command, env=AUTHOR, capture_output=True, text=True, check=True)
        return done.stdout

    def commit(self, subject: str, files: Mapping[str, str]) -> str:
        """Commit files with this content, and return the commit."""
        for name, text in files.items():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", f"--message={subject}")
        return self.git("rev-parse", "HEAD").strip()

    def mails(self, *words: str) -> bytes:
        """Return the commits after the base as one mailbox."""
        return self.git("format-patch", "--stdout", *words, self.base).encode()

    def mailbox(self, path: Path, *words: str) -> Path:
        """Write the commits after the base to a mailbox."""
        path.write_bytes(self.mails(*words))
        return path
