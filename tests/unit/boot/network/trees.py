"""Network configurations as the distributions' installers write them, made by hand of their documentation.

Each machine has a card ``lan`` that is called as that distribution calls it, with MAC_OLD.
"""

from __future__ import annotations

from dtesx.model.replica import AddressSpec
from dtesx.model.wiring import Card, Wiring

MAC_OLD = "3c:ec:ef:12:ab:01"
MAC_NEW = "00:50:56:aa:bb:01"
SECOND_OLD = "3c:ec:ef:12:ab:02"
SECOND_NEW = "00:50:56:aa:bb:02"

ELSEWHERE = AddressSpec(
    ("10.9.0.5/24", "10.9.0.6/24", "2001:db8:9::5/64"),
    ("10.9.0.1", "2001:db8:9::1"),
    ("10.9.0.53", "2001:db8:9::53"),
)
IPV4_ONLY = AddressSpec(("10.9.0.5/24",), ("10.9.0.1",), ("10.9.0.53",))


def wiring(first: str, second: str = "", addressing: dict[str, AddressSpec] | None = None) -> Wiring:
    cards = [Card(first, MAC_NEW, MAC_OLD, "i40e")]
    if second:
        cards.append(Card(second, SECOND_NEW, SECOND_OLD, "i40e"))
    return Wiring(tuple(cards), addressing=addressing or {})


