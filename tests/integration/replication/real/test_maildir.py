"""A mail server's store: many directories, small files whose names tell their state, names that move."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.integration.replication.conftest import Site

from .conftest import prove

pytestmark = pytest.mark.integration

USERS, FOLDERS, MESSAGES = 12, ("", ".Sent", ".Archive.2026", ".Entw&APw-rfe"), 12


def deliver(dice: random.Random, root: Path, round_: int) -> None:
    for user in range(USERS):
        for folder in FOLDERS:
            maildir = root / f"user{user}" / "Maildir" / folder
            for part in ("cur", "new", "tmp"):
                (maildir / part).mkdir(parents=True, exist_ok=True)
            for number in range(MESSAGES):
                body = b"Subject: %d\r\n\r\n" % number + os.urandom(dice.choice((10, 900, 4096, 30_000)))
                name = f"17{round_:08}.M{number}P{user}.mail,S={len(body)}"
                (maildir / "tmp" / name).write_bytes(body)
                os.chown(maildir / "tmp" / name, 5000 + user, 8)
                os.rename(maildir / "tmp" / name, maildir / "new" / name)


def read(dice: random.Random, root: Path) -> None:
    """What a mail reader does: take new messages in, set flags, copy by hard link, expunge."""
    for maildir in sorted(root.glob("user*/Maildir/**/new")):
        for message in sorted(maildir.iterdir()):
            seen = maildir.parent / "cur" / f"{message.name}:2,{dice.choice(('', 'S', 'RS', 'FS'))}"
            message.rename(seen)
            if dice.random() < 0.1:
                os.link(
                    seen, root / "user0/Maildir/.Archive.2026/cur" / f"{maildir.parents[1].name}{seen.name}"
                )
    for message in sorted(root.glob("user*/Maildir/**/cur/*:2,*")):
        if dice.random() < 0.2:
            message.unlink()
        elif dice.random() < 0.3 and not message.name.endswith("T"):
            message.rename(f"{message}T")


def test_mail_comes_and_is_read(real: Site) -> None:
    dice = random.Random(0)
    for round_ in range(3):
        deliver(dice, real.source, round_)
        prove(real)
        read(dice, real.source)
        prove(real)
