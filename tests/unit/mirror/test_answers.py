from __future__ import annotations

import stat

import pytest

from dtesx.mirror.answers import Answers
from dtesx.wire.errors import ProtocolError
from dtesx.wire.items import Item
from dtesx.wire.messages import Directory


def file(name: bytes = b"f") -> Item:
    return Item(name, stat.S_IFREG | 0o644, 0, 0, 1, 5)


def test_answers_come_in_the_order_of_the_questions() -> None:
    root = file(b"")
    answers = Answers(
        [
            Directory(b"", [file(b"a")], root, more=True),
            Directory(b"", [file(b"b")]),
            2,
            -1,
            Directory(b"d", []),
        ]
    )
    assert [item.name for item in answers.take(b"") or ()] == [b"a", b"b"]
    assert answers.root == root
    assert answers.take(b"a") is None
    assert answers.take(b"b") is None
    assert list(answers.take(b"c") or [file()]) == []
    assert list(answers.take(b"d") or [file()]) == []
    with pytest.raises(ProtocolError, match="missing"):
        answers.take(b"e")


@pytest.mark.parametrize(
    "wrong",
    [
        [Directory(b"other", [])],
        [Directory(b"d", [], more=True), Directory(b"e", [])],
        [Directory(b"d", [], more=True), 1],
        [0],
    ],
)
def test_answers_to_other_questions_are_refused(wrong: list[int | Directory]) -> None:
    with pytest.raises(ProtocolError):
        list(Answers(wrong).take(b"d") or ())
