from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from pyVmomi import vim, vmodl

from dtesx.base.errors import VSphereError
from dtesx.vsphere import collector, tasks
from dtesx.vsphere.session import Session

Page = Callable[..., Any]


def update(managed: Any, changes: Mapping[str, Any], *, kind: str = "modify", op: str = "assign") -> Any:
    query = vmodl.query.PropertyCollector
    changed = [query.Change(name=name, op=op, val=value) for name, value in changes.items()]
    item = query.ObjectUpdate(kind=kind, obj=managed, changeSet=changed)
    return query.UpdateSet(version="1", filterSet=[query.FilterUpdate(objectSet=[item])])


@pytest.fixture
def vm(server: Any) -> Any:
    return vim.VirtualMachine("vm-1", server)


@pytest.fixture
def watched(server: Any) -> list[Any]:
    """Script of WaitForUpdatesEx: values are returned, exceptions raised; then it says nothing changed."""
    script: list[Any] = []

    def wait(version: str, options: Any) -> Any:
        assert options.maxWaitSeconds >= 1
        answer = script.pop(0) if script else None
        if isinstance(answer, Exception):
            raise answer
        return answer

    server.answers |= {
        "CreatePropertyCollector": lambda: vmodl.query.PropertyCollector("own", server),
        "CreateFilter": lambda spec, partial: vmodl.query.PropertyCollector.Filter("filter", server),
        "WaitForUpdatesEx": wait,
        "DestroyPropertyCollector": lambda: None,
    }
    return script


def test_unset_properties_are_absent(session: Session, server: Any, vm: Any, make_page: Page) -> None:
    server.answer_properties(make_page((vm, {"name": "a"})))
    assert collector.properties(session, vm, ("name", "snapshot")) == {"name": "a"}


def test_all_pages_are_read(session: Session, server: Any, vm: Any, make_page: Page) -> None:
    other = vim.VirtualMachine("vm-2", server)
    server.answer_properties(make_page((vm, {"name": "a"}), token="next"))
    server.answers["ContinueRetrievePropertiesEx"] = lambda token: make_page((other, {"name": token}))
    found = collector.rows(session, [vm, other], vim.VirtualMachine, ("name",))
    assert [(row.ref, row.name) for row in found] == [("vm-1", "a"), ("vm-2", "next")]


def test_an_expired_session_hidden_in_missing_properties_is_renewed(
    session: Session, server: Any, vm: Any, make_page: Page
) -> None:
    lost = make_page((vm, {}), missing=vim.fault.NotAuthenticated())
    server.answer_properties(lost, make_page((vm, {"name": "a"})))
    assert collector.properties(session, vm, ("name",)) == {"name": "a"}
    assert server.calls.count("Login") == 1


def test_an_expired_session_hidden_in_a_listing_is_renewed_too(
    session: Session, server: Any, vm: Any, make_page: Page
) -> None:
    lost = make_page((vm, {}), missing=vim.fault.NotAuthenticated())
    server.answer_properties(lost, make_page((vm, {"name": "a"})))
    assert collector.rows(session, [vm], vim.VirtualMachine, ("name",))[0].name == "a"


def test_a_forbidden_object_is_told_when_asked_for_alone_only(
    session: Session, server: Any, vm: Any, make_page: Page
) -> None:
    server.answer_properties(make_page((vm, {}), missing=vim.fault.NoPermission()))
    with pytest.raises(vim.fault.NoPermission):
        collector.properties(session, vm, ("name",))
    assert collector.rows(session, [vm], vim.VirtualMachine, ("name",))[0].values == {}


def test_nothing_is_asked_for_nothing(session: Session, server: Any) -> None:
    assert collector.rows(session, [], vim.VirtualMachine, ("name",)) == ()
    assert "RetrievePropertiesEx" not in server.calls


def test_a_view_is_removed_even_when_reading_fails(session: Session, server: Any) -> None:
    def fail(*_args: Any) -> None:
        raise vmodl.fault.SystemError

    server.answers |= {
        "CreateContainerView": lambda root, kinds, deep: vim.view.ContainerView("view", server),
        "RetrievePropertiesEx": fail,
        "DestroyView": lambda: None,
    }
    with pytest.raises(vmodl.fault.SystemError):
        collector.rows_under(session, session.content.rootFolder, vim.VirtualMachine, ("name",))
    assert server.calls[-1] == "DestroyView"


def test_names_are_shown_as_people_wrote_them(vm: Any) -> None:
    assert collector.Row(vm, {"name": "web%2fone %25"}).name == "web/one %"


def power(values: Mapping[str, Any]) -> str | None:
    return values.get("runtime.powerState") if values.get("runtime.powerState") == "poweredOn" else None


def test_a_watch_ends_when_it_found_what_it_waits_for(
    session: Session, server: Any, vm: Any, watched: list[Any]
) -> None:
    watched += [
        update(vm, {"runtime.powerState": "poweredOff"}, kind="enter"),
        update(vm, {"runtime.powerState": "poweredOn"}),
    ]
    waits: list[float] = []
    found = collector.watch(session, vm, ["runtime.powerState"], timeout=5, found=power, on_wait=waits.append)
    assert found == "poweredOn"
    assert len(waits) == 1
    assert server.calls[-1] == "DestroyPropertyCollector"


