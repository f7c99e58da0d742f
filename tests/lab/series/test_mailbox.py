# SPDX-License-Identifier: BSD-3-Clause
"""Mails as lists deliver them: whatever their form, the patches and their order are the same."""

import quopri
from base64 import encodebytes
from pathlib import Path

import pytest
from series_mails import Commits

from ntbbench.core.errors import InputError
from ntbbench.lab.series.mailbox import Mailbox, read_mailbox
from ntbbench.lab.series.repository import Repository

FILE = "drivers/ntb/hw/epf/ntb_hw_epf.c"
PLAIN = "Content-Type: text/plain; charset=UTF-8\n"
BASE = "int first;\nint second;\nint third;\n"
TEXTS = (
    "int first;\nint second = 2; /* Größe, 30 % = viel */\nint third;\n",
    "int first;\nint second = 2; /* Größe, 30 % = viel */\nint third = 3;\nint fourth;\n",
    "int fourth;\n",
)


@pytest.fixture
def mails(tmp_path: Path) -> list[bytes]:
    """A cover letter and three patches, a mail each."""
    commits = Commits(tmp_path / "repository", {FILE: BASE})
    for number, text in enumerate(TEXTS, 1):
        commits.commit(
            f"NTB: epf: Step {number} of a driver whose subject is naïvely long", {FILE: text}
        )
    commits.git(
        "format-patch",
        "--quiet",
        "--cover-letter",
        "-v4",
        "-o",
        str(tmp_path / "out"),
        commits.base,
    )
    return [path.read_bytes() for path in sorted((tmp_path / "out").iterdir())]


def read(tmp_path: Path, *mails: bytes) -> Mailbox:
    (tmp_path / "mbox").write_bytes(b"".join(mails))
    return read_mailbox("MBOX", tmp_path / "mbox", tmp_path / "scratch")


def applied(tmp_path: Path, box: Mailbox) -> list[str]:
    """Return the file after each patch."""
    (tmp_path / "base").write_text(BASE)
    repository = Repository(tmp_path / "applied", {FILE: tmp_path / "base"}, None)
    texts = []
    for mail in box.patches:
        assert repository.apply(mail.patch) == ""
        texts.append((tmp_path / "applied" / FILE).read_text())
    return texts


def body_of(mail: bytes) -> tuple[bytes, bytes]:
    """Return the headers of a mail without what they say of its body, and the body."""
    head, _, body = mail.partition(b"\n\n")
    kept = [line for line in head.split(b"\n") if not line.startswith((b"MIME", b"Content-"))]
    return b"\n".join(kept), body


def encoded(mail: bytes, encoding: str) -> bytes:
    head, body = body_of(mail)
    encode = {"quoted-printable": quopri.encodestring, "base64": encodebytes}[encoding]
    how = f"MIME-Version: 1.0\n{PLAIN}Content-Transfer-Encoding: {encoding}\n\n"
    return head + b"\n" + how.encode() + encode(body) + b"\n"


def with_a_signature(mail: bytes) -> bytes:
    head, body = body_of(mail)
    return (
        head + b'\nMIME-Version: 1.0\nContent-Type: multipart/signed; boundary="=-b"\n\n'
        b"--=-b\n" + PLAIN.encode() + b"\n" + body
        + b"\n--=-b\nContent-Type: application/pgp-signature\n\nnone\n--=-b--\n\n"
    )  # fmt: skip


FORMS = {
    "as written": lambda mail: mail,
    "CRLF": lambda mail: mail.replace(b"\n", b"\r\n"),
    "quoted-printable": lambda mail: encoded(mail, "quoted-printable"),
    "base64": lambda mail: encoded(mail, "base64"),
    "base64 of CRLF": lambda mail: encoded(
        mail.partition(b"\n\n")[0] + b"\n\n" + mail.partition(b"\n\n")[2].replace(b"\n", b"\r\n"),
        "base64",
    ),
    "MIME": with_a_signature,
    "quoted-printable, CRLF": lambda mail: encoded(mail, "quoted-printable").replace(
        b"\n", b"\r\n"
    ),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 1, 0, 2)])
def test_patches_are_the_same_in_every_form_and_order(tmp_path, mails, form, order) -> None:
    box = read(tmp_path, *(FORMS[form](mails[number]) for number in order))
    assert [mail.number for mail in box.patches] == [1, 2, 3]
    assert [mail.subject for mail in box.patches] == [
        f"NTB: epf: Step {number} of a driver whose subject is naïvely long" for number in (1, 2, 3)
    ]
    assert {mail.names for mail in box.patches} == {(FILE,)}
    assert box.left_out == ("[PATCH v4 0/3] *** SUBJECT HERE ***",)
    assert applied(tmp_path, box) == list(TEXTS)


