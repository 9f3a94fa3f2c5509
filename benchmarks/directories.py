"""What it takes to watch and replicate a tree of many directories. Needs root, and a disk with room.

    python -m benchmarks.directories [--count 1000000] [--work /var/tmp] [--rungs A B C]

Makes COUNT directories, 100 in each, with an empty file in every tenth, on an ext4 in an image, and a
replica of it on another. Then, for each rung of capture: how long it takes from the start of
`dtesx replicate`, with nothing changed, until it follows changes and until it has compared all of the
tree with its catalogue, and what that costs both processes. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measuring import server_cpu
from benchmarks.replication import disk
from benchmarks.sites import Cost, Dtesx

_ROOM = 24 << 30  # an inode for each 16 KiB
_BELOW = 100
_FILE_EVERY = 10
_LOOK = 0.05
_NEW_PEAK = "5"  # proc(5), clear_refs

# What hides from this process, in a mount namespace of its own, what a better rung would need.
_HIDE = {
    "A": ":",
    "B": "mount -t tmpfs none /sys/kernel/btf",
    "C": 'mount -t overlay -o "lowerdir=$0,upperdir=$0.upper,workdir=$0.work" none "$0"',
}


@dataclass(frozen=True)
class Start:
    """One start: seconds until changes are followed and all is compared, CPU seconds, bytes of memory."""

    following: float
    seconds: float
    cpu: Cost
    memory: tuple[int, int]

    def row(self, name: str) -> str:
        """A line of the table."""
        source, target = (size / 1e6 for size in self.memory)
        return (
            f"| {name} | {self.following:.1f} s | {self.seconds:.1f} s "
            f"| {self.cpu.source:.1f} CPU s, {source:.0f} MB | {self.cpu.target:.1f} CPU s, {target:.0f} MB |"
        )


def _make(tree: Path, count: int) -> None:
    """So many directories below ``tree``, in a tree of even depth."""
    made, level = 0, [tree]
    tree.mkdir()
    while made < count:
        below: list[Path] = []
        for directory in level:
            for number in range(min(_BELOW, count - made)):
                path = f"{directory}/{number:02}"
                Path(path).mkdir()
                made += 1
                if made % _FILE_EVERY == 0:
                    os.close(os.open(path + "/file", os.O_WRONLY | os.O_CREAT))
                below.append(Path(path))
        level = below


def _start(site: Dtesx, rung: str) -> Start:
    """Start `dtesx replicate` and end it when the replica is known to be equal."""
    Path(f"/proc/{site.target}/clear_refs").write_text(_NEW_PEAK)
    hide = ["unshare", "--mount", "sh", "-c", f'{_HIDE[rung]}; exec "$@"', str(site.source)]
    began, target = time.time(), server_cpu(site.target)
    with site.running(["--rebind", "--consistent-every", "0"], hide):
        while site.status().get("phase") not in ("mirroring", "replicating"):
            time.sleep(_LOOK)
        following = time.time() - began
        seconds = site.until(began) - began
        cost = site.cost()
        return Start(following, seconds, Cost(cost.source, cost.target - target), site.memory())


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--work", type=Path, default=Path("/var/tmp"))
    parser.add_argument("--rungs", nargs="+", choices=_HIDE, default=["A", "B"])
    given = parser.parse_args()
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dtesx-bench-", dir=given.work)))
        source, replica = (stack.enter_context(disk(work, name, _ROOM)) for name in ("source", "replica"))
        for name in ("tree.upper", "tree.work"):
            (source / name).mkdir()
        _make(source / "tree", given.count)
        os.sync()
        site = Dtesx(source / "tree", work, replica, stack)
        print("| | follows after | all compared after | source | target |\n|---|---|---|---|---|")
        print(_start(site, "A").row("first mirror"), flush=True)
        for rung in given.rungs:
            if rung == "C":  # another file system, of which there is no catalogue yet
                _start(site, rung)
            print(_start(site, rung).row(f"rung {rung}"), flush=True)


if __name__ == "__main__":
    main()
