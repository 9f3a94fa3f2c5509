#!/usr/bin/env python3
"""Compile the eBPF programs of capture; building the package does it, too, where clang is."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from pathlib import Path

from setuptools.command.build_py import build_py

_SOURCE = Path(__file__).parents[1] / "dtesx" / "capture" / "bpf" / "ranges.bpf.c"
# Version 3 has atomic operations: Linux 5.12.
_CLANG = ["clang", "-O2", "-g", "-Wall", "-Werror", "-target", "bpf", "-mcpu=v3"]


def build() -> bool:
    """Compile; False where that is not possible, which leaves capture without byte ranges."""
    if shutil.which("clang") is None:
        sys.stderr.write("no clang: capture will not tell byte ranges\n")
        return False
    # Debian keeps <asm/types.h> in a directory of the architecture, which is not this target's.
    headers = ["-idirafter", f"/usr/include/{platform.machine()}-linux-gnu"]
    argv = [*_CLANG, *headers, "-c", str(_SOURCE), "-o", str(_SOURCE.with_suffix(".o"))]
    return subprocess.run(argv, check=False).returncode == 0


class BuildPy(build_py):
    """Builds the package with its eBPF programs."""

    def run(self) -> None:
        """Compile first, for what was compiled is packed with the rest."""
        build()
        super().run()


if __name__ == "__main__":
    sys.exit(0 if build() else 1)
