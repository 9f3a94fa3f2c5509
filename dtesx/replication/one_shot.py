"""A source without a service: what it keeps between its mirrors, and the way to a target."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from dtesx.base.errors import Refused, RootMissing, UsageError
from dtesx.base.files import private_directory, write_atomic
from dtesx.model.location import TargetUrl
from dtesx.model.mirror import MirrorOptions
from dtesx.model.request import MirrorRequest
from dtesx.model.rules import Rule, RuleType
from dtesx.replication.introduction import KnownTarget, introduce
from dtesx.wire.identity import Identity, load_or_create

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@dataclass(frozen=True)
class Way:
    """How one tree gets to one place: what ``run_mirror`` and its like need."""

    request: MirrorRequest
    identity: Identity
    catalogue: Path
    options: MirrorOptions


class SourceState:
    """The state directory of a source: its identity, certificates and secrets of the targets it knows.

    The identity is made at first use. Any number of commands may use one directory at a time.
    """

    def __init__(self, directory: Path) -> None:
        self._targets = private_directory(private_directory(directory) / "targets")
        with _alone(directory):
            self.identity = load_or_create(directory, f"dtesx source {socket.gethostname()}")

    def introduce(self, url: TargetUrl, token: str, *, tls: bool) -> None:
        """Make this source and the target of ``url`` known to each other (introduction.introduce)."""
        known = introduce(url.host, url.port, self.identity, token, tls=tls)
        write_atomic(self._file(url, "secret"), known.secret.encode())
        write_atomic(self._file(url, "crt"), known.certificate.encode())

    def target(self, url: TargetUrl) -> KnownTarget:
        """What is known of the target of ``url``; Refused when nothing is."""
        try:
            return KnownTarget(self._file(url, "crt").read_text(), self._file(url, "secret").read_text())
        except FileNotFoundError as error:
            raise Refused(
                f"the target at {url.endpoint} and this source do not know each other yet",
                hint="give its token once: --token-file FILE (the target says at its start where it is)",
            ) from error

    def _file(self, url: TargetUrl, suffix: str) -> Path:
        return self._targets / f"{url.endpoint}.{suffix}"


def way(
    source: str, url: TargetUrl, state: Path, options: MirrorOptions, *, token: str = "", tls: bool = True
) -> Way:
    """The way from the tree ``source`` to ``url``; with ``token``, the two ends meet now (over TLS or not).

    ``state`` is the source's state directory; it does not travel. Raises RootMissing and
    UsageError for the tree, and what SourceState raises.
    """
    path = os.path.abspath(source)
    with open_tree(path):
        pass
    ours = SourceState(state)
    if token:
        ours.introduce(url, token, tls=tls)
    target = ours.target(url)
    request = MirrorRequest(url.name, url.host, url.port, target.certificate, (path,), secret=target.secret)
    try:
        own = Rule(os.path.abspath(state), RuleType.EXCLUDE, wildcards=False)
    except ValueError as error:
        raise UsageError(f"--state: {error}", hint="choose a directory with a shorter path") from error
    whole = replace(options, rules=(*options.rules, own))
    return Way(request, ours.identity, state / "catalogues" / url.endpoint, whole)


@contextmanager
def open_tree(path: str) -> Iterator[int]:
    """Yield a descriptor of the directory ``path``; what is mounted over parts of it hides them.

    Raises RootMissing when there is none, and UsageError when it cannot be opened.
    """
    try:
        fd = os.open(path, _OPEN)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise RootMissing(
            f"there is no directory {path}", hint="check the path of the source tree"
        ) from error
    except OSError as error:
        raise UsageError(f"{path} cannot be opened: {error.strerror}", hint="run dtesx as root") from error
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    # Two commands at first start must not make two identities.
    fd = os.open(directory, _OPEN)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
