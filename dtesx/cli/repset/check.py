"""``dtesx repset check``."""

from __future__ import annotations

from dtesx.base.errors import ExitCode
from dtesx.cli import output
from dtesx.cli.params import Json
from dtesx.cli.repset.common import RulesFile, Tree, opened, progress, tree


def check(rules: RulesFile, source: Tree, json: Json = False) -> int:
    """Check a replication set against a directory.

    Does it select anything, and does every rule do something? Rules can be discarded (said twice),
    overlapping (a wider rule says it already), outside SRC, or ineffective (the same names are in the
    set without them). No rule is changed.

    Exit code 1 says that something was found.
    """
    from dtesx.mirror.checking import check as check_set
    from dtesx.mirror.rules_file import load

    found, path = load(rules), tree(source)
    directories = 0

    with opened(path) as root, progress(lambda: f"{directories} directories checked") as tick:

        def pause() -> None:
            nonlocal directories
            directories += 1
            tick()

        report = check_set(found, root, path, pause)
    if json:
        output.document(report)
    else:
        if not report.selects:
            output.line(f"{report.name} selects nothing of {path}: no mirror is made of it", style="bold red")
        output.table(
            ("RULE", "", "", ""),
            [(str(item.number), item.rule, item.flaw.value, item.reason) for item in report.findings],
            empty=f"{report.name}: every rule does something in {path}",
        )
    return ExitCode.OK if report.selects and not report.findings else ExitCode.PROBLEMS
