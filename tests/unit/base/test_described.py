"""Everything that msgspec decodes into a type of ours is described first."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import dtesx

_PLAIN = ("str", "dict[")


def _kinds(call: ast.Call) -> Iterator[str]:
    name = ast.unparse(call.func)
    if name in ("msgspec.json.decode", "msgspec.msgpack.decode"):
        yield from (ast.unparse(word.value) for word in call.keywords if word.arg == "type")
    elif name == "msgspec.convert":
        yield ast.unparse(call.args[1])
    elif name in ("msgspec.json.Decoder", "msgspec.msgpack.Decoder") and call.args:
        yield ast.unparse(call.args[0])


def test_types_are_described_before_they_are_decoded() -> None:
    found = []
    for file in Path(dtesx.__path__[0]).rglob("*.py"):
        if file.name == "described.py":
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call):
                found += [(file.name, kind) for kind in _kinds(node)]
    assert len(found) > 20
    assert [pair for pair in found if not pair[1].startswith(("described(", *_PLAIN))] == []
