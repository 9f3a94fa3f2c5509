"""The tasks that appliances had inserted into replications of this source."""

from __future__ import annotations

import secrets
import threading
from pathlib import Path

from dtesx.base.errors import Conflict, DtesxError, NotFound
from dtesx.management import replications
from dtesx.model.api import TaskInsertion
from dtesx.model.job import Problem
from dtesx.model.tasks import TaskRequest

_MOST = 100


class Insertions:
    """Asks the replications in the state directory ``state``, and keeps what came of it in memory.

    A request may take hours, so it has a thread of its own and whoever made it asks again. For any
    threads.
    """

    def __init__(self, state: Path) -> None:
        self._state = state
        self._known: dict[tuple[str, str], TaskInsertion] = {}
        self._lock = threading.Lock()

    def insert(self, job: str, request: TaskRequest) -> TaskInsertion:
        """Have a task inserted into the job's replication.

        Raises NotFound when there is none, and Conflict when too many are under way.
        """
        directory = replications.find(self._state, job)
        begun = TaskInsertion(secrets.token_hex(8))
        with self._lock:
            self._make_room()
            self._known[job, begun.id] = begun
        name = f"insertion-{begun.id}"
        threading.Thread(
            target=self._insert, args=(directory, job, begun.id, request), name=name, daemon=True
        ).start()
        return begun

    def look(self, job: str, number: str) -> TaskInsertion:
        """What came of it so far. Raises NotFound."""
        with self._lock:
            known = self._known.get((job, number))
        if known is None:
            raise NotFound(
                f"there is no insertion {number} of job {job}",
                hint="the source service was restarted; the target's log says whether the task ran",
            )
        return known

    def _insert(self, directory: Path, job: str, number: str, request: TaskRequest) -> None:
        try:
            done = TaskInsertion(number, report=replications.task(directory, request))
        except DtesxError as error:
            done = TaskInsertion(number, problem=Problem(error.code, error.message, error.hint))
        with self._lock:
            self._known[job, number] = done

    def _make_room(self) -> None:
        while len(self._known) >= _MOST:
            over = next((key for key, known in self._known.items() if known.over), None)
            if over is None:
                raise Conflict("too many tasks are under way", hint="wait for one of them to end")
            del self._known[over]