def test_a_lost_update_is_found_by_looking_again(
    session: Session, server: Any, vm: Any, watched: list[Any], make_page: Page
) -> None:
    watched += [update(vm, {"runtime.powerState": "poweredOff"}, kind="enter"), None]
    server.answer_properties(make_page((vm, {"runtime.powerState": "poweredOn"})))
    assert collector.watch(session, vm, ["runtime.powerState"], timeout=5, found=power) == "poweredOn"


def test_a_timeout_removes_the_collector(
    session: Session, server: Any, vm: Any, watched: list[Any], make_page: Page
) -> None:
    server.answer_properties(make_page((vm, {"runtime.powerState": "suspended"})))
    with pytest.raises(collector.TimedOut) as caught:
        collector.watch(session, vm, ["runtime.powerState"], timeout=0, found=power)
    assert caught.value.last == {"runtime.powerState": "suspended"}
    assert server.calls[-1] == "DestroyPropertyCollector"


@pytest.mark.parametrize(
    "error", [ConnectionResetError(), vmodl.fault.SystemError(), KeyboardInterrupt()], ids=repr
)
def test_whatever_ends_a_watch_the_collector_is_removed(
    session: Session, server: Any, vm: Any, watched: list[Any], error: BaseException
) -> None:
    def stop(_elapsed: float) -> None:
        raise error

    watched += [update(vm, {}, kind="enter"), update(vm, {}, kind="enter")]
    with pytest.raises(type(error)):
        collector.watch(session, vm, ["runtime.powerState"], timeout=5, found=power, on_wait=stop)
    assert server.calls.count("CreatePropertyCollector") == server.calls.count("DestroyPropertyCollector")


def test_a_watch_goes_on_after_its_session_expired(
    session: Session, server: Any, vm: Any, watched: list[Any]
) -> None:
    def gone() -> None:
        raise vim.fault.NotAuthenticated

    server.answers["DestroyPropertyCollector"] = gone
    watched += [
        update(vm, {"runtime.powerState": "poweredOff"}, kind="enter"),
        vim.fault.NotAuthenticated(),
        update(vm, {"runtime.powerState": "poweredOn"}, kind="enter"),
    ]
    assert collector.watch(session, vm, ["runtime.powerState"], timeout=5, found=power) == "poweredOn"
    assert server.calls.count("Login") == 1


def test_a_watch_gives_up_when_a_new_session_is_no_better(
    session: Session, server: Any, vm: Any, watched: list[Any]
) -> None:
    watched += [vim.fault.NotAuthenticated()] * 9
    with pytest.raises(vim.fault.NotAuthenticated):
        collector.watch(session, vm, ["runtime.powerState"], timeout=5, found=power)
    assert server.calls.count("Login") == 1


def test_a_long_watch_may_outlive_several_sessions(
    session: Session, server: Any, vm: Any, watched: list[Any]
) -> None:
    off = update(vm, {"runtime.powerState": "poweredOff"}, kind="enter")
    watched += [off, vim.fault.NotAuthenticated()] * 4
    watched += [update(vm, {"runtime.powerState": "poweredOn"}, kind="enter")]
    assert collector.watch(session, vm, ["runtime.powerState"], timeout=5, found=power) == "poweredOn"
    assert server.calls.count("Login") >= 2


def test_an_object_that_vanishes_ends_the_watch(session: Session, vm: Any, watched: list[Any]) -> None:
    watched += [update(vm, {}, kind="leave")]
    with pytest.raises(vmodl.fault.ManagedObjectNotFound):
        collector.watch(session, vm, ["runtime.powerState"], timeout=5, found=power)


def test_a_property_that_becomes_unset_is_dropped(session: Session, vm: Any, watched: list[Any]) -> None:
    seen: list[Mapping[str, Any]] = []

    def look(values: Mapping[str, Any]) -> bool | None:
        seen.append(dict(values))
        return True if len(seen) == 2 else None

    watched += [
        update(vm, {"guest.ipAddress": "10.0.0.1"}, kind="enter"),
        update(vm, {"guest.ipAddress": None}, op="indirectRemove"),
    ]
    collector.watch(session, vm, ["guest.ipAddress"], timeout=5, found=look)
    assert seen == [{"guest.ipAddress": "10.0.0.1"}, {}]


def test_a_task_gives_its_result(session: Session, server: Any, watched: list[Any], make_page: Page) -> None:
    task = vim.Task("task-1", server)
    watched += [
        update(task, {"info.state": "running"}, kind="enter"),
        update(task, {"info.state": "success"}),
    ]
    server.answer_properties(make_page((task, {"info.state": "success", "info.result": "made"})))
    assert tasks.run_task(session, lambda: task) == "made"


def test_a_failed_task_raises_its_fault(
    session: Session, server: Any, watched: list[Any], make_page: Page
) -> None:
    task = vim.Task("task-1", server)
    fault = vim.fault.DuplicateName(name="web")
    watched += [update(task, {"info.state": "error"}, kind="enter")]
    server.answer_properties(make_page((task, {"info.state": "error", "info.error": fault})))
    with pytest.raises(vim.fault.DuplicateName):
        tasks.run_task(session, lambda: task)


def test_an_endless_task_says_where_to_look(
    session: Session, server: Any, watched: list[Any], make_page: Page
) -> None:
    task = vim.Task("task-1", server)
    server.answer_properties(make_page((task, {"info.state": "running"})))
    with pytest.raises(VSphereError, match="still running after 0 s") as caught:
        tasks.run_task(session, lambda: task, timeout=0)
    assert "Recent Tasks" in caught.value.hint
