"""Debian's ifupdown (interfaces(5)): stanzas in /etc/network/interfaces and interfaces.d."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from dtesx.boot.network.files import INTERFACES, Files, below
from dtesx.model.replica import AddressSpec

_HEADS = ("iface", "auto", "mapping", "source", "source-directory", "no-auto-down", "no-scripts", "template")
_ADDRESSES = ("address", "netmask", "broadcast", "network", "gateway", "dns-nameserver", "dns-nameservers")
_AUTOMATIC = ("auto", "link-local", "loopback")
_FAMILIES = {"inet": 4, "inet6": 6}


@dataclass(frozen=True)
class Stanza:
    """``head`` and ``options`` are lines as they are written; ``tail`` the blank lines and comments after."""

    head: str
    options: tuple[str, ...] = ()
    tail: tuple[str, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        return tuple(self.head.replace("\\\n", " ").split())

    def family(self, name: str) -> str:
        """The address family when it is a stanza of that interface, else ""."""
        words = self.words
        return words[2] if words[:2] == ("iface", name) and words[2:3] and words[2] in _FAMILIES else ""

    @property
    def indent(self) -> str:
        """What the options begin with."""
        first = next((line for line in self.options if not line.lstrip().startswith("#")), "    ")
        return first[: len(first) - len(first.lstrip(" \t"))]

    def values(self, *keys: str) -> tuple[str, ...]:
        """The words after any of these options."""
        found = (line.replace("\\\n", " ").split() for line in self.options)
        return tuple(word for words in found if words and words[0] in keys for word in words[1:])


_Placed = tuple[str, Stanza]
"""A stanza with the path of its file."""


def paths(files: Files) -> tuple[str, ...]:
    """The files that ifupdown reads, in its order."""
    listed = below(files, f"{INTERFACES}.d")
    # source-directory takes no other names, and source is used with patterns of any.
    return (*((INTERFACES,) if INTERFACES in files else ()), *(p for p in listed if not p.endswith("~")))


def parse(text: str) -> tuple[Stanza, ...]:
    """The stanzas of a file in their order; ``render`` gives the text back."""
    stanzas = [Stanza("")]
    for line in _logical(text):
        words = line.split()
        if words and (words[0] in _HEADS or words[0].startswith("allow-")):
            stanzas.append(Stanza(line))
        elif words and not words[0].startswith("#"):
            last = stanzas[-1]
            stanzas[-1] = replace(last, options=(*last.options, *last.tail, line), tail=())
        else:
            stanzas[-1] = replace(stanzas[-1], tail=(*stanzas[-1].tail, line))
    return tuple(stanzas)


def render(stanzas: tuple[Stanza, ...]) -> str:
    """The text of stanzas."""
    return "".join(line for stanza in stanzas for line in (stanza.head, *stanza.options, *stanza.tail))


def readdress(files: Files, name: str, wanted: AddressSpec) -> Files | None:
    """The interface's first stanza of each family gets the addresses; its others and its aliases go."""
    placed = [(path, stanza) for path in paths(files) for stanza in parse(_ended(files[path]))]
    if not any(stanza.words[:2] == ("iface", name) for _, stanza in placed):
        return None
    placed = _with_families(_without_aliases(placed, name), name, wanted)
    done: set[str] = set()
    new: dict[str, list[Stanza]] = {path: [] for path in paths(files)}
    for path, stanza in placed:
        family = stanza.family(name)
        if not family:
            new[path].append(stanza)
        elif family not in done:
            done.add(family)
            new[path] += _block(stanza, name, wanted)
        elif not _kept(stanza)[0]:
            _leave_tail(new[path], _kept(stanza)[1])
        else:
            new[path].append(_without_addresses(stanza))
    texts = {path: render(tuple(stanzas)) for path, stanzas in new.items()}
    return {**files, **{path: text for path, text in texts.items() if text != _ended(files[path])}}


def create(files: Files, name: str, wanted: AddressSpec) -> Files:
    """Stanzas for a card that had none."""
    text = files.get(INTERFACES, "")
    stanzas = f"\nauto {name}\niface {name} inet manual\n"
    made = readdress({**files, INTERFACES: _ended(text) + stanzas}, name, wanted)
    return files if made is None else made


