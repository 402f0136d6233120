"""Leases: who is dead is seen at once on one machine, and elsewhere by a counter that stands still on the looker's own clock."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rlbench.store import processes
from rlbench.store.conditional import FolderStore
from rlbench.store.leases import Lease, Watch
from rlbench.store.processes import Process, file_name, is_left_behind, this_process


class Clock:
    """A clock that a test moves."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def objects(tmp_path: Path) -> FolderStore:
    for folder in ("staging", "leases"):
        (tmp_path / folder).mkdir()
    return FolderStore(tmp_path)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_who_gives_signs_lives_however_long(objects: FolderStore, clock: Clock) -> None:
    lease, watch = Lease(objects, 10**6), Watch(objects, clock)
    for _ in range(3):
        assert watch.dead([lease.name]) == set()
        clock.now += 10**6 - 1
        lease.beat()
    assert len(objects.names("leases")) == 3  # its owner, and two counts
    lease.close()
    assert objects.names("leases") == []


def test_who_gives_no_sign_for_as_long_as_the_lease_lasts_is_dead(objects: FolderStore, clock: Clock) -> None:
    lease, watch = Lease(objects, 10**6), Watch(objects, clock)
    clock.now += 10**9
    assert watch.dead([lease.name]) == set()  # a first look never condemns
    for _ in range(2):
        clock.now += 10**6 // 2
        assert watch.dead([lease.name]) == set()
    clock.now += 1
    assert watch.dead([lease.name]) == {lease.name}
    assert Watch(objects, clock).dead([lease.name]) == set()  # each looker by its own clock
    lease.beat()
    assert watch.dead([lease.name]) == set()
    lease.close()


def test_beats_come_by_themselves(objects: FolderStore, tmp_path: Path) -> None:
    lease = Lease(objects, 0.06)
    while not (tmp_path / "leases" / f"{lease.name}-{5:08d}").exists():
        assert not (tmp_path / "leases" / f"{lease.name}-{100:08d}").exists()
    lease.close()
    assert objects.names("leases") == []


def test_who_has_taken_the_lease_away_is_dead_at_once(objects: FolderStore, clock: Clock) -> None:
    lease, watch = Lease(objects), Watch(objects, clock)
    assert watch.dead([lease.name]) == set()
    assert watch.owner(lease.name) is not None
    lease.close()
    lease.close()
    assert watch.dead([lease.name]) == {lease.name}


def ended() -> Process:
    """A process of this machine that has ended."""
    code = "from rlbench.store.processes import this_process as own; import json, dataclasses; print(json.dumps(dataclasses.asdict(own())))"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, cwd=Path(processes.__file__).parents[2]
    )
    return Process(**json.loads(found.stdout))


def test_a_process_of_this_machine_that_has_ended_is_dead_at_once_and_another_machines_is_not(
    objects: FolderStore, clock: Clock
) -> None:
    gone = ended()
    assert gone.is_gone()
    assert not this_process().is_gone()
    assert not dataclasses.replace(gone, place="0" * 12).is_gone()
    assert not dataclasses.replace(gone, place="").is_gone()
    assert dataclasses.replace(this_process(), started=1).is_gone()  # a number that was given again
    for place, dead in ((gone.place, {"a" * 12}), ("0" * 12, set())):
        owner = {"process": dataclasses.asdict(gone) | {"place": place}, "host": "h", "since": "s", "seconds": 60.0}
        objects.put(f"leases/{'a' * 12}", json.dumps(owner).encode())
        assert Watch(objects, clock).dead(["a" * 12]) == dead
        objects.delete(f"leases/{'a' * 12}")


@pytest.mark.parametrize("said", [b"", b"{", b"[]", b'{"process": 7}', b'{"process": {}, "host": 1}'])
def test_a_lease_that_cannot_be_read_is_judged_by_its_counter(objects: FolderStore, clock: Clock, said: bytes) -> None:
    watch = Watch(objects, clock)
    objects.put("leases/abc", said)
    objects.put("leases/abc-00000001", b"")
    assert watch.dead(["abc"]) == set()
    assert str(watch.owner("abc")) == "a process that did not say which"
    for _ in range(2):
        clock.now += 60
        assert watch.dead(["abc"]) == set()
    clock.now += 1
    assert watch.dead(["abc"]) == {"abc"}


def test_what_ended_processes_have_left_is_swept_and_nothing_else(objects: FolderStore) -> None:
    gone, lease, watch = ended(), Lease(objects), Watch(objects)
    owner = {"process": dataclasses.asdict(gone), "host": "h", "since": "s", "seconds": 60.0}
    for name in ("a" * 12, "b" * 12):
        objects.put(f"leases/{name}", json.dumps(owner).encode())
    watch.sweep(["b" * 12])
    assert {name[:12] for name in objects.names("leases")} == {"b" * 12, lease.name}
    assert not is_left_behind(file_name())
    assert is_left_behind(f"{gone.place}-{gone.number}-{gone.started}-{'0' * 12}")
    assert not is_left_behind(f"{'0' * 12}-{gone.number}-{gone.started}-{'0' * 12}")
    assert not is_left_behind("thesis.tex")
    lease.close()


def test_a_forked_child_leaves_its_parents_lease_alone(objects: FolderStore) -> None:
    lease = Lease(objects)
    child = os.fork()
    if child == 0:
        lease.close()
        os._exit(0)
    os.waitpid(child, 0)
    assert Watch(objects).dead([lease.name]) == set()
    assert len(objects.names("leases")) == 2
    lease.close()


def test_a_process_that_is_hidden_from_us_is_not_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """As /proc hides the processes of other users where it is mounted with `hidepid`."""
    own = this_process()
    monkeypatch.setattr(processes, "_standing", lambda _: ("", 0))
    assert not own.is_gone()
    with subprocess.Popen(["true"]) as ended:
        ended.wait()
    assert dataclasses.replace(own, number=ended.pid).is_gone()

    def forbidden(*_: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", forbidden)
    assert not dataclasses.replace(own, number=ended.pid).is_gone()


def test_a_looker_that_stood_still_itself_begins_anew(objects: FolderStore, clock: Clock) -> None:
    lease, watch = Lease(objects, 10**6), Watch(objects, clock)
    assert watch.dead([lease.name]) == set()
    clock.now += 10**9  # so that nobody could give a sign that it would have seen
    assert watch.dead([lease.name]) == set()
    names = objects.names

    def slow(folder: str) -> list[str]:
        clock.now += 10**9  # as a server that does not answer
        return names(folder)

    objects.names = slow  # type: ignore[method-assign]
    for _ in range(3):
        assert watch.dead([lease.name]) == set()
