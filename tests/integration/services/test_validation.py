"""A validation through the real services: an appliance, a source and the simulator."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from dtesx.base.errors import Refused
from dtesx.management.client import Appliance
from dtesx.model.api import NewRole, NewServer, NewVmware
from dtesx.model.job import JobSpec
from dtesx.model.replica import ReplicaSpec
from dtesx.model.validation import Check, Repairs, Validation, Verdict
from dtesx.vsphere import collector
from tests.integration.services.process import service
from tests.integration.vsphere.conftest import APPLIANCE, running_site

pytestmark = pytest.mark.integration


def verdicts(validation: Validation) -> dict[Check, Verdict]:
    return {finding.check: finding.verdict for finding in validation.findings}


def test_source_and_vsphere_are_asked(tmp_path: Path) -> None:
    state, source_state = tmp_path / "appliance", tmp_path / "source"
    spec = JobSpec("alpha", "alpha", "vc", ReplicaSpec("datastore1", "alpha"))
    with (
        running_site(tmp_path / "vcenter") as vcenter,
        service("appliance", state) as running,
        service("source", source_state) as source,
    ):
        token = (state / "admin-token").read_text().strip()
        certificate = (state / "identity.crt").read_text()
        with closing(Appliance(f"https://127.0.0.1:{running.port}", certificate, token)) as client:
            client.add_server(
                NewServer("alpha", "127.0.0.1", (source_state / "token").read_text().strip(), source.port)
            )
            server = vcenter.server
            client.add_vmware(
                NewVmware("vc", server.address, "exact", "secret", server.port, server.thumbprint, APPLIANCE)
            )
            found = verdicts(client.validate(spec, Repairs()))
            for check in (
                *(Check.SOURCE, Check.SOURCE_VERSION, Check.CLOCK, Check.WAY_BACK),
                *(Check.CERTIFICATE, Check.VSPHERE, Check.VSPHERE_VERSION, Check.LICENCE),
            ):
                assert found[check] is Verdict.PASSED
            nowhere = JobSpec("alpha", "alpha", "vc", spec.replica, route="127.0.0.1.invalid")
            assert verdicts(client.validate(nowhere, Repairs()))[Check.WAY_BACK] is Verdict.ERROR
            source.end()
            found = verdicts(client.validate(spec, Repairs()))
            assert found[Check.SOURCE] is Verdict.ERROR
            assert Check.CLOCK not in found
            client.put_role("vc", NewRole("dtesx"))
            with pytest.raises(Refused):
                client.put_role("vc", NewRole("dtesx", "admin", "wrong"))
        assert "job validated" in running.log.read_text()
        with vcenter.login() as vsphere:
            manager = vsphere._session.content.authorizationManager
            roles = collector.properties(vsphere._session, manager, ("roleList",))["roleList"]
            assert "dtesx" in {role.name for role in roles}
