"""Kernel arguments that name devices: each means something of the replica, or goes. Pure.

Sources: kernel-command-line(7), dracut.cmdline(7), and the kernel's admin-guide/kernel-parameters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dtesx.boot.devices import Volume, find

# A replica's disks carry neither encryption nor RAID: whoever is asked to wait for them waits in vain.
_GONE = (
    *("rd.luks.uuid", "rd.luks.name", "rd.luks.key", "rd.luks.options", "rd.luks.partuuid", "rd.luks.serial"),
    *("luks.uuid", "luks.name", "luks.key", "luks.options", "cryptdevice", "cryptopts", "cryptkey"),
    *("rd.md.uuid", "rd_LUKS_UUID", "rd_MD_UUID"),
)


@dataclass(frozen=True)
class Devices:
    """What arguments may name: the replica's volumes, and which of them hold ``/`` and ``/boot``."""

    root: Volume
    boot: Volume
    volumes: tuple[Volume, ...]
    swaps: tuple[Volume, ...]

    def has_volume(self, name: str) -> bool:
        """Whether there is a logical volume of that name (``group/volume``)."""
        return any(f"{v.group}/{v.name}" == name for v in self.volumes if v.group)

    def has_group(self, name: str) -> bool:
        """Whether there is a volume group of that name."""
        return any(v.group == name for v in self.volumes if v.group)


def rewrite(words: Iterable[str], devices: Devices) -> list[str]:
    """The arguments for the replica, in their order; what is right stays as it is."""
    fixed = (_fixed(word, devices) for word in words)
    return [word for word in fixed if word]


def fits(words: Sequence[str], devices: Devices) -> bool:
    """Whether arguments start the replica as they are: they name its root and nothing that is gone."""
    return any(word.startswith("root=") for word in words) and rewrite(words, devices) == list(words)


def in_text(text: str, devices: Devices) -> str:
    """The same for words in a line of any kind: only words that change are touched, bytewise."""
    for word in text.replace('"', " ").replace("'", " ").split():
        new = _fixed(word, devices)
        if new != word:
            text = _replaced(text, word, new)
    return text


def _replaced(text: str, word: str, new: str) -> str:
    """Replace whole words; one that goes takes the blank before it along."""
    at = 0
    while (at := text.find(word, at)) >= 0:
        end = at + len(word)
        whole = _is_edge(text[at - 1 : at]) and _is_edge(text[end : end + 1])
        if not whole:
            at = end
            continue
        start = at - 1 if not new and text[at - 1 : at] in (" ", "\t") else at
        text = text[:start] + new + text[end:]
        at = start + len(new)
    return text


def _is_edge(character: str) -> bool:
    return character in ("", " ", "\t", "\n", '"', "'")


def _fixed(word: str, devices: Devices) -> str:
    """The word as the replica needs it; "" when it goes."""
    key, equals, value = word.partition("=")
    if not equals or value.startswith("$"):
        return word
    if key == "root":
        return word if devices.root.answers(value) else f"root={devices.root.root_name}"
    if key == "boot":
        return word if devices.boot.answers(value) else f"boot={devices.boot.stable_name}"
    if key == "rootflags":
        return _root_flags(value, devices.root)
    if key == "resume":
        return _resume(word, value, devices)
    if key in ("rd.lvm.lv", "rd_LVM_LV"):
        return word if devices.has_volume(value) else ""
    if key in ("rd.lvm.vg", "rd_LVM_VG"):
        return word if devices.has_group(value) else ""
    return "" if key in _GONE else word


def _root_flags(value: str, root: Volume) -> str:
    """Subvolumes have other numbers on the replica (btrfs(5), subvolid): only paths stay."""
    words = value.split(",")
    kept = [word for word in words if not word.startswith("subvolid=")]
    if kept != words and not any(word.startswith("subvol=") for word in kept):
        kept.append(f"subvol={root.subvolume}")
    return f"rootflags={','.join(kept)}" if kept else ""


def _resume(word: str, value: str, devices: Devices) -> str:
    if value in ("", "none") or find(devices.volumes, value):
        return word
    return f"resume={devices.swaps[0].stable_name}" if devices.swaps else ""
