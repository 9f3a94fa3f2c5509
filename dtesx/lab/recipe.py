"""What the lab's source is made of: packages and files of a plain Debian 12 server named alpha.

Data only; tree.py builds it. The cache key of a built tree is a hash of this file among others.
"""

from __future__ import annotations

SUITE = "bookworm"
HOSTNAME = "alpha"
ROOT_LABEL = "alpha-root"
USERS = ("ada", "linus", "grace")

PACKAGES = (
    *("systemd-sysv", "udev", "dbus", "kmod", "linux-image-amd64", "initramfs-tools", "zstd"),
    *("grub-pc", "grub-pc-bin", "grub2-common", "e2fsprogs"),
    *("ifupdown", "iproute2", "openssh-server", "sudo"),
    *("acl", "attr", "libcap2-bin", "python3"),
)

PATH_EXCLUDES = ("/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/doc/*")
PATH_INCLUDES = ("/usr/share/doc/*/copyright",)

# Without these a boot under emulation is some 10 s shorter; nothing of the server is lost.
MASKED_UNITS = (
    *("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "fstrim.timer"),
    *("e2scrub_all.timer", "e2scrub_reap.service", "systemd-pstore.service"),
)

LEDGER_SCRIPT = "/usr/local/lib/ledger/ledger.py"

_LEDGER_UNIT = f"""[Unit]
Description=Ledger that grows by one synced line every 200 ms

[Service]
ExecStart=/usr/bin/python3 {LEDGER_SCRIPT}
Restart=on-failure

[Install]
WantedBy=multi-user.target
"""

_GRUB = """# Serial and screen, so that the machine can be watched without a display.
GRUB_DEFAULT=0
GRUB_TIMEOUT=1
GRUB_DISTRIBUTOR=Debian
GRUB_CMDLINE_LINUX_DEFAULT=""
GRUB_CMDLINE_LINUX="console=tty0 console=ttyS0,115200"
GRUB_TERMINAL="serial console"
GRUB_SERIAL_COMMAND="serial --unit=0 --speed=115200"
GRUB_DISABLE_OS_PROBER=true
"""

_INTERFACES = """# Interfaces of this server
auto lo
iface lo inet loopback

auto eth0
iface eth0 inet static
    address {address}/24
    gateway {gateway}
"""

_APT_SOURCES = "# This server of the lab reaches no archive.\n"


def files(*, address: str, gateway: str, root_uuid: str) -> dict[str, str]:
    """Configuration files by path, all owned by root with mode 0644."""
    return {
        "/etc/hostname": f"{HOSTNAME}\n",
        "/etc/hosts": f"127.0.0.1\tlocalhost\n{address}\t{HOSTNAME}\n::1\tlocalhost ip6-localhost\n",
        "/etc/network/interfaces": _INTERFACES.format(address=address, gateway=gateway),
        "/etc/resolv.conf": "",
        "/etc/fstab": f"# <file system> <mount point> <type> <options> <dump> <pass>\n"
        f"UUID={root_uuid} / ext4 errors=remount-ro 0 1\n",
        "/etc/default/grub": _GRUB,
        "/etc/systemd/system/ledger.service": _LEDGER_UNIT,
        "/etc/apt/sources.list": _APT_SOURCES,
        "/etc/motd": f"This is {HOSTNAME}, a server of the dtesx lab.\n",
    }
