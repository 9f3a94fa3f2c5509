from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtesx.boot.arguments import Devices, fits, in_text, rewrite
from dtesx.boot.devices import Volume
from dtesx.model.layout import PartitionRole

ROOT = Volume(
    PartitionRole.FILE_SYSTEM, "xfs", "u-root", "system", "/", group="rl", name="root", subvolume=""
)
SWAP = Volume(PartitionRole.SWAP, "swap", "u-swap", group="my-vg", name="the-swap")
BOOT = Volume(PartitionRole.FILE_SYSTEM, "ext4", "u-boot", "", "/boot", disk=0)
DEVICES = Devices(ROOT, BOOT, (ROOT, BOOT, SWAP), (SWAP,))
BARE = Devices(BOOT, BOOT, (BOOT,), ())
TREE = Volume(PartitionRole.FILE_SYSTEM, "btrfs", "u-b", "", "/", subvolume="@/.snapshots/1/snapshot")
BTRFS = Devices(TREE, TREE, (TREE,), ())


@pytest.mark.parametrize(
    "word",
    [
        *("root=UUID=U-ROOT", "root=/dev/mapper/rl-root", "root=/dev/rl/root", "root=LABEL=system"),
        *("root=$other", "boot=UUID=u-boot", "resume=/dev/mapper/my--vg-the--swap", "resume=none"),
        *("resume=/dev/disk/by-uuid/u-swap", "rd.lvm.lv=rl/root", "rd.lvm.vg=my-vg", "rd.luks=0"),
        *("console=ttyS0,115200", "quiet", "mitigations=auto", "rootflags=noatime", "$tuned_params"),
    ],
)
def test_what_is_right_stays(word: str) -> None:
    assert rewrite([word], DEVICES) == [word]


@pytest.mark.parametrize(
    ("word", "new"),
    [
        ("root=/dev/sda2", ["root=/dev/mapper/rl-root"]),
        ("root=PARTUUID=aa-01", ["root=/dev/mapper/rl-root"]),
        ("boot=/dev/sda1", ["boot=UUID=u-boot"]),
        ("resume=/dev/sda5", ["resume=UUID=u-swap"]),
        ("rd.lvm.lv=rl/home", []),
        ("rd.lvm.vg=other", []),
        ("rd.luks.uuid=luks-1", []),
        ("rd.md.uuid=a:b:c:d", []),
        ("cryptdevice=UUID=1:root", []),
    ],
)
def test_what_is_wrong_is_corrected_or_goes(word: str, new: list[str]) -> None:
    assert rewrite([word], DEVICES) == new


def test_without_swap_nothing_is_resumed() -> None:
    assert rewrite(["root=/dev/sda1", "resume=UUID=u-swap"], BARE) == ["root=UUID=u-boot"]


@pytest.mark.parametrize(
    ("flags", "new"),
    [
        ("subvolid=260", "subvol=@/.snapshots/1/snapshot"),
        ("subvolid=260,subvol=@,ro", "subvol=@,ro"),
        ("subvol=@", "subvol=@"),
    ],
)
def test_subvolumes_are_named_by_path(flags: str, new: str) -> None:
    assert rewrite([f"rootflags={flags}"], BTRFS) == [f"rootflags={new}"]


def test_only_whole_words_of_a_text_are_touched() -> None:
    text = 'options  root=/dev/sda2 ro xroot=/dev/sda2 "resume=/dev/sda5"  rd.luks.uuid=1 quiet\n'
    new = 'options  root=/dev/mapper/rl-root ro xroot=/dev/sda2 "resume=UUID=u-swap"  quiet\n'
    assert in_text(text, DEVICES) == new


def test_arguments_without_a_root_do_not_fit() -> None:
    assert fits(["root=UUID=u-root", "quiet"], DEVICES)
    assert not fits(["quiet"], DEVICES)
    assert not fits(["root=UUID=u-root", "rd.lvm.lv=gone/x"], DEVICES)


words = st.sampled_from(
    [
        *("root=/dev/sda2", "root=UUID=u-root", "ro", "quiet", "resume=/dev/sda5", "resume=UUID=u-swap"),
        *("rd.lvm.lv=rl/root", "rd.lvm.lv=rl/home", "rd.luks.uuid=x", "rootflags=subvolid=5", "a=b"),
    ]
)


@given(st.lists(words), st.sampled_from([DEVICES, BARE, BTRFS]))
def test_text_and_words_agree_and_once_is_enough(given_words: list[str], devices: Devices) -> None:
    new = rewrite(given_words, devices)
    assert rewrite(new, devices) == new
    assert in_text(" ".join(given_words), devices).split() == new
