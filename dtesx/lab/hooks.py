"""The simulator's calls into the lab: what the API does to a VM happens to a machine, or it fails there.

One JSON object a line over a Unix socket, one request a connection, answered when it is done.
"""

from __future__ import annotations

import socketserver
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol

import msgspec

from dtesx.base.described import described
from dtesx.base.errors import DtesxError
from dtesx.base.log import get_logger
from dtesx.lab.machine import AttachedDisk, NetworkCard, ReplicaHardware
from dtesx.lab.slow import explained

log = get_logger(__name__)

_LONG_SECONDS = 20.0  # the simulator gives up after 180


class Site(Protocol):
    """What the hooks act on."""

    def attach(self, vm: str, disk: AttachedDisk) -> None:
        """A disk was added to a powered-on VM."""

    def detach(self, vm: str, disk: AttachedDisk) -> None:
        """A disk is to be removed from a powered-on VM."""

    def power_on(self, hardware: ReplicaHardware) -> None:
        """A VM is powered on."""

    def power_off(self, vm: str) -> None:
        """A VM is powered off."""


@dataclass(frozen=True)
class HookRequest:
    """One call as it comes over the socket; which fields are set depends on ``call``."""

    call: str
    vm: str
    disk: AttachedDisk | None = None
    uuid: str = ""
    firmware: str = "bios"
    cpus: int = 1
    memory_mib: int = 1024
    disks: tuple[AttachedDisk, ...] = ()
    nics: tuple[NetworkCard, ...] = ()


def dispatch(line: bytes, site: Site) -> dict[str, object]:
    """Carry out one request line; the answer is ``{"ok": true}`` or ``{"error": text}``."""
    try:
        request = msgspec.json.decode(line, type=described(HookRequest), dec_hook=_decode_path)
        with explained(f"{request.call} {request.vm}", after=_LONG_SECONDS):
            _act(request, site)
    except msgspec.MsgspecError as error:
        return {"error": f"the lab does not understand this call: {error}"}
    except DtesxError as error:
        return {"error": f"{error.message} ({error.hint})" if error.hint else error.message}
    except Exception as error:
        log.error("a hook failed", exc_info=True)
        return {"error": f"the lab failed: {error}"}
    log.info("hook", call=request.call, vm=request.vm)
    return {"ok": True}


def _decode_path(kind: type, value: object) -> Path:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise msgspec.ValidationError(f"expected a path, got {value!r}")


def _act(request: HookRequest, site: Site) -> None:
    match request:
        case HookRequest(call="attach", disk=AttachedDisk() as disk):
            site.attach(request.vm, disk)
        case HookRequest(call="detach", disk=AttachedDisk() as disk):
            site.detach(request.vm, disk)
        case HookRequest(call="power_on"):
            site.power_on(
                ReplicaHardware(
                    name=request.vm,
                    uuid=request.uuid,
                    cpus=request.cpus,
                    memory_mib=request.memory_mib,
                    disks=request.disks,
                    nics=request.nics,
                    firmware=request.firmware,
                )
            )
        case HookRequest(call="power_off"):
            site.power_off(request.vm)
        case _:
            raise msgspec.ValidationError(f"{request.call} with these fields")


class HookServer:
    """Listens on a Unix socket while its context is open."""

    def __init__(self, path: Path, site: Site) -> None:
        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                if line := self.rfile.readline():
                    self.wfile.write(msgspec.json.encode(dispatch(line, site)) + b"\n")

        path.unlink(missing_ok=True)
        self._server = socketserver.ThreadingUnixStreamServer(str(path), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="hooks", daemon=True
        )

    def __enter__(self) -> HookServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
