"""Questions to the person at the terminal, and secrets that never travel on a command line."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import typer

from dtesx.base.errors import UntrustedCertificate, UsageError


def on_terminal() -> bool:
    """Whether somebody is there to answer."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def confirm(question: str, *, yes: bool) -> None:
    """Go on only after a yes; UsageError when nobody can be asked."""
    if yes:
        return
    if not on_terminal():
        raise UsageError(f"{question} Nobody is there to answer", hint="run it again with --yes")
    if not typer.confirm(question, err=True):
        raise UsageError("not confirmed: nothing was done")


def secret(what: str, *, file: Path | None, variable: str = "") -> str:
    """Read a secret from ``file``, else from the environment ``variable``, else by a prompt."""
    if file is not None:
        return _from_file(what, file)
    if variable and os.environ.get(variable):
        return os.environ[variable]
    if not on_terminal():
        ways = [f"--{what}-file FILE", *([f"the variable {variable}"] if variable else [])]
        raise UsageError(f"no {what} given", hint=f"give it with {' or '.join(ways)}")
    return str(typer.prompt(what.capitalize(), hide_input=True, err=True))


def _from_file(what: str, file: Path) -> str:
    try:
        text = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the {what} file cannot be read: {error}", hint="check the path") from error
    if not text:
        raise UsageError(f"{file} is empty", hint=f"it must hold the {what}, alone")
    return text


def trust(peer: str, presented: str) -> str:
    """Ask whether to trust a certificate by its thumbprint; return it, raise if the answer is no."""
    problem = UntrustedCertificate(
        f"{peer} presents a certificate that is not trusted yet, thumbprint {presented}",
        thumbprint=presented,
        hint="compare it with what the server itself shows,"
        f" then run again with --trust-thumbprint {presented}",
    )
    if not on_terminal():
        raise problem
    typer.echo(f"{peer} presents a certificate with the SHA-256 thumbprint\n  {presented}", err=True)
    if not typer.confirm("Trust it from now on?", err=True):
        raise problem
    return presented


def same_thumbprint(one: str, other: str) -> bool:
    """Compare thumbprints as people write them: case and colons do not matter."""
    return _bare(one) == _bare(other)


def as_vsphere(thumbprint: str) -> str:
    """A thumbprint as vSphere writes it: upper-case pairs joined by colons."""
    bare = _bare(thumbprint)
    return ":".join(bare[i : i + 2] for i in range(0, len(bare), 2))


def _bare(thumbprint: str) -> str:
    return thumbprint.replace(":", "").replace(" ", "").upper()
