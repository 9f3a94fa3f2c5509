"""Applications that are prepared for epochs of one moment, and go on after them whatever happens."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from dtesx.base.retry import wait_until
from dtesx.model.epoch import EpochKind
from dtesx.model.hooks import Hooks
from dtesx.replication.continuous.quiescing import Applications
from tests.integration.replication.conftest import Site

from .conftest import BRIEFLY
from .watching import WAIT, Watched, replicating

pytestmark = [pytest.mark.integration, BRIEFLY]


class Application:
    """Says in a file of the source whether it is busy; ``what`` its preparation does besides."""

    def __init__(self, site: Site, place: Path, what: str = "true") -> None:
        self.state, self.mark = site.source / "state", place / "mark"
        self.state.write_text("busy")
        self.applications = Applications(
            Hooks(
                ("sh", "-c", f"printf quiet > {self.state}; {what}"),
                ("sh", "-c", f"printf busy > {self.state}"),
                2.0,
            ),
            self.mark,
        )

    @property
    def busy(self) -> bool:
        return self.state.read_text() == "busy" and not self.mark.exists()


def _point(watched: Watched) -> EpochKind:
    assert watched.replication is not None
    ticket = watched.replication.request_point(consistent=True)
    assert ticket.reached.wait(WAIT)
    assert ticket.point is not None
    return ticket.point.kind


def test_the_replica_has_what_they_wrote(
    mounted: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    application, seen = Application(mounted, tmp_path), list[str]()
    with ExitStack() as stack:
        stack.enter_context(mounted.receiver())
        watched = stack.enter_context(
            replicating(
                mounted,
                monkeypatch,
                lambda replica: seen.append((replica / "state").read_text()),
                every=0.0,
                applications=application.applications,
            )
        )
        for _ in range(3):
            assert _point(watched) is EpochKind.APPLICATION
            assert application.busy
    assert seen == ["quiet"] * 3


@pytest.mark.parametrize(
    ("what", "why"),
    [("echo no; exit 3", "failed with status 3: no"), ("sleep 3600", "did not end within 2 s")],
)
def test_what_cannot_be_prepared_is_told(
    mounted: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, what: str, why: str
) -> None:
    application = Application(mounted, tmp_path, what)
    with ExitStack() as stack:
        stack.enter_context(mounted.receiver())
        watched = stack.enter_context(
            replicating(
                *(mounted, monkeypatch, lambda _replica: None),
                every=0.0,
                applications=application.applications,
            )
        )
        assert _point(watched) is EpochKind.CRASH
        assert application.busy
        assert wait_until(lambda: why in watched.states[-1].unquiesced, timeout=WAIT)
