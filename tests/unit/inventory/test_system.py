from __future__ import annotations

from dtesx.inventory.system import arranged, parse_os_release
from dtesx.model.inventory import Processor


def test_os_release() -> None:
    names = "ID=rocky\nVERSION_ID=\"9.4\"\nPRETTY_NAME='Rocky Linux 9.4'\n# ID=no\n"
    found = parse_os_release(f'{names}ID_LIKE="rhel centos fedora"\n\n')
    assert (found.id, found.version, found.pretty) == ("rocky", "9.4", "Rocky Linux 9.4")
    assert found.like == ("rhel", "centos", "fedora")
    assert parse_os_release("").id == "linux"


def test_two_sockets_of_two_cores_with_two_threads_each() -> None:
    places = [(package, core) for package in "01" for core in "01" for _thread in "ab"]
    assert arranged(places, "CPU") == Processor(2, 2, 2, "CPU")


def test_a_core_has_the_same_number_in_each_socket() -> None:
    assert arranged([("0", "0"), ("1", "0")], "") == Processor(2, 1, 1)


def test_nothing_is_known() -> None:
    assert arranged([], "") is None
