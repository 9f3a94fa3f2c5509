"""Whether jobs can be carried out, or still are what they were; repairs where dtesx can make them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from dtesx.base.described import described
from dtesx.base.errors import NotFound
from dtesx.base.files import private_directory, write_atomic
from dtesx.base.log import get_logger
from dtesx.management.store import Store
from dtesx.management.vmware import Vmware
from dtesx.model.job import JobSpec, JobState
from dtesx.model.record import JobRecord
from dtesx.model.validation import Check, Finding, Repairs, Validation, Verdict
from dtesx.recovery.examining import examine
from dtesx.recovery.ports import Site
from dtesx.validation.facts import Facts
from dtesx.validation.findings import findings
from dtesx.volumes import programs

log = get_logger(__name__)

_FILE = "validation.json"


class Validations:
    """Validates jobs; ``directory`` is that of all jobs, where each keeps its last result.

    ``install`` installs packages on this machine; ``cancel`` is set when the service ends.
    """

    def __init__(
        self,
        store: Store,
        site: Site,
        vmware: Vmware,
        directory: Path,
        cancel: threading.Event,
        install: Callable[[tuple[str, ...]], None] = programs.install,
    ) -> None:
        self._store, self._site, self._vmware = store, site, vmware
        self._directory, self._cancel, self._install = directory, cancel, install

    def make(self, spec: JobSpec, repairs: Repairs) -> Validation:
        """Validate the job that a spec would make, or the one that it has made.

        Raises NotFound when its source or VMware server is not known, and what a repair raises.
        """
        known = self._store.find_job(spec.name)
        if known is not None and known.spec == spec:
            return self.of(spec.name, repairs)
        return self._validated(JobRecord("", spec, JobState.CREATED, time.time()), repairs)

    def of(self, name: str, repairs: Repairs) -> Validation:
        """Validate a job as it is now, and keep what was found."""
        record = self._store.job(name)
        found = self._validated(record, repairs)
        write_atomic(private_directory(self._directory / record.id) / _FILE, msgspec.json.encode(found))
        return found

    def last(self, name: str) -> Validation:
        """What the last validation of a job found; NotFound when there was none."""
        path = self._directory / self._store.job(name).id / _FILE
        try:
            return msgspec.json.decode(path.read_bytes(), type=described(Validation))
        except FileNotFoundError:
            hint = f"dtesx job validate {name}"
            raise NotFound(f"job {name} was not validated yet", hint=hint) from None

    def _validated(self, record: JobRecord, repairs: Repairs) -> Validation:
        facts, found = self._examined(record)
        fixed = tuple(self._repair(record, facts, found, repairs))
        if fixed:
            facts, found = self._examined(record)
        result = Validation(record.spec.name, time.time(), found, fixed)
        _note(result)
        return result

    def _examined(self, record: JobRecord) -> tuple[Facts, tuple[Finding, ...]]:
        with self._site(record, self._cancel) as site:
            facts = examine(record, site, tuple(self._claims(record)))
        return facts, findings(facts)

    def _repair(
        self, record: JobRecord, facts: Facts, found: tuple[Finding, ...], repairs: Repairs
    ) -> Iterator[str]:
        """Repair what was found and asked for; tell what was done."""
        wanted = {finding.check for finding in found if finding.fix and repairs.wants(finding.check)}
        if Check.CERTIFICATE in wanted and repairs.thumbprint:
            self._vmware.trust(record.spec.vmware, repairs.thumbprint)
            yield f"the certificate {repairs.thumbprint} of {record.spec.vmware} is trusted from now on"
        if Check.TOOLS in wanted:
            self._install(facts.appliance.packages)
            yield f"installed on the appliance: {', '.join(facts.appliance.packages)}"

    def _claims(self, record: JobRecord) -> Iterator[str]:
        spec = record.spec
        for other in self._store.jobs():
            if other.id == record.id:
                continue
            if other.spec.name == spec.name:
                yield f"there is a job {spec.name} with other options"
            elif (other.spec.vmware, other.spec.replica_name) == (spec.vmware, spec.replica_name):
                yield f"the job {other.spec.name} has a replica called {spec.replica_name}, too"


def _note(result: Validation) -> None:
    """Into the service's log, with all that is not as it should be."""
    for sentence in result.fixed:
        log.info("repaired", job=result.job, what=sentence)
    counts = {v.value: sum(f.verdict is v for f in result.findings) for v in Verdict}
    log.info("job validated", job=result.job, **counts)
    for finding in result.findings:
        if finding.verdict is not Verdict.PASSED:
            log.warning(finding.message, job=result.job, check=finding.check.value)
