"""Two programs never hold the same run, and a hold ends with its process, however that ends."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import store_toy
from store_toy import Toy

from rlbench.store import Store, load


@contextmanager
def holder(path: Path, run_ids: list[str]) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """Another process that claims these runs, commits once, and lives until its input ends."""
    process = store_toy.start("hold", path, *run_ids, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with process:
        assert process.stdout is not None
        yield process, process.stdout.readline().split()
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture
def planned(tmp_path: Path, toy: Toy) -> Store:
    store = Store.open(tmp_path)
    store_toy.record(store, list(toy.specs.values()))
    return store


def status(store: Store) -> list[str]:
    return list(load(store.root).runs["status"])


def test_processes_claim_disjoint_sets(planned: Store, toy: Toy) -> None:
    first, second = toy.run_ids
    with holder(planned.root, [first]) as (_, held):
        assert held == [first]
        assert status(planned) == ["running", "pending"]
        with planned.program(toy.run_ids) as program:
            assert program.run_ids == (second,)
            assert status(planned) == ["running", "running"]
            with holder(planned.root, toy.run_ids) as (_, held):
                assert held == []
    assert status(planned) == ["pending", "pending"]
    with planned.program(toy.run_ids) as program:
        assert program.run_ids == (first, second)


def test_a_killed_process_holds_nothing_and_its_state_is_taken_over(planned: Store, toy: Toy) -> None:
    with holder(planned.root, toy.run_ids) as (process, held):
        assert held == toy.run_ids
        assert planned.program(toy.run_ids).run_ids == ()
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert status(planned) == ["pending", "pending"]
        with planned.program(toy.run_ids) as program:
            assert list(program.run_ids) == toy.run_ids
            for run_id in toy.run_ids:
                state = program.checkpoint_of(run_id)
                assert state is not None
                assert state.env_steps == 10


def test_who_holds_a_run_is_said_also_of_a_stopped_process(planned: Store, toy: Toy) -> None:
    with holder(planned.root, toy.run_ids[:1]) as (process, _):
        (said,) = planned.holders(toy.run_ids)
        assert said.startswith(f"process {process.pid} on {socket.gethostname()}, since 2")
        assert planned.holders(toy.run_ids[1:]) == []
        os.kill(process.pid, signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)
        (said,) = planned.holders(toy.run_ids)
        assert said.startswith(f"process {process.pid} on {socket.gethostname()} (stopped), since 2")
        os.kill(process.pid, signal.SIGCONT)
    assert planned.holders(toy.run_ids) == []


def test_children_do_not_keep_a_dead_program_alive(planned: Store, toy: Toy) -> None:
    options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with store_toy.start("leave-child", planned.root, *toy.run_ids, **options) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline().split() == toy.run_ids
        process.wait()  # dead; its forked and executed children wait for the end of the input that they share
        with planned.program(toy.run_ids) as program:
            assert list(program.run_ids) == toy.run_ids
        process.stdin.close()


def test_released_runs_can_be_claimed_and_go_on_from_their_state(planned: Store, toy: Toy) -> None:
    first, second = toy.run_ids
    with planned.program(toy.run_ids) as giving:
        toy.train(giving, commits=1)
        giving.release([second])
        assert giving.run_ids == (first,)
        with planned.program(toy.run_ids) as taking:
            assert taking.run_ids == (second,)
            toy.train(giving)  # its next commit lays the released lane aside
            state = taking.checkpoint_of(second)
            assert state is not None
            assert state.env_steps == 10
            toy.train(taking)
    assert status(planned) == ["done", "done"]
    assert list((planned.root / "checkpoints").iterdir()) == []


def test_a_program_can_take_more_runs_later(planned: Store, toy: Toy) -> None:
    first, second = toy.run_ids
    with planned.program([first]) as program:
        assert program.claim(toy.run_ids) == (second,)
        assert program.run_ids == (first, second)
        assert planned.claimed() == {first, second}


def test_finished_runs_are_not_claimed_again(planned: Store, toy: Toy) -> None:
    with planned.program(toy.run_ids) as program:
        toy.train(program, commits=2)
        assert program.run_ids == (toy.run_ids[1],)
        assert planned.program(toy.run_ids).run_ids == ()
    with planned.program(toy.run_ids) as program:
        assert program.run_ids == (toy.run_ids[1],)


def test_unknown_runs_are_refused(planned: Store) -> None:
    with pytest.raises(ValueError, match="without a recorded specification"):
        planned.program(["0123456789abcdef"])
    assert planned.claimed() == set()


def test_closed_programs_leave_nothing_behind(planned: Store, toy: Toy) -> None:
    program = planned.program(toy.run_ids)
    program.close()
    program.close()
    assert list((planned.root / "claims").iterdir()) == []
    with pytest.raises(RuntimeError, match="after close"):
        program.commit({}, None, [], platform="toy", launcher="test")
