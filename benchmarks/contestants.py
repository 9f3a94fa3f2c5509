"""Those who run: dtesx with its target, rsync with its daemon or over ssh. Each serves one data directory."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measuring import ENVIRONMENT, Sample, run_client, server_memory, settled

_READY_SECONDS = 20.0
_SENT = re.compile(r"Total bytes (?:sent|received): ([\d,]+)")


@dataclass(frozen=True)
class Contestant:
    """A running server with the client command that mirrors to it; ``data`` is what it serves."""

    name: str
    data: Path
    pid: int
    client: tuple[str, ...]
    url: str

    def mirror(self, source: Path, name: str, options: Sequence[str] = ()) -> Sample:
        """Mirror ``source`` to ``data/name`` and measure both sides."""
        before = settled(self.pid)
        where = str(source) if "dtesx" in self.name else f"{source}/"
        (self.data / name).mkdir(exist_ok=True)
        ended = run_client([*self.client, *options, where, f"{self.url}/{name}"])
        cpu = ended.cpu + settled(self.pid) - before
        return Sample(ended.wall, cpu, _wire(ended.output), ended.memory + server_memory(self.pid))


def _wire(output: str) -> int:
    if output.lstrip().startswith("{"):
        return int(json.loads(output)["bytes_wire"])
    return sum(int(number.replace(",", "")) for number in _SENT.findall(output))


@contextmanager
def dtesx(work: Path, *, tls: bool) -> Iterator[Contestant]:
    """`dtesx target`, and `dtesx mirror` as its client."""
    name = "dtesx" if tls else "dtesx-plain"
    home, port = work / name, _free_port()
    (home / "data").mkdir(parents=True)
    program = [sys.executable, "-m", "dtesx"]
    plain = [] if tls else ["--no-tls"]
    serve = [*program, "target", "--listen", f"127.0.0.1:{port}", "--data", str(home / "data")]
    with _served([*serve, "--state", str(home / "state"), *plain], port) as pid:
        client = (
            *(*program, "mirror", "--json", "--no-calc-size", "--state", str(home / "client")),
            *("--token-file", str(home / "state" / "token"), *plain),
        )
        yield Contestant(name, home / "data", pid, client, f"dtesx://127.0.0.1:{port}")


@contextmanager
def rsync(work: Path, *, options: Sequence[str] = (), name: str = "rsync") -> Iterator[Contestant]:
    """`rsync --daemon`, and `rsync -aHAX --delete` as its client."""
    home, port = work / name, _free_port()
    (home / "data").mkdir(parents=True)
    config = home / "rsyncd.conf"
    config.write_text(
        f"use chroot = no\nuid = 0\ngid = 0\nlog file = {home}/log\n"
        f"[data]\npath = {home}/data\nread only = no\n"
    )
    argv = ["rsync", "--daemon", "--no-detach", "--address=127.0.0.1", f"--port={port}", f"--config={config}"]
    with _served(argv, port) as pid:
        client = ("rsync", "-aHAX", "--delete", "--stats", *options)
        yield Contestant(name, home / "data", pid, client, f"rsync://127.0.0.1:{port}/data")


@contextmanager
def rsync_over_ssh(work: Path) -> Iterator[Contestant]:
    """Rsync over an ssh connection to a server of its own on the loopback interface."""
    home, port = work / "rsync-ssh", _free_port()
    (home / "data").mkdir(parents=True)
    for key in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(home / key)], check=True)
    (home / "authorized").write_text((home / "user.pub").read_text())
    config = home / "sshd_config"
    config.write_text(
        f"HostKey {home}/host\nAuthorizedKeysFile {home}/authorized\nStrictModes no\nUsePAM no\n"
        f"PidFile none\nPermitRootLogin yes\nListenAddress 127.0.0.1\nPort {port}\n"
    )
    Path("/run/sshd").mkdir(exist_ok=True)
    with _served(["/usr/sbin/sshd", "-D", "-e", "-f", str(config)], port) as pid:
        shell = (
            f"ssh -p {port} -i {home}/user -o BatchMode=yes -o LogLevel=ERROR "
            "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
        )
        client = ("rsync", "-aHAX", "--delete", "--stats", "-e", shell)
        yield Contestant("rsync-ssh", home / "data", pid, client, f"127.0.0.1:{home}/data")


@contextmanager
def _served(argv: Sequence[str], port: int) -> Iterator[int]:
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, env=ENVIRONMENT)
    try:
        _await(port, process)
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _await(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{process.args!r} does not listen on port {port}") from None
            time.sleep(0.05)
        else:
            return


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def has_ssh() -> bool:
    """Whether there is an ssh server to run."""
    return os.access("/usr/sbin/sshd", os.X_OK)
