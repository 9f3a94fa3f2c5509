"""What an initramfs carries about the source's devices, and waits for: the members that correct it. Pure.

dracut made for one host stores kernel arguments (etc/cmdline.d), scripts and unit links that wait for
devices (wait_for_dev in dracut-functions.sh), crypttab and LVM's devices file; initramfs-tools a crypttab.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from dtesx.boot import arguments, cpio, lost
from dtesx.boot.arguments import Devices
from dtesx.boot.cpio import Member
from dtesx.boot.devices import Volume, find
from dtesx.boot.initrd import Initrd

_ARGUMENTS = re.compile(r"etc/cmdline(\.d/.+\.conf)?")
_WAITS = re.compile(r".*lib/dracut/hooks/initqueue/finished/devexists-.+\.sh")
_WANTS = re.compile(r"etc/systemd/system/[^/]+\.(?:wants|requires)/(dev-.+)\.device")
_ESCAPED = re.compile(r"\\x([0-9a-f]{2})")
_QUOTED_DEVICE = re.compile(r'"(/dev/[^"]+)"')
_UNITS = "etc/systemd/system"


def corrections(initrd: Initrd, devices: Devices) -> list[Member]:
    """The members to append so that nothing waits for what the replica does not have; none if all is well."""
    found = [_corrected(member, devices) for member in initrd.members.values()]
    changed = [member for member in found if member is not None and _differs(member, initrd)]
    return [*changed, *_masks(initrd, devices.volumes), *_lvm(initrd)]


def _differs(member: Member, initrd: Initrd) -> bool:
    return member.data != initrd.members[member.name].data


def _corrected(member: Member, devices: Devices) -> Member | None:
    if not stat.S_ISREG(member.mode):
        return None
    if _ARGUMENTS.fullmatch(member.name):
        return _edited(member, lambda text: arguments.in_text(text, devices))
    if _WAITS.fullmatch(member.name):
        return _edited(member, lambda text: "true\n" if _waits_in_vain(text, devices.volumes) else text)
    if member.name in ("etc/crypttab", "cryptroot/crypttab"):
        return _edited(member, lambda text: lost.without_lost(text, devices.volumes, field=1))
    if member.name == "etc/fstab":
        return _edited(member, lambda text: lost.without_lost(text, devices.volumes, field=0))
    return None


def _edited(member: Member, edit: Callable[[str], str]) -> Member:
    text = member.data.decode(errors="surrogateescape")
    return replace(member, data=edit(text).encode(errors="surrogateescape"))


def _waits_in_vain(script: str, volumes: Sequence[Volume]) -> bool:
    return any(find(volumes, device) is None for device in _QUOTED_DEVICE.findall(script))


def _masks(initrd: Initrd, volumes: Sequence[Volume]) -> Iterator[Member]:
    """A wanted unit of a device that never comes is masked: an archive cannot take the want away."""
    for name in initrd.members:
        match = _WANTS.fullmatch(name)
        mask = f"{_UNITS}/{match[1]}.device" if match else ""
        if match and find(volumes, _device(match[1])) is None and mask not in initrd.members:
            yield Member(mask, stat.S_IFLNK | 0o777, b"/dev/null")


def _device(unit: str) -> str:
    """The path that a device unit stands for (systemd.unit(5), "String Escaping for Inclusion")."""
    path = "/" + unit.replace("-", "/")
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), path)


def _lvm(initrd: Initrd) -> Iterator[Member]:
    """The devices file names the source's physical volumes: LVM must not go by it."""
    if lost.LVM_DEVICES not in initrd.members:
        return
    held = initrd.members.get(lost.LVM_LOCAL)
    old = held.data.decode(errors="surrogateescape") if held else ""
    new = lost.lvm_local(old)
    if new != old:
        yield cpio.regular(lost.LVM_LOCAL, new.encode(errors="surrogateescape"))
