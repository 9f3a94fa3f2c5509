"""What the commands of ``dtesx repset`` share."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dtesx.base.errors import Interrupted, UsageError
from dtesx.cli import output

if TYPE_CHECKING:
    from dtesx.model.rules import ReplicationSet, Rule

_PATIENCE = 2.0
_EVERY = 0.2

RulesFile = Annotated[Path, typer.Option("--rules", metavar="FILE", help="The set's file.")]
Tree = Annotated[str, typer.Argument(metavar="SRC", help="Directory that the rules are about.")]
Generation = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="The generation that you looked at; refused if the set was saved since then. [default: any]",
    ),
]


def saved(
    file: Path, began: ReplicationSet, rules: tuple[Rule, ...], generation: int | None
) -> ReplicationSet:
    """Save a set with other rules; the set as it is in the file then."""
    from dtesx.mirror.rules_file import save
    from dtesx.model.rules import ReplicationSet

    changed = ReplicationSet(began.name, began.generation, rules)
    return save(file, changed, began.generation if generation is None else generation)


def told(replication_set: ReplicationSet, *, as_json: bool) -> None:
    """Say how a set was saved."""
    if as_json:
        output.document(replication_set)
    else:
        count = len(replication_set.rules)
        text = f"{replication_set.name}: {count} {'rule' if count == 1 else 'rules'}"
        output.line(f"{text}, generation {replication_set.generation}")


def tree(path: str) -> str:
    """The absolute path of a directory; UsageError when it is none."""
    if not Path(path).is_dir():
        raise UsageError(f"there is no directory {path}", hint="check the path of the tree")
    return os.path.abspath(path)


@contextmanager
def opened(path: str) -> Iterator[int]:
    """Yield a descriptor of a directory; Ctrl-C ends what is done with it without a trace."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise UsageError(f"{path} cannot be opened: {error.strerror}", hint="run dtesx as root") from error
    try:
        yield fd
    except KeyboardInterrupt:
        raise Interrupted("stopped while reading the tree", hint="run the command again") from None
    finally:
        os.close(fd)


@contextmanager
def progress(describe: Callable[[], str]) -> Iterator[Callable[[], None]]:
    """Yield a function to be called often: what takes longer than two seconds is shown on a terminal."""
    console = output.console(stderr=True)
    begun = shown = time.monotonic()
    if not console.is_terminal:
        yield lambda: None
        return
    with console.status("") as status:
        status.stop()

        def tick() -> None:
            nonlocal shown
            now = time.monotonic()
            if now - begun >= _PATIENCE and now - shown >= _EVERY:
                shown = now
                status.update(describe())
                status.start()

        yield tick
