"""What the static check says about the trees of all distributions, and about broken ones."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dtesx.boot.check import check
from dtesx.model.validation import Check, Finding, Verdict
from dtesx.model.wiring import Wiring
from tests.unit.boot.distributions import ALL
from tests.unit.boot.golden import Golden
from tests.unit.boot.test_distributions import built, contents

DEBIAN = next(golden for golden in ALL if golden.name == "debian 12 bios")
ROCKY = next(golden for golden in ALL if golden.name == "rocky 9 uefi")


@pytest.fixture(autouse=True)
def programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")


def found(golden: Golden, root: Path) -> dict[Check, Finding]:
    return {finding.check: finding for finding in check({"/": root}, golden.layout, Wiring())}


@pytest.mark.parametrize("golden", ALL, ids=lambda golden: golden.name)
def test_a_good_tree_has_no_errors_and_is_not_touched(golden: Golden, tmp_path: Path) -> None:
    root, _ = built(golden, tmp_path)
    before = contents(root)
    findings = check({"/": root}, golden.layout, Wiring())
    # These trees configure no network and have no guest tools; of all else nothing is to be said.
    assert [f.check for f in findings if f.verdict is not Verdict.PASSED] == [Check.GUEST_TOOLS]
    assert contents(root) == before


def test_file_systems_may_be_mounted_beside_each_other(tmp_path: Path) -> None:
    root, _ = built(ROCKY, tmp_path)
    together = check({"/": root}, ROCKY.layout, Wiring())
    shutil.move(root / "boot/efi", tmp_path / "esp")
    shutil.move(root / "boot", tmp_path / "boot")
    apart = {"/": root, "/boot": tmp_path / "boot", "/boot/efi": tmp_path / "esp"}
    assert check(apart, ROCKY.layout, Wiring()) == together


def test_a_tree_without_kernel(tmp_path: Path) -> None:
    root, _ = built(DEBIAN, tmp_path)
    (root / f"boot/vmlinuz-{DEBIAN.kernel}").unlink()
    finding = found(DEBIAN, root)[Check.BOOT_KERNEL]
    assert (finding.verdict, finding.message) == (Verdict.ERROR, "the replica has no kernel in /boot")
    assert finding.hint


def test_a_driver_that_is_nowhere(tmp_path: Path) -> None:
    root, _ = built(DEBIAN, tmp_path)
    (root / f"usr/lib/modules/{DEBIAN.kernel}/kernel/vmxnet3.ko").unlink()
    finding = found(DEBIAN, root)[Check.BOOT_KERNEL]
    assert finding.verdict is Verdict.ERROR
    assert finding.message.startswith(f"kernel {DEBIAN.kernel}: ")


def test_an_older_kernel_that_cannot_start_is_a_warning(tmp_path: Path) -> None:
    root, _ = built(DEBIAN, tmp_path)
    (root / "boot/vmlinuz-5.10.0").touch()
    (root / "boot/initrd.img-5.10.0").write_bytes(b"garbage")
    finding = found(DEBIAN, root)[Check.BOOT_KERNEL]
    assert finding.verdict is Verdict.WARNING
    assert "5.10.0" in finding.message


def test_a_mount_that_the_replica_lacks(tmp_path: Path) -> None:
    root, _ = built(DEBIAN, tmp_path)
    table = root / "etc/fstab"
    table.write_text(
        table.read_text()
        + "UUID=aaaa-bbbb /backup ext4 defaults 0 2\n/dev/sr0 /media/cdrom0 udf,iso9660 user,noauto 0 0\n"
    )
    findings = check({"/": root}, DEBIAN.layout, Wiring())
    (finding,) = [f for f in findings if f.check is Check.BOOT_DEVICES]
    assert finding.verdict is Verdict.WARNING
    assert "UUID=aaaa-bbbb /backup" in finding.message


def test_a_menu_of_another_machine(tmp_path: Path) -> None:
    root, _ = built(DEBIAN, tmp_path)
    (root / "boot/grub/grub.cfg").unlink()
    assert found(DEBIAN, root)[Check.BOOT_MENU].verdict is Verdict.WARNING


def test_a_replica_that_nothing_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, _ = built(ROCKY, tmp_path)
    signed = found(ROCKY, root)[Check.BOOT_CODE]
    assert (signed.verdict, "shimx64.efi" in signed.message) == (Verdict.PASSED, True)
    shutil.rmtree(root / "boot/efi/EFI")
    monkeypatch.setattr("dtesx.boot.grub_image._OWN_PLACE", "/nowhere/{}")
    assert found(ROCKY, root)[Check.BOOT_CODE].verdict is Verdict.ERROR


def test_missing_programs_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, _ = built(DEBIAN, tmp_path)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    finding = found(DEBIAN, root)[Check.BOOT_CODE]
    assert (finding.verdict, finding.hint) == (Verdict.ERROR, "install kmod on the appliance")


def test_errors_come_first(tmp_path: Path) -> None:
    root, _ = built(DEBIAN, tmp_path)
    (root / f"boot/vmlinuz-{DEBIAN.kernel}").unlink()
    verdicts = [finding.verdict for finding in check({"/": root}, DEBIAN.layout, Wiring())]
    assert verdicts == sorted(verdicts, key=tuple(Verdict).index)


def test_guest_tools(tmp_path: Path) -> None:
    root, _ = built(DEBIAN, tmp_path)
    (root / "usr/bin").mkdir()
    (root / "usr/bin/vmtoolsd").touch()
    assert Check.GUEST_TOOLS not in found(DEBIAN, root)
