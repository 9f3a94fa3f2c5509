"""The fix-up of a replica's network."""

from __future__ import annotations

from collections.abc import Sequence

from dtesx.base.log import get_logger
from dtesx.boot.network import files
from dtesx.boot.network.check import check
from dtesx.boot.network.rewrite import rewrite
from dtesx.boot.replica import Replica
from dtesx.model.validation import Verdict

log = get_logger(__name__)


def fix(replica: Replica) -> Sequence[str]:
    """Rewrite the network configuration for the replica's cards; say what was changed.

    What does not fit is logged: a replica with half its network is better than none.
    """
    before = files.read(replica.tree)
    after = rewrite(before, replica.wiring)
    for finding in check(before, replica.wiring):
        if finding.verdict is not Verdict.PASSED:
            log.warning("network", check=finding.check.value, finding=finding.message, hint=finding.hint)
    changed = files.write(replica.tree, before, after.files)
    return [f"network: {path} {'written' if path in after.files else 'removed'}" for path in changed]