def _without_aliases(placed: list[_Placed], name: str) -> list[_Placed]:
    kept: list[_Placed] = []
    for path, stanza in placed:
        words = stanza.words
        aliases = [word for word in words[1:] if word.startswith(f"{name}:")]
        if words[:1] == ("iface",) and words[1:2] == (*aliases,)[:1]:
            notes = (line for line in stanza.options if line.lstrip().startswith("#"))
            kept.append((path, Stanza("", (), (*notes, *stanza.tail))))
        elif aliases and (words[0] == "auto" or words[0].startswith("allow-")):
            left = [word for word in words if word not in aliases]
            head = f"{' '.join(left)}\n" if left[1:] else ""
            kept.append((path, replace(stanza, head=head)))
        else:
            kept.append((path, stanza))
    return kept


def _with_families(placed: list[_Placed], name: str, wanted: AddressSpec) -> list[_Placed]:
    """With a stanza for each family that gets addresses, after the last one of the interface."""
    present = {stanza.family(name) for _, stanza in placed}
    absent = [family for family, version in _FAMILIES.items() if wanted.of(version) and family not in present]
    place = max(index for index, (_, stanza) in enumerate(placed) if stanza.words[:2] == ("iface", name))
    path, last = placed[place]
    added = [(path, Stanza(f"iface {name} {family} static\n")) for family in absent]
    if not added:
        return placed
    added[-1] = (path, replace(added[-1][1], tail=last.tail))
    return [*placed[:place], (path, replace(last, tail=())), *added, *placed[place + 1 :]]


def _block(stanza: Stanza, name: str, wanted: AddressSpec) -> list[Stanza]:
    """The stanzas of a family, made of its first one."""
    family, method = stanza.words[2:4]
    version = _FAMILIES[family]
    addresses = wanted.of(version)
    if not addresses:
        return [_without_addresses(stanza, method if method in _AUTOMATIC else "manual")]
    own = [f"address {addresses[0]}"]
    if gateway := wanted.gateway(version):
        own.append(f"gateway {gateway}")
    if wanted.dns and version == (4 if wanted.of(4) else 6):
        own.append(f"dns-nameservers {' '.join(wanted.dns)}")
    kept, tail = _kept(stanza)
    indent = stanza.indent
    first = Stanza(_head(stanza, "static"), (*(f"{indent}{line}\n" for line in own), *kept))
    more = [
        Stanza(f"iface {name} {family} static\n", (f"{indent}address {address}\n",))
        for address in addresses[1:]
    ]
    stanzas = [first, *more]
    return [*stanzas[:-1], replace(stanzas[-1], tail=tail)]


def _without_addresses(stanza: Stanza, method: str = "manual") -> Stanza:
    return Stanza(_head(stanza, method), *_kept(stanza))


def _kept(stanza: Stanza) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The options that are not about addresses, and the tail with the comments that are at the end then."""
    kept = [line for line in stanza.options if not _is_address(line)]
    tail = stanza.tail
    while kept and kept[-1].lstrip()[:1] in ("", "#"):
        tail = (kept.pop(), *tail)
    return tuple(kept), tail


def _head(stanza: Stanza, method: str) -> str:
    if stanza.words[3:4] == (method,):
        return stanza.head
    return f"{' '.join((*stanza.words[:3], method, *stanza.words[4:]))}\n"


def _is_address(line: str) -> bool:
    return (line.split() or [""])[0] in _ADDRESSES


def _leave_tail(stanzas: list[Stanza], tail: tuple[str, ...]) -> None:
    stanzas[-1] = replace(stanzas[-1], tail=(*stanzas[-1].tail, *tail))


def _ended(text: str) -> str:
    return text if text.endswith("\n") or not text else f"{text}\n"


def _logical(text: str) -> Iterator[str]:
    whole = ""
    for line in text.splitlines(keepends=True):
        whole += line
        if not line.endswith("\\\n"):
            yield whole
            whole = ""
    if whole:
        yield whole
