"""What a parser takes apart it puts together again, bytewise."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from dtesx.boot.network import assignments, ifupdown, ini, macs, netplan
from dtesx.boot.network.files import INTERFACES
from dtesx.model.replica import AddressSpec

WORDS = st.sampled_from(
    [
        "[Match]",
        "[ipv4]\n",
        "Address=1\n",
        "key = a b \\\n",
        "# note\n",
        "; note",
        "\n",
        "  x=\n",
        "junk\n",
        "\\\n",
    ]
)
INTERFACES_LINES = st.sampled_from(
    [
        "auto lo eth0 eth0:1\n",
        "iface eth0 inet dhcp\n",
        "iface eth0 inet static\n",
        "iface eth0 inet6 auto\n",
        "iface eth0:1 inet static\n",
        "iface eth1 inet manual\n",
        "  address 192.0.2.1\n",
        "\tup echo \\\n  more\n",
        "# note\n",
        "\n",
        "source /etc/network/interfaces.d/*\n",
        "  mtu 9000\n",
    ]
)
WANTED = st.sampled_from(
    [
        AddressSpec(("10.9.0.5/24", "10.9.0.6/24"), ("10.9.0.1",), ("10.9.0.53",)),
        AddressSpec(("2001:db8::5/64",)),
        AddressSpec(("10.9.0.5/24", "2001:db8::5/64"), ("2001:db8::1",)),
    ]
)


@settings(deadline=None)
@given(st.lists(WORDS).map("".join))
def test_sections(text: str) -> None:
    assert ini.render(ini.parse(text)) == text


@settings(deadline=None)
@given(st.lists(INTERFACES_LINES).map("".join) | st.lists(INTERFACES_LINES).map("".join).map(str.strip))
def test_stanzas(text: str) -> None:
    assert ifupdown.render(ifupdown.parse(text)) == text


@settings(deadline=None)
@given(st.lists(INTERFACES_LINES).map("".join).map(str.rstrip), WANTED)
def test_interfaces_given_addresses_twice_are_given_them_once(text: str, wanted: AddressSpec) -> None:
    once = ifupdown.readdress({INTERFACES: text}, "eth0", wanted)
    if once is not None:
        assert ifupdown.readdress(once, "eth0", wanted) == once
        stanzas = [s for s in ifupdown.parse(once[INTERFACES]) if s.words[:2] == ("iface", "eth0")]
        found = [word for stanza in stanzas for word in stanza.values("address")]
        assert sorted(found) == sorted(wanted.addresses)
        kept = [line for line in text.splitlines() if "# note" in line or "eth1" in line]
        assert [line for line in once[INTERFACES].splitlines() if line in kept] == kept


SHELL = st.sampled_from(
    ["A=1\n", "B='x y'\n", 'C="z" \n', "# A=2\n", "\n", "export A=3\n", "if true; then\n", "D=4"]
)


@settings(deadline=None)
@given(st.lists(SHELL).map("".join))
def test_assignments(text: str) -> None:
    once = assignments.replaced(text, {"A", "C"}.__contains__, [("A", "9")])
    assert assignments.values(once)["A"] == "9"
    assert "C" not in assignments.values(once)
    assert assignments.replaced(once, {"A", "C"}.__contains__, [("A", "9")]) == once
    others = [line for line in text.splitlines() if not line.lstrip().startswith(("A=", "C=", "export A="))]
    assert [line for line in once.splitlines() if line != "A=9"] == others


PAIRS = st.sampled_from(
    [
        "dhcp4: true",
        "dhcp6: false  # note",
        "addresses: [192.0.2.1/24]",
        "addresses:\n# note\n- 192.0.2.1/24\n- 2001:db8::1/64:\n    label: x",
        "gateway4: 192.0.2.254",
        "nameservers:\n  search: [a.example]\n  addresses:\n  - 192.0.2.53",
        "routes:\n- to: default\n  via: 192.0.2.254\n- {to: 198.51.100.0/24, via: 192.0.2.2}",
        "mtu: 1400",
        "optional: true\n",
    ]
)


@settings(deadline=None)
@given(st.lists(PAIRS, unique_by=lambda text: text.partition(":")[0]), WANTED, st.integers(1, 6))
def test_netplan_entries(pairs: list[str], wanted: AddressSpec, indent: int) -> None:
    lines = [line for pair in pairs for line in pair.split("\n")]
    entry = "".join(f"{' ' * (4 + indent)}{line}\n" for line in lines) if lines else ""
    text = f"network:\n  ethernets:\n    eth0:\n{entry}\n    # next\n    eth1: {{dhcp4: true}}\n"
    files = {"/etc/netplan/a.yaml": text}
    once = netplan.readdress(files, "eth0", "", wanted)
    assert once is not None
    first, second = netplan.entries(once)
    assert first.data["addresses"] == list(wanted.addresses)
    assert first.data["dhcp4"] is False
    assert second.data == {"dhcp4": True}
    assert first.data.get("mtu") == (1400 if "mtu: 1400" in pairs else None)
    assert "    # next\n    eth1: {dhcp4: true}\n" in once["/etc/netplan/a.yaml"]
    assert netplan.readdress(once, "eth0", "", wanted) == once


def test_only_whole_mac_addresses_are_replaced() -> None:
    files = {"/a": "x=02:00:00:00:00:01:02\ny=02-00-00-00-00-01\n#02:00:00:00:00:01\nz=a02:00:00:00:00:01\n"}
    after = macs.replace(files, {"02:00:00:00:00:01": "00:50:56:00:00:0a"})
    assert (
        after["/a"]
        == "x=02:00:00:00:00:01:02\ny=00-50-56-00-00-0A\n#02:00:00:00:00:01\nz=a02:00:00:00:00:01\n"
    )
