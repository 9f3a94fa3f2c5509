"""Paths that could not be read, or not be made on the target: when to look at which of them again. Pure."""

from __future__ import annotations

from dataclasses import dataclass

_FIRST, _CAP = 1.0, 60.0


@dataclass
class _Failure:
    """When a path is looked at again (None: that is under way), and how long it waits if it fails then.

    ``epoch`` is the number of the one that it is looked at for.
    """

    due: float | None
    delay: float
    epoch: int | None = None


class Failures:
    """Every path waits for itself: 1 second at first, twice as long each time, at most a minute.

    So what fails for good never holds up what failed because it was renamed at that moment.
    """

    def __init__(self) -> None:
        self._paths: dict[bytes, _Failure] = {}
        self._now = 0.0

    def __len__(self) -> int:
        """How many paths failed and were not looked at since without a failure."""
        return len(self._paths)

    @property
    def waiting(self) -> int:
        """How many paths failed since they were looked at last."""
        return sum(failure.due is not None for failure in self._paths.values())

    def note(self, path: bytes) -> None:
        """What was done about ``path`` failed."""
        failure = self._paths.get(path)
        if failure is None:
            self._paths[path] = _Failure(self._now + _FIRST, min(2 * _FIRST, _CAP))
        elif failure.due is None:
            failure.due, failure.delay = self._now + failure.delay, min(2 * failure.delay, _CAP)

    def due(self, now: float) -> list[bytes]:
        """The paths to be looked at now; ``now`` is seconds of a monotonic clock."""
        self._now = now
        found = [
            path for path, failure in self._paths.items() if failure.due is not None and failure.due <= now
        ]
        for path in found:
            self._paths[path].due = self._paths[path].epoch = None
        return found

    def all(self) -> list[bytes]:
        """All paths, to be looked at now."""
        for failure in self._paths.values():
            failure.due = failure.epoch = None
        return list(self._paths)

    def sent(self, number: int) -> None:
        """What is to be looked at is looked at for the epoch ``number``."""
        for failure in self._paths.values():
            if failure.due is None and failure.epoch is None:
                failure.epoch = number

    def applied(self, number: int) -> None:
        """All epochs up to ``number`` were applied, and what failed then was told."""
        self._paths = {
            path: failure
            for path, failure in self._paths.items()
            if failure.due is not None or failure.epoch is None or failure.epoch > number
        }
