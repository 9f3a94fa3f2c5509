"""``dtesx replication``: what a replication on this machine is told while it runs."""

from __future__ import annotations

from pathlib import Path

from dtesx.cli import limits, output, teach
from dtesx.cli.formats import rate
from dtesx.cli.limits import Limit
from dtesx.cli.params import Json
from dtesx.cli.replication_options import State, To, directory


def pause(to: To = "", state: State = None, json: Json = False) -> None:
    """Have a replication send nothing more.

    What is on its way still travels. What changes is followed meanwhile, so that only that is sent after
    dtesx replication resume. It lasts until then or until dtesx replicate ends.
    """
    from dtesx.management import controls

    place = directory(state, to)
    controls.give(place, controls.Order.PAUSE)
    _tell(place, "paused; go on with: dtesx replication resume", as_json=json)


def resume(to: To = "", state: State = None, json: Json = False) -> None:
    """Have a paused replication go on."""
    from dtesx.management import controls

    place = directory(state, to)
    controls.give(place, controls.Order.RESUME)
    _tell(place, "it goes on", as_json=json)


def stop(to: To = "", state: State = None, json: Json = False) -> None:
    """End a replication, and wait until it has ended.

    The replica stays as it was at the last epoch. dtesx replicate goes on with what differs.
    """
    from dtesx.management import controls

    place = directory(state, to)
    controls.stop(place)
    _tell(place, "stopped; dtesx replicate goes on with what differs", as_json=json)


def mirror(to: To = "", state: State = None, json: Json = False) -> None:
    """Have a replication mirror all of its source again.

    What the target already has is not sent; what changes meanwhile is sent in between. This is what a
    replication with --remirror none waits for when more changed than its queue can tell apart.
    """
    from dtesx.management import controls

    place = directory(state, to)
    controls.give(place, controls.Order.MIRROR)
    _tell(place, "all is mirrored again; look at it with: dtesx status", as_json=json)


def bandwidth(limit: Limit, to: To = "", state: State = None, json: Json = False) -> None:
    """Limit the bandwidth of a replication.

    The limit holds until dtesx replicate ends, in place of --bandwidth and the rates of --transmit.
    off: no limit; default: these hold again.
    """
    from dtesx.management import controls

    allowed = limits.bandwidth(limit)
    place = directory(state, to)
    controls.limit(place, allowed)
    now = "as dtesx replicate was told" if allowed is None else rate(allowed)
    _tell(place, f"the bandwidth is now: {now}", as_json=json)


def _tell(place: Path, text: str, *, as_json: bool) -> None:
    from dtesx.management import replications

    if as_json:
        output.document(replications.status(place))
    else:
        output.line(text)


app = teach.group("What a replication on this machine does while it runs.")
teach.add(app, "pause", pause, "dtesx replication pause", "dtesx replication pause --to www --json")
teach.add(app, "resume", resume, "dtesx replication resume --to www")
teach.add(app, "stop", stop, "dtesx replication stop --to dtesx://10.1.0.2/www")
teach.add(app, "mirror", mirror, "dtesx replication mirror --to www")
teach.add(
    app, "bandwidth", bandwidth, "dtesx replication bandwidth 20MB/s", "dtesx replication bandwidth default"
)
