"""Commands take groups of options as one parameter each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import pytest
import typer

from dtesx.cli import teach

Size = Annotated[int, typer.Option("--size", min=1, help="How large.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Which.")]


@dataclass(frozen=True)
class Shape:
    """A group with a default and one without."""

    corners: Annotated[int, typer.Option("--corners", help="How many.")]
    size: Size = 3


@dataclass(frozen=True)
class ColouredShape(Shape):
    """A group that has another one's options, too."""

    colour: str = "red"


def called(*arguments: str) -> tuple[str, ColouredShape, bool]:
    got: list[Any] = []

    def draw(name: Name, *, shape: ColouredShape, filled: bool = False) -> None:
        """Draw."""
        got.extend((name, shape, filled))

    # As typer looks them up: where the function was defined.
    draw.__annotations__ = {"name": Name, "shape": ColouredShape, "filled": bool, "return": None}
    teach.command("draw", draw, "draw a")(list(arguments), standalone_mode=False)
    name, shape, filled = got
    return name, shape, filled


def test_the_fields_are_options() -> None:
    assert called("a", "--corners", "5", "--colour", "blue") == ("a", ColouredShape(5, 3, "blue"), False)
    assert called("a", "--size", "9", "--filled", "--corners", "4") == ("a", ColouredShape(4, 9), True)


def test_what_a_field_says_holds() -> None:
    with pytest.raises(Exception, match="corners"):
        called("a")
    with pytest.raises(Exception, match="range"):
        called("a", "--corners", "5", "--size", "0")
