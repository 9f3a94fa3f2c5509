"""Loading eBPF programs with libbpf, the library that adapts them to the running kernel."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterator, Mapping, Set
from contextlib import ExitStack
from functools import cache
from typing import Any

from dtesx.base.log import get_logger
from dtesx.capture.errors import NotWatchable

log = get_logger(__name__)

_LIBRARY = "libbpf.so.1"
_NO_LIBRARY = "install libbpf1 (Debian) or libbpf (Fedora, openSUSE)"
_PRIVILEGES = "run dtesx as root, on a kernel whose lockdown and seccomp allow eBPF"
_TEXT = 512
# struct bpf_prog_info of linux/bpf.h: how often a program did not run because it was running already.
_INFO_BYTES = 232
_RECURSION_MISSES = struct.Struct("=208xQ")

_Print = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)


class Programs:
    """The programs called ``names`` of an eBPF object file, loaded and attached until ``close``.

    ``sizes`` say how many elements maps have, by their names.

    Raises NotWatchable when the kernel refuses any of them.
    """

    def __init__(self, object_file: bytes, names: Set[str], sizes: Mapping[str, int]) -> None:
        self._library = _library()
        self._closing = ExitStack()
        self._attached: dict[str, int] = {}
        with self._closing:
            self._open(object_file)
            chosen = [p for p in self._programs() if self._choose(p, names)]
            for name, size in sizes.items():
                self._resize(name, size)
            if self._library.bpf_object__load(self._object) < 0:
                raise _refused(ctypes.get_errno())
            for program in chosen:
                self._attach(program)
            self._closing = self._closing.pop_all()

    def close(self) -> None:
        """Detach and unload."""
        self._closing.close()

    def map(self, name: str) -> int:
        """The descriptor of a map; it is closed with the programs."""
        fd: int = self._library.bpf_object__find_map_fd_by_name(self._object, name.encode())
        if fd < 0:
            raise KeyError(name)
        return fd

    @property
    def misses(self) -> dict[str, int]:
        """How often each program did not run, because what it was to run for interrupted it."""
        return {name: _misses(self._library, fd) for name, fd in self._attached.items()}

    def _open(self, object_file: bytes) -> None:
        self._object = ctypes.c_void_p(
            self._library.bpf_object__open_mem(object_file, ctypes.c_size_t(len(object_file)), None)
        )
        if not self._object:
            raise _refused(ctypes.get_errno())
        self._closing.callback(self._library.bpf_object__close, self._object)

    def _programs(self) -> Iterator[ctypes.c_void_p]:
        found = None
        while found := self._library.bpf_object__next_program(self._object, ctypes.c_void_p(found)):
            yield ctypes.c_void_p(found)

    def _choose(self, program: ctypes.c_void_p, names: Set[str]) -> bool:
        chosen = self._library.bpf_program__name(program).decode() in names
        self._library.bpf_program__set_autoload(program, ctypes.c_bool(chosen))
        return chosen

    def _resize(self, map_name: str, size: int) -> None:
        found = ctypes.c_void_p(self._library.bpf_object__find_map_by_name(self._object, map_name.encode()))
        if self._library.bpf_map__set_max_entries(found, ctypes.c_uint32(size)) < 0:
            raise _failure()

    def _attach(self, program: ctypes.c_void_p) -> None:
        link = self._library.bpf_program__attach(program)
        if not link:
            raise _refused(ctypes.get_errno())
        self._closing.callback(self._library.bpf_link__destroy, ctypes.c_void_p(link))
        name = self._library.bpf_program__name(program).decode()
        self._attached[name] = self._library.bpf_program__fd(program)


def update(map_fd: int, key: bytes, value: bytes) -> None:
    """Set one element of a map. Raises OSError."""
    if _library().bpf_map_update_elem(ctypes.c_int(map_fd), key, value, ctypes.c_uint64(0)) < 0:
        raise _failure()


def delete(map_fd: int, key: bytes) -> None:
    """Take one element out of a map. Raises OSError."""
    if _library().bpf_map_delete_elem(ctypes.c_int(map_fd), key) < 0:
        raise _failure()


def look_up(map_fd: int, key: bytes, size: int) -> bytes:
    """One element of a map, of ``size`` bytes. Raises OSError."""
    value = ctypes.create_string_buffer(size)
    if _library().bpf_map_lookup_elem(ctypes.c_int(map_fd), key, value) < 0:
        raise _failure()
    return value.raw


class Drain:
    """Takes everything out of hash maps that nobody adds to, ``at_once`` elements with one call.

    With ``leaving`` it leaves all there, and others may add and delete meanwhile: what is there from the
    beginning to the end is given.
    """

    def __init__(
        self, key_size: int, value_size: int, at_once: int = 1 << 16, *, leaving: bool = False
    ) -> None:
        library = _library()
        self._call = library.bpf_map_lookup_batch if leaving else library.bpf_map_lookup_and_delete_batch
        self._sizes = key_size, value_size
        self._at_once = at_once
        self._keys = ctypes.create_string_buffer(at_once * key_size)
        self._values = ctypes.create_string_buffer(at_once * value_size)

    def take(self, map_fd: int) -> Iterator[tuple[bytes, bytes]]:
        """Keys and values, concatenated, piece by piece. Raises OSError."""
        at = ctypes.c_uint64()
        first, more = None, True
        while more:
            count = ctypes.c_uint32(self._at_once)
            done = self._call(
                ctypes.c_int(map_fd),
                first,
                ctypes.byref(at),
                self._keys,
                self._values,
                ctypes.byref(count),
                None,
            )
            more = done == 0
            if not more and ctypes.get_errno() != errno.ENOENT:
                raise _failure()
            first = ctypes.byref(at)
            yield self._taken(count.value)

    def _taken(self, count: int) -> tuple[bytes, bytes]:
        key_size, value_size = self._sizes
        return ctypes.string_at(self._keys, count * key_size), ctypes.string_at(
            self._values, count * value_size
        )


@cache
def _library() -> Any:
    try:
        library = ctypes.CDLL(_LIBRARY, use_errno=True)
    except OSError as error:
        raise NotWatchable(f"libbpf is not installed ({_LIBRARY})", hint=_NO_LIBRARY) from error
    for name in (
        "bpf_object__open_mem",
        "bpf_object__next_program",
        "bpf_program__attach",
        "bpf_object__find_map_by_name",
    ):
        getattr(library, name).restype = ctypes.c_void_p
    library.bpf_program__name.restype = ctypes.c_char_p
    library.libbpf_set_print(_print)
    return library


def _log_line(_level: int, form: bytes, arguments: int) -> int:
    text = ctypes.create_string_buffer(_TEXT)
    ctypes.CDLL(None).vsnprintf(text, ctypes.c_size_t(_TEXT), form, ctypes.c_void_p(arguments))
    log.debug("libbpf says", text=text.value.decode(errors="replace").strip())
    return 0


_print = _Print(_log_line)


def _misses(library: Any, program_fd: int) -> int:
    info = ctypes.create_string_buffer(_INFO_BYTES)
    length = ctypes.c_uint32(_INFO_BYTES)
    if library.bpf_obj_get_info_by_fd(ctypes.c_int(program_fd), info, ctypes.byref(length)) < 0:
        raise _failure()
    (count,) = _RECURSION_MISSES.unpack_from(info)
    return int(count)


def _refused(number: int) -> NotWatchable:
    return NotWatchable(f"the kernel refuses the eBPF programs: {os.strerror(number)}", hint=_PRIVILEGES)


def _failure() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