def test_replies_are_left_out(tmp_path: Path, mails: list[bytes]) -> None:
    head, body = body_of(mails[1])
    reply = head.replace(b"Subject: ", b"Subject: Re: ") + b"\n\nfixed up as follows:\n" + body
    box = read(tmp_path, mails[1], reply)
    assert len(box.patches) == 1 and box.left_out[0].startswith("Re: [PATCH v4 1/3] ")


@pytest.mark.parametrize("ending", [".patch", ".eml"])
def test_a_folder_has_a_mail_a_file(tmp_path: Path, mails: list[bytes], ending: str) -> None:
    folder = tmp_path / "patches"
    folder.mkdir()
    (folder / "notes.txt").write_text("none of them")
    for number, mail in enumerate(mails):
        (folder / f"{number}{ending}").write_bytes(mail.partition(b"\n")[2])  # no From line
    box = read_mailbox("MBOX", folder, tmp_path / "scratch")
    assert applied(tmp_path, box) == list(TEXTS)


def test_a_maildir_is_read(tmp_path: Path, mails: list[bytes]) -> None:
    for name in ("cur", "new"):
        (tmp_path / "box" / name).mkdir(parents=True)
    for number, mail in enumerate(mails):
        (tmp_path / "box" / "cur" / f"{number}.host:2,S").write_bytes(mail.partition(b"\n")[2])
    box = read_mailbox("MBOX", tmp_path / "box", tmp_path / "scratch")
    assert applied(tmp_path, box) == list(TEXTS)


NO_PATCH = "a mailbox or a folder with at least one patch"


@pytest.mark.parametrize(
    ("numbers", "told"),
    [
        ((0,), NO_PATCH),
        ((), "a mailbox that git can split into mails"),
        ((1, 2, 5), "patches of one version of a series, not v4 and v5"),
        ((1, 2, 1), "each patch once; number 1 comes again"),
    ],
)
def test_what_is_no_series_is_one_line(tmp_path: Path, mails, numbers, told) -> None:
    later = [mail.replace(b"[PATCH v4 ", b"[PATCH v5 ") for mail in mails]
    with pytest.raises(InputError) as caught:
        read(tmp_path, *((mails + later)[number] for number in numbers))
    assert str(caught.value) == f"MBOX: '{tmp_path / 'mbox'}': {told}"


def test_a_folder_without_mails_says_how_they_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"a folder with files named \*\.patch, \*\.eml, \*\.mbox"):
        read_mailbox("MBOX", tmp_path / "empty", tmp_path / "scratch")


def test_a_patch_that_does_not_fit_leaves_nothing(tmp_path: Path, mails: list[bytes]) -> None:
    box = read(tmp_path, mails[1], mails[2])
    (tmp_path / "base").write_text("int other;\n")
    repository = Repository(tmp_path / "applied", {FILE: tmp_path / "base"}, None)
    before = repository.tree
    assert repository.apply(box.patches[0].patch) == f"patch failed: {FILE}:1"
    assert repository.tree == before
    assert (tmp_path / "applied" / FILE).read_text() == "int other;\n"


def test_a_patch_is_merged_where_its_blobs_are_known(tmp_path: Path) -> None:
    """A line of its context has changed since: `git apply` refuses it, `git am -3` merges it."""
    lines = [f"int line_{number};" for number in range(12)]
    commits = Commits(tmp_path / "repository", {FILE: "\n".join(lines)})
    commits.commit("NTB: epf: Change", {FILE: "\n".join(lines).replace("line_6", "sixth")})
    box = read(tmp_path, commits.mails())
    later = "\n".join(lines).replace("line_4", "fourth")
    (tmp_path / "base").write_text(later)
    blobs = tmp_path / "repository" / ".git" / "objects"
    for objects, told in ((None, f"patch failed: {FILE}:4"), (blobs, "")):
        folder = tmp_path / f"applied-{objects is None}"
        repository = Repository(folder, {FILE: tmp_path / "base"}, objects)
        assert repository.apply(box.patches[0].patch) == told
        merged = later if told else later.replace("line_6", "sixth")
        assert (folder / FILE).read_text() == merged
