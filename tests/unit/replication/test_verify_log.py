from __future__ import annotations

from pathlib import Path

import pytest

from dtesx.base.errors import UsageError
from dtesx.model.stats import PathProblem
from dtesx.model.verify import Aspect, Difference, FileState, Finding, VerifyLogOptions, VerifyStats
from dtesx.replication.verify_log import VerifyLog, describe

MISSING = Finding("a/b", "file", FileState.MISSING, size=17, bytes_different=17)


def write(options: VerifyLogOptions, findings: int = 1) -> Path:
    with VerifyLog(options, "www") as log:
        log.begin(source="/srv/www", target="dtesx://t:1500/www", data=True, remirror=True)
        for _ in range(findings):
            log.finding(MISSING)
        log.end(VerifyStats(names_total=5, same=4, missing=1, problems=(PathProblem("p", "denied"),)))
    return log.path


def test_one_file_for_each_set_with_markers_states_and_totals(tmp_path: Path) -> None:
    path = write(VerifyLogOptions(str(tmp_path / "verify.log")))
    assert path == tmp_path / "www verify.log"
    assert path.stat().st_mode & 0o777 == 0o600
    lines = path.read_text().splitlines()
    assert lines[0].startswith("=== verification begins")
    assert "/srv/www -> dtesx://t:1500/www, data compared" in lines[0]
    assert lines[1].split() == ["missing", "file", "17", "a/b"]
    assert lines[2] == "unverified p: denied"
    assert "5 names: 4 same, 1 missing" in lines[3]
    assert lines[-1].startswith("=== verification ends")


@pytest.mark.parametrize(("append", "expected"), [(True, 2), (False, 1)])
def test_appended_or_begun_anew(tmp_path: Path, append: bool, expected: int) -> None:
    options = VerifyLogOptions(str(tmp_path / "verify.log"), append=append)
    write(options)
    assert write(options).read_text().count("begins") == expected


@pytest.mark.parametrize("length", [1, 70, 200, 1000, 5000])
def test_never_longer_than_it_may_be(tmp_path: Path, length: int) -> None:
    options = VerifyLogOptions(str(tmp_path / "verify.log"), max_length=length)
    for _ in range(3):
        path = write(options, findings=300)
        content = path.read_text()
        assert len(content) <= length
        assert length < 70 or content.endswith("nothing more is logged\n")
        assert content.count("nothing more") <= 1
        assert all(line[0] in "=m-" for line in content.splitlines())


def test_a_name_cannot_forge_lines() -> None:
    forged = Finding("a\n=== verification ends\x1b[2J", "file", FileState.MISSING)
    assert describe(forged).isprintable()


def test_differences_name_both_sides() -> None:
    finding = Finding("f", "file", FileState.DIFFERENT, 6, differences=(Difference(Aspect.SIZE, "6", "5"),))
    assert describe(finding).endswith("f: size 6 (target: 5)")


def test_what_broke_it_off_is_logged(tmp_path: Path) -> None:
    log = VerifyLog(VerifyLogOptions(str(tmp_path / "log")), "www")
    with pytest.raises(RuntimeError), log:
        raise RuntimeError("the link broke")
    assert "broken off" in log.path.read_text()


def test_a_log_that_cannot_be_written_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        VerifyLog(VerifyLogOptions(str(tmp_path / "no" / "log")), "www")
