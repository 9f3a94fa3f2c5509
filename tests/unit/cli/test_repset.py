from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Run


@pytest.fixture
def tree(tmp_path: Path) -> str:
    for name in ("www/index", "www/cache/page", "etc/conf"):
        (tmp_path / "srv" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "srv" / name).write_text(name)
    return str(tmp_path / "srv")


@pytest.fixture
def rules(tmp_path: Path, run: Run) -> str:
    file = str(tmp_path / "web.yaml")
    assert run("repset", "add", "--rules", file, "--include", "www", "--exclude", "www/cache").code == 0
    return file


def test_a_set_is_made_changed_and_shown(run: Run, rules: str, tree: str) -> None:
    assert (
        "web: 3 rules, generation 2" in run("repset", "add", "--rules", rules, "--include", "etc,nonrec").out
    )
    shown = run("repset", "show", "--rules", rules, tree).out
    assert "web, generation 2" in shown
    assert f"{tree}/www/cache" in shown
    assert run("repset", "remove", "--rules", rules, "www", "www/cache", "--json").document["generation"] == 3
    document = run("repset", "show", "--rules", rules, "--json").document
    assert document["rules"] == [{"path": "etc", "type": "include", "recursive": False, "wildcards": True}]


def test_size_counts_what_is_in_the_set(run: Run, rules: str, tree: str) -> None:
    assert "web: 1 files, 9 B" in run("repset", "size", "--rules", rules, tree).out
    document = run("repset", "size", "--rules", rules, tree, "--json").document
    assert (document["files"], document["bytes"], document["generation"]) == (1, 9, 1)


def test_check_tells_what_is_odd(run: Run, rules: str, tree: str) -> None:
    done = run("repset", "check", "--rules", rules, tree)
    assert (done.code, "every rule does something" in done.out) == (0, True)
    run("repset", "add", "--rules", rules, "--exclude", "/elsewhere")
    done = run("repset", "check", "--rules", rules, tree)
    assert (done.code, "outside" in done.out) == (1, True)
    done = run("repset", "check", "--rules", rules, f"{tree}/etc", "--json")
    assert (done.code, done.document["selects"]) == (1, False)


def test_a_stale_change_is_refused(run: Run, rules: str) -> None:
    before = Path(rules).read_text()
    for line in (["add", "--exclude", "x"], ["remove", "www"]):
        done = run("repset", line[0], "--rules", rules, *line[1:], "--generation", "0")
        assert done.code == 6
        assert "saved by somebody else" in done.err
    assert Path(rules).read_text() == before


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (["show", "--rules", "missing.yaml"], 5),
        (["add", "--rules", "missing.yaml"], 2),
        (["add", "--rules", "missing.yaml", "--include", "../x"], 2),
        (["add", "--rules", "missing.yaml", "--include", "x", "--name", "a:b"], 2),
        (["remove", "--rules", "missing.yaml", "x"], 5),
        (["size", "--rules", "missing.yaml", "/"], 5),
    ],
)
def test_what_makes_no_sense_is_refused(run: Run, tmp_path: Path, line: list[str], code: int) -> None:
    done = run("repset", *(word.replace("missing", f"{tmp_path}/missing") for word in line))
    assert (done.code, list(tmp_path.glob("missing*"))) == (code, [])


def test_a_rule_that_is_not_there_and_a_tree_that_is_none_are_refused(run: Run, rules: str) -> None:
    assert run("repset", "remove", "--rules", rules, "nothing").code == 5
    assert run("repset", "check", "--rules", rules, f"{rules}/nothing").code == 2
