from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dtesx.base.errors import ConnectionFailed, Refused, UntrustedCertificate
from dtesx.vsphere.client import connect

pytestmark = pytest.mark.integration


def test_an_unpinned_server_shows_its_thumbprint_and_gets_no_password(site: Any) -> None:
    unpinned = replace(site.server, thumbprint="")
    with pytest.raises(UntrustedCertificate) as caught, connect(unpinned, "secret"):
        pass
    assert caught.value.thumbprint == site.server.thumbprint
    assert site.server.thumbprint in caught.value.message


def test_another_certificate_than_the_pinned_one_is_refused(site: Any) -> None:
    with (
        pytest.raises(UntrustedCertificate, match="not the pinned one") as caught,
        connect(replace(site.server, thumbprint="00:" * 31 + "00"), "secret"),
    ):
        pass
    assert caught.value.thumbprint == site.server.thumbprint
    assert "renewed" in caught.value.hint


def test_the_thumbprint_may_be_typed_in_small_letters_without_colons(site: Any) -> None:
    typed = site.server.thumbprint.replace(":", "").lower()
    with connect(replace(site.server, thumbprint=typed), "secret") as vsphere:
        assert vsphere.about().product


@pytest.mark.parametrize(("user", "password"), [("admin", "wrong"), ("nobody", "secret"), ("admin", "")])
def test_a_wrong_password_is_told_with_what_to_check(site: Any, user: str, password: str) -> None:
    with (
        pytest.raises(Refused, match=f"does not accept the password of {user}") as caught,
        connect(replace(site.server, user=user), password),
    ):
        pass
    assert "domain" in caught.value.hint
    assert not caught.value.recoverable


def test_about_tells_the_server(vsphere: Any) -> None:
    about = vsphere.about()
    assert about.api_type == "VirtualCenter"
    assert about.version
    assert about.instance_uuid


def test_a_vcenter_that_is_down(own_site: Any) -> None:
    own_site.simulator.stop()
    with pytest.raises(ConnectionFailed, match="not reachable") as caught, own_site.login():
        pass
    assert "check the address" in caught.value.hint
    assert caught.value.recoverable


def test_a_vcenter_that_goes_down_in_the_middle(own_site: Any) -> None:
    with own_site.login() as vsphere:
        assert vsphere.datastores()
        own_site.simulator.stop()
        with pytest.raises(ConnectionFailed, match="could not list the datastores: vCenter vc") as caught:
            vsphere.datastores()
        assert "run the command again" in caught.value.hint


def test_a_vcenter_that_was_restarted_is_used_again(own_site: Any) -> None:
    with own_site.login() as vsphere:
        assert vsphere.datastores()
        own_site.simulator.stop()
        own_site.simulator.start()
        assert vsphere.datastores()


def test_a_session_that_expired_is_renewed_unseen(site: Any, vsphere: Any) -> None:
    assert site.simulator.expire_sessions() > 0
    assert [item.name for item in vsphere.datastores()] == ["datastore1"]
    site.simulator.expire_sessions()
    assert vsphere.find_vm("dtesx-appliance").powered_on


def test_a_session_that_expired_after_the_password_was_changed(own_site: Any) -> None:
    with own_site.login() as vsphere:
        own_site.simulator.stop()
        users = tuple(replace(user, password="changed") for user in own_site.simulator.config.users)
        own_site.simulator.config = replace(own_site.simulator.config, users=users)
        own_site.simulator.start()
        with pytest.raises(Refused, match="password of admin"):
            vsphere.datastores()
