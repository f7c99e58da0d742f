# SPDX-License-Identifier: BSD-3-Clause
"""Mails with patches: a mailbox, a Maildir or a folder of patch files, as git reads them."""

import re
from dataclasses import dataclass
from email import message_from_bytes, policy
from pathlib import Path

from ntbbench.core.errors import InputError
from ntbbench.lab.series.repository import ALONE, git, touched

NUMBER = re.compile(r"\[[^]]*?\b(?:v(\d+)\b[^]]*?)?(\d+)/(\d+)\s*\]")
REPLY = re.compile(r"\s*(?:re|aw|fwd?):", re.IGNORECASE)
ENDINGS = (".patch", ".eml", ".mbox", ".mbx")
EMAILS = policy.default.clone(utf8=True)


@dataclass(frozen=True)
class PatchMail:
    """A mail that carries a patch."""

    subject: str  # without [PATCH ...]
    number: int | None  # of its series; None: it says none
    version: int  # of its series
    message_id: str
    patch: Path  # the diff alone
    names: tuple[str, ...]  # paths that it changes


@dataclass(frozen=True)
class Mailbox:
    """What a mailbox holds."""

    patches: tuple[PatchMail, ...]  # in the order in which they apply
    left_out: tuple[str, ...]  # subjects of mails that carry no patch to apply


def read_mailbox(option: str, place: Path, scratch: Path) -> Mailbox:
    """Return the patches of a mailbox, a Maildir, or a folder with a mail a file.

    Cover letters and replies are left out. Numbered patches come in the order of their numbers, as
    a mailing list need not keep it.

    InputError: there is no patch, one comes twice, or they are of several versions.
    """
    mails = _split(option, place, scratch / "mails")
    found = [_read(mail, scratch / "patches") for mail in mails]
    patches = [mail for mail in found if isinstance(mail, PatchMail)]
    if not patches:
        raise InputError(option, str(place), "a mailbox or a folder with at least one patch")
    versions = sorted({mail.version for mail in patches})
    if len(versions) > 1:
        told = " and ".join(f"v{version}" for version in versions)
        raise InputError(option, str(place), f"patches of one version of a series, not {told}")
    numbers = [mail.number for mail in patches if mail.number is not None]
    twice = next((number for number in numbers if numbers.count(number) > 1), None)
    if twice is not None:
        raise InputError(option, str(place), f"each patch once; number {twice} comes again")
    if len(numbers) == len(patches):
        patches.sort(key=lambda mail: mail.number or 0)
    return Mailbox(tuple(patches), tuple(mail for mail in found if isinstance(mail, str)))


def _split(option: str, place: Path, folder: Path) -> list[Path]:
    """Return a file for each mail, in their order; CRLF has become LF."""
    folder.mkdir(parents=True)
    sources = [place]
    if place.is_dir() and not (place / "cur").is_dir():
        sources = sorted(p for p in place.iterdir() if p.suffix in ENDINGS and p.is_file())
    if not sources:
        allowed = f"a folder with files named {', '.join(f'*{ending}' for ending in ENDINGS)}"
        raise InputError(option, str(place), allowed)
    for number, source in enumerate(sources):
        below = folder / f"{number:04d}"
        below.mkdir()
        if git("mailsplit", "-b", f"-o{below}", source.absolute(), env=ALONE).status:
            raise InputError(option, str(source), "a mailbox that git can split into mails")
    return sorted(folder.rglob("*/*"))


def _read(mail: Path, patches: Path) -> PatchMail | str:
    """Return the patch of a mail; of a mail without one, its subject."""
    data = mail.read_bytes()
    headers = message_from_bytes(data, policy=EMAILS)
    subject = " ".join(str(headers["subject"] or "").split())
    patches.mkdir(exist_ok=True)
    patch = patches / "-".join(mail.parts[-2:])
    words = ("mailinfo", "--encoding=UTF-8", "--quoted-cr=strip", patch.with_suffix(".text"), patch)
    told = git(*words, stdin=data, env=ALONE)
    names = touched(patch) if not told.status and patch.stat().st_size else ()
    number = NUMBER.search(subject)
    is_cover = number is not None and int(number[2]) == 0
    if not names or is_cover or REPLY.match(subject):
        return subject or "a mail without a subject"
    return PatchMail(
        subject=_title(told.stdout) or subject,
        number=int(number[2]) if number else None,
        version=int((number and number[1]) or 1),
        message_id=str(headers["message-id"] or "").strip(),
        patch=patch,
        names=names,
    )


def _title(info: str) -> str:
    """Return the subject of what `git mailinfo` says, which has no [PATCH] any more."""
    return next((text[9:] for text in info.splitlines() if text.startswith("Subject: ")), "")
