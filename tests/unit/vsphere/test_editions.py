from __future__ import annotations

import pytest

from dtesx.vsphere.editions import is_free


@pytest.mark.parametrize(
    ("keys", "free"),
    [
        (["esxBasic"], True),
        (["esx.hypervisor.cpuPackage"], True),
        (["esx.hypervisor.cpuPackageCoreLimited"], True),
        (["eval"], False),
        (["esx.enterprisePlus.cpuPackage"], False),
        (["esx.hypervisor.cpuPackage", "esx.standard.cpuPackage"], False),
        ([], False),
    ],
)
def test_the_free_edition_is_known_by_its_key(keys: list[str], free: bool) -> None:
    assert is_free(keys) is free
