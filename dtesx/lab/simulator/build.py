"""Builds the simulator from its Go sources, once per version of them."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from dtesx.base.errors import NotFound
from dtesx.base.log import get_logger
from dtesx.base.run import run

log = get_logger(__name__)

SOURCES = Path(__file__).parent
LIBRARY = Path("/usr/share/gocode")
"""Where Debian keeps Go libraries; the program builds in GOPATH mode against them."""

_SIMULATOR_PACKAGE = LIBRARY / "src/github.com/vmware/govmomi/simulator"
_PACKAGES = "golang-go golang-github-vmware-govmomi-dev"


def sources() -> tuple[Path, ...]:
    """The Go files of the simulator, sorted."""
    return tuple(sorted(SOURCES.glob("*.go")))


def fingerprint(files: tuple[Path, ...]) -> str:
    """A short digest of names and contents: another digest means another program."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def build(cache: Path) -> Path:
    """Return the simulator's binary below ``cache``, compiled (15-60 s) if the sources changed.

    Raises NotFound when Go or the govmomi library is missing, CommandFailed when it does not compile.
    """
    files = sources()
    binary = cache / f"simulator-{fingerprint(files)}"
    if binary.exists():
        return binary
    _require_tools()
    cache.mkdir(parents=True, exist_ok=True)
    log.info("building the vSphere simulator", binary=str(binary))
    temporary = binary.with_name(f".{binary.name}.{os.getpid()}")
    go = {
        "GO111MODULE": "off",
        "GOPATH": str(LIBRARY),
        "GOCACHE": str(cache / "go-build"),
        "GOFLAGS": "-trimpath",
        "CGO_ENABLED": "0",
    }
    try:
        run(["go", "build", "-o", str(temporary), *(str(file) for file in files)], env=go, timeout=900)
        os.replace(temporary, binary)
    finally:
        temporary.unlink(missing_ok=True)
    _forget_older(cache, binary)
    return binary


def _require_tools() -> None:
    missing = [] if shutil.which("go", path="/usr/local/go/bin:/usr/bin:/usr/local/bin") else ["Go"]
    if not _SIMULATOR_PACKAGE.is_dir():
        missing.append(f"the govmomi library ({_SIMULATOR_PACKAGE})")
    if missing:
        raise NotFound(
            f"the vSphere simulator cannot be built: {' and '.join(missing)} missing",
            hint=f"install the Debian packages: apt-get install {_PACKAGES}",
        )


def _forget_older(cache: Path, current: Path) -> None:
    for other in cache.glob("simulator-*"):
        if other != current:
            other.unlink(missing_ok=True)
