"""``dtesx mirror``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dtesx.base.errors import ExitCode, Interrupted
from dtesx.cli import mirror_view, output, teach
from dtesx.cli.formats import seconds, size
from dtesx.cli.mirror_options import CalcSize, MirrorChoice, Rebind, TimedLinkChoice
from dtesx.cli.one_shot import Credentials, Selection, Source, Url
from dtesx.cli.params import Json
from dtesx.model.mirror import LinkOptions
from dtesx.model.stats import MirrorStats

if TYPE_CHECKING:
    from dtesx.replication.one_shot import Way

_SHOWN_PROBLEMS = 20


def mirror(
    source: Source,
    url: Url,
    *,
    selection: Selection,
    choice: MirrorChoice,
    link: TimedLinkChoice,
    calc_size: CalcSize = True,
    rebind: Rebind = False,
    credentials: Credentials,
    json: Json = False,
) -> int:
    """Make a directory on a target equal to SRC.

    What differs is sent; what only the target has (orphans) is removed there. File systems mounted
    below SRC are left out. Stopped at any time, it goes on with what differs when it is run again.

    A mirror halts when SRC is not what it was: at another path, another directory, on another file
    system, or empty while the replica is not. Look why; --rebind says that it is as you want it.

    Exit code 1 says that all is done but for some paths, which are listed with the reason.
    """
    options, how = choice.options(selection.chosen()), link.options()
    way = credentials.way(source, url, options, tls=link.tls, rebind=rebind)
    stopped = Interrupted(
        "the mirror was stopped", hint="run the same command again: it goes on with what differs"
    )
    stats = run(way, link=how, calculate=calc_size, as_json=json, stopped=stopped)
    if json:
        output.document(stats)
    else:
        show(stats)
    return ExitCode.PROBLEMS if stats.problems_total else ExitCode.OK


def run(
    way: Way,
    *,
    link: LinkOptions,
    calculate: bool = True,
    as_json: bool,
    stopped: Interrupted,
) -> MirrorStats:
    """Mirror and show the progress; Ctrl-C raises ``stopped``."""
    from dtesx.replication.control import MirrorControl
    from dtesx.replication.one_shot import open_tree
    from dtesx.replication.sending import run_mirror

    view = mirror_view.view(as_json=as_json)
    try:
        return run_mirror(
            way.request,
            way.identity,
            progress=view.show,
            control=MirrorControl(),
            opener=open_tree,
            options=way.options,
            link=link,
            calculate=calculate,
            catalogue=way.catalogue,
        )
    except KeyboardInterrupt:
        raise stopped from None
    finally:
        view.close()


def show(stats: MirrorStats) -> None:
    """Print a mirror's outcome."""
    files = stats.files_sent + stats.files_skipped
    output.line(
        f"{stats.files_sent} of {files} files sent, {size(stats.bytes_sent)}"
        f" ({size(stats.bytes_wire)} on the wire), {stats.orphans_removed} orphans removed,"
        f" {seconds(stats.seconds)}"
    )
    if stats.sockets_skipped:
        output.line(f"{stats.sockets_skipped} sockets left out")
    if stats.problems_total:
        output.line(f"{stats.problems_total} paths could not be mirrored:", style="bold red")
    for problem in stats.problems[:_SHOWN_PROBLEMS]:
        output.line(f"  {problem.path}: {problem.reason}")
    if stats.problems_total > _SHOWN_PROBLEMS:
        output.line(f"  ... and {stats.problems_total - _SHOWN_PROBLEMS} more; --json lists a thousand")


app = teach.command(
    "mirror",
    mirror,
    "dtesx mirror /srv/www dtesx://10.1.0.2:1500/www --token-file token",
    "dtesx mirror /srv/www dtesx://10.1.0.2/www --json",
)
