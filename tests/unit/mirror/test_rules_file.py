from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtesx.base.errors import Conflict, NotFound, UsageError
from dtesx.mirror.rules_file import dump, load, parse, save
from dtesx.model.rules import ReplicationSet, Rule, RuleType

TEXT = """\
name: web
generation: 4
rules:
- include: www
- exclude: "*.tmp"
  wildcards: false
- include: /srv/etc
  recursive: false
"""


def test_a_set_is_read_as_it_is_written(tmp_path: Path) -> None:
    file = tmp_path / "web.yaml"
    file.write_text(TEXT)
    found = load(file)
    assert found == ReplicationSet(
        "web",
        4,
        (
            Rule("www"),
            Rule("*.tmp", RuleType.EXCLUDE, wildcards=False),
            Rule("/srv/etc", recursive=False),
        ),
    )
    assert parse(dump(found), "") == found


NAMES = st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=8)
RULES = st.builds(
    Rule,
    st.lists(NAMES, min_size=1, max_size=4).map("/".join).filter(lambda path: ".." not in path.split("/")),
    st.sampled_from(RuleType),
    st.booleans(),
    st.booleans(),
)


@given(rules=st.lists(RULES, max_size=6), generation=st.integers(0, 1 << 60))
def test_export_and_import_keep_every_rule(rules: list[Rule], generation: int) -> None:
    whole = ReplicationSet("on", generation, tuple(rules))
    assert parse(dump(whole), "") == whole


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "fields are wanted"),
        ("- a", "fields are wanted"),
        ("{", "not valid YAML"),
        ("rules: []", "name:"),
        ("name: 12", "name:"),
        ("name: a.b", "'.'"),
        ("name: w\ngenerations: 1", "unknown field generations"),
        ("name: w\ngeneration: x", "generation:"),
        ("name: w\ngeneration: -1", "generation:"),
        ("name: w\ngeneration: true", "generation:"),
        ("name: w\nrules: a", "a list is wanted"),
        ("name: w\nrules: [a]", "rule 1: fields are wanted"),
        ("name: w\nrules: [include: a, exclude: 1]", "rule 2: exclude: a path"),
        ("name: w\nrules: [{include: a, exclude: b}]", "rule 1: either include or exclude"),
        ("name: w\nrules: [recursive: true]", "rule 1: either include or exclude"),
        ("name: w\nrules: [{include: a, recursive: 1}]", "rule 1: recursive: true or false"),
        ("name: w\nrules: [include: ../a]", "rule 1: path:"),
        (f"name: w\nrules: [include: {'a' * 260}]", "259"),
    ],
)
def test_what_is_wrong_is_named(text: str, word: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse(text, "web.yaml")
    assert word in raised.value.message
    assert raised.value.message.startswith("web.yaml: ")


def test_a_stale_save_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "web.yaml"
    first = save(file, ReplicationSet("web", rules=(Rule("a"),)), 0)
    assert first.generation == 1
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    file.chmod(0o640)
    ours, theirs = load(file), load(file)
    assert save(file, theirs, theirs.generation) == ReplicationSet("web", 2, (Rule("a"),))
    with pytest.raises(Conflict, match="its generation is 2, not 1"):
        save(file, ReplicationSet("web", rules=(Rule("b"),)), ours.generation)
    assert load(file) == ReplicationSet("web", 2, (Rule("a"),))
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    with pytest.raises(Conflict, match="its generation is 2, not 0"):
        save(file, ReplicationSet("new"), 0)


def test_a_set_that_somebody_removed_is_not_saved_over(tmp_path: Path) -> None:
    with pytest.raises(Conflict):
        save(tmp_path / "gone.yaml", ReplicationSet("gone", 3), 3)
    with pytest.raises(NotFound):
        load(tmp_path / "gone.yaml")
    with pytest.raises(UsageError):
        save(tmp_path / "no" / "directory.yaml", ReplicationSet("web"), 0)
    with pytest.raises(UsageError):
        load(tmp_path)
