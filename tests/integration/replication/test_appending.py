"""Names that may not be changed, or directories only appended to, are no hindrance on the target."""

from __future__ import annotations

import pytest

from dtesx.base.run import run

from .conftest import Site
from .test_replicating import replicating, settled

pytestmark = pytest.mark.integration


def test_a_new_directory_in_one_that_could_only_be_appended_to(site: Site) -> None:
    (site.source / "above").mkdir()
    run(["chattr", "+a", str(site.source / "above")])
    with site.receiver(), replicating(site) as running:
        running.caught_up()
        run(["chattr", "-a", str(site.source / "above")])
        (site.source / "above/new").mkdir()
        (site.source / "above/new/file").write_bytes(b"content")
        running.caught_up()
        settled(site)
        assert running.states[-1].stats.problems == ()


def test_what_is_moved_may_not_be_changed(site: Site) -> None:
    old, new = site.source / "old", site.source / "new"
    for path in (old, new):
        path.mkdir()
    (old / "file").write_bytes(b"content")
    flagged = [old / "file", old, new]
    with site.receiver(), replicating(site) as running:
        for flag in "ai":
            for path in flagged:
                run(["chattr", f"+{flag}", str(path)])
            running.caught_up()
            for path in flagged:
                run(["chattr", f"-{flag}", str(path)])
            (old / "file").rename(new / "file")
            running.caught_up()
            settled(site)
            assert running.states[-1].stats.problems == ()
            (new / "file").rename(old / "file")
            running.caught_up()