DEBIAN_12 = {
    "/etc/network/interfaces": """\
# This file describes the network interfaces available on your system
# and how to activate them. For more information, see interfaces(5).

source /etc/network/interfaces.d/*

# The loopback network interface
auto lo
iface lo inet loopback

# The primary network interface
allow-hotplug ens192
iface ens192 inet static
\taddress 192.0.2.10/24
\tgateway 192.0.2.1
\t# dns-* options are implemented by the resolvconf package, if installed
\tdns-nameservers 192.0.2.53
\tdns-search example.org
# This is an autoconfigured IPv6 interface
iface ens192 inet6 auto
""",
    "/etc/resolv.conf": "search example.org\nnameserver 192.0.2.53\n",
    "/etc/hosts": "127.0.0.1\tlocalhost\n192.0.2.10\talpha.example.org alpha\n",
}
DEBIAN_11_BOND = {
    "/etc/network/interfaces": """\
source /etc/network/interfaces.d/*

auto lo
iface lo inet loopback
""",
    "/etc/network/interfaces.d/bond0": """\
auto bond0 bond0:1
iface bond0 inet static
    address 192.0.2.10
    netmask 255.255.255.0
    gateway 192.0.2.1
    bond-slaves eno1 eno2
    bond-mode active-backup
    bond-miimon 100
    up ip route add 198.51.100.0/24 via 192.0.2.9 || true

iface bond0:1 inet static
    address 192.0.2.11/24

# tagged
auto bond0.7
iface bond0.7 inet static
    address 198.18.7.2/24
    vlan-raw-device bond0
""",
}
UBUNTU_2204 = {
    "/etc/netplan/00-installer-config.yaml": """\
# This is the network config written by 'subiquity'
network:
  ethernets:
    ens160:
      dhcp4: true   # by the installer

    ens192:
      addresses:
        - 192.0.2.10/24
        - 2001:db8::10/64
      nameservers:
        addresses: [192.0.2.53]
        search:
          - example.org
      routes:
        - to: default
          via: 192.0.2.1
        - to: 198.51.100.0/24
          via: 192.0.2.9
      mtu: 9000
  version: 2
""",
}
UBUNTU_2004_CLOUD = {
    "/etc/netplan/50-cloud-init.yaml": f"""\
network:
    version: 2
    ethernets:
        ens5:
            dhcp4: true
            match:
                macaddress: {MAC_OLD}
            set-name: ens5
""",
}
UBUNTU_BOND = {
    "/etc/netplan/01-net.yaml": f"""\
network:
  version: 2
  renderer: networkd
  ethernets:
    nic-a: {{match: {{macaddress: "{MAC_OLD}"}}, set-name: eno1}}
    nic-b: {{match: {{macaddress: "{SECOND_OLD.upper()}"}}, set-name: eno2}}
  bonds:
    bond0:
      interfaces: [nic-a, nic-b]
      macaddress: {MAC_OLD}
      parameters: {{mode: active-backup}}
      addresses: [192.0.2.10/24]
      gateway4: 192.0.2.1
  vlans:
    bond0.7: {{id: 7, link: bond0, addresses: [198.18.7.2/24]}}
""",
}
ROCKY_9 = {
    "/etc/NetworkManager/system-connections/ens192.nmconnection": f"""\
[connection]
id=ens192
uuid=6d0e3e66-5c57-3a6f-8b1c-0a3b6f2f9d11
type=ethernet
autoconnect-priority=-999
interface-name=ens192
timestamp=1700000000

[ethernet]
mac-address={MAC_OLD.upper()}

[ipv4]
address1=192.0.2.10/24,192.0.2.1
dns=192.0.2.53;
dns-search=example.org;
method=manual
route1=198.51.100.0/24,192.0.2.9

[ipv6]
addr-gen-mode=eui64
method=auto

[proxy]
""",
}
ALMA_8 = {
    "/etc/sysconfig/network-scripts/ifcfg-ens192": f"""\
TYPE=Ethernet
PROXY_METHOD=none
BROWSER_ONLY=no
BOOTPROTO=none
DEFROUTE=yes
IPV4_FAILURE_FATAL=no
IPV6INIT=yes
IPV6_AUTOCONF=yes
NAME=ens192
UUID=2e5a3a4c-1111-4222-8333-444455556666
DEVICE=ens192
HWADDR="{MAC_OLD.upper()}"
ONBOOT=yes
IPADDR=192.0.2.10
PREFIX=24
GATEWAY=192.0.2.1
DNS1=192.0.2.53
DOMAIN=example.org
""",
    "/etc/sysconfig/network-scripts/ifcfg-ens192:1": "DEVICE=ens192:1\nIPADDR=192.0.2.11\nPREFIX=24\n",
    "/etc/sysconfig/network": "# Created by anaconda\nGATEWAY=192.0.2.1\nNOZEROCONF=yes\n",
}
SLES_15 = {
    "/etc/sysconfig/network/ifcfg-eth0": """\
BOOTPROTO='static'
IPADDR='192.0.2.10/24'
IPADDR_1='192.0.2.11/24'
LABEL_1='db'
STARTMODE='auto'
ZONE=''
""",
    "/etc/sysconfig/network/ifcfg-lo": "IPADDR='127.0.0.1/8'\nSTARTMODE='nfsroot'\nBOOTPROTO='static'\n",
    "/etc/sysconfig/network/routes": "default 192.0.2.1 - -\n198.51.100.0/24 192.0.2.9 - eth0\n",
    "/etc/sysconfig/network/config": (
        '## Type: string\nNETCONFIG_DNS_POLICY="auto"\nNETCONFIG_DNS_STATIC_SERVERS="192.0.2.53"\n'
    ),
    "/etc/udev/rules.d/70-persistent-net.rules": (
        'SUBSYSTEM=="net", ACTION=="add", DRIVERS=="?*", '
        f'ATTR{{address}}=="{MAC_OLD}", ATTR{{dev_id}}=="0x0", ATTR{{type}}=="1", NAME="eth0"\n'
        'SUBSYSTEM=="net", ACTION=="add", KERNELS=="0000:3b:00.1", NAME="eth1"\n'
    ),
}
NETWORKD = {
    "/etc/systemd/network/20-wired.network": f"""\
[Match]
PermanentMACAddress={MAC_OLD}

[Network]
DHCP=ipv4
Domains=example.org
VLAN=tagged

[Route]
Gateway=192.0.2.1

[Route]
Destination=198.51.100.0/24
Gateway=192.0.2.9

[Address]
Address=192.0.2.10/24
""",
    "/etc/systemd/network/70-lan.link": (
        f"[Match]\nMACAddress={MAC_OLD}\n\n[Link]\nName=lan0\nMTUBytes=9000\n"
    ),
}
ALL = {
    "debian 12": (DEBIAN_12, "ens192", ""),
    "debian 11 bond": (DEBIAN_11_BOND, "eno1", "eno2"),
    "ubuntu 22.04": (UBUNTU_2204, "ens192", ""),
    "ubuntu 20.04 cloud": (UBUNTU_2004_CLOUD, "ens5", ""),
    "ubuntu bond": (UBUNTU_BOND, "eno1", "eno2"),
    "rocky 9": (ROCKY_9, "ens192", ""),
    "alma 8": (ALMA_8, "ens192", ""),
    "sles 15": (SLES_15, "eth0", ""),
    "networkd": (NETWORKD, "lan0", ""),
}
