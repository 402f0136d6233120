"""Compiling is announced once, with how long it took the last time on this machine."""

from pathlib import Path

import pytest
import torch

from rlbench.exact import building, waiting
from rlbench.exact.compiler import compiler
from rlbench.lanes.fast.compiling import Computation
from rlbench.runner import compile_time
from rlbench.runner.compile_time import NOTE, CompileTime, Compiling, watch_compiler


class Clock:
    now = 0.0

    def monotonic(self) -> float:
        return self.now


def test_the_first_compilation_is_told_and_all_are_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, said = Clock(), list[Compiling]()
    monkeypatch.setattr(compile_time, "time", clock)
    first = CompileTime(said.append, tmp_path)
    first.begin()
    clock.now += 1000.0
    first.end()
    first.begin_cohort()
    for seconds in (20.0, 3.0):
        first.begin()
        clock.now += seconds
        first.end()
        clock.now += 100.0  # training
    assert said == [Compiling(None)]
    assert first.seconds == 1023.0
    CompileTime(said.append, tmp_path).begin()
    assert said[1:] == [Compiling(23.0)]
    assert "the last time it took 23 s" in str(said[1])
    assert [path.name for path in tmp_path.iterdir()] == [NOTE]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"seconds": "long"}'])
def test_a_note_that_cannot_be_read_is_no_note(text: str, tmp_path: Path) -> None:
    (tmp_path / NOTE).write_text(text)
    said = list[Compiling]()
    CompileTime(said.append, tmp_path).begin()
    assert said == [Compiling(None)]


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    watched = CompileTime(lambda _: None, tmp_path / "missing")
    watched.begin()
    watched.end()
    assert watched.seconds >= 0.0


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Compiling]:
    """What a worker process would say that keeps compiled code in an empty folder."""
    monkeypatch.setattr(waiting, "_listeners", [])
    monkeypatch.setattr(building, "cache_folder", lambda: tmp_path)
    said = list[Compiling]()
    watch_compiler(said.append)
    return said


@pytest.mark.skipif(compiler() is None, reason="there is no compiler here")
def test_a_compiled_computation_is_told_once(
    told: list[Compiling], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RLBENCH_COMPILE", "1")
    double = Computation(lambda x: {"y": x + x})
    assert told == []
    for size in (3, 3, 4):
        assert double(torch.ones(size))["y"].tolist() == [2.0] * size
    assert told == [Compiling(None)]
    assert (tmp_path / NOTE).exists()


@pytest.mark.skipif(compiler() is None, reason="there is no compiler here")
def test_building_the_operators_is_told_and_finding_them_is_not(
    told: list[Compiling], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "few.cpp").write_text("int few;")  # the real ones take half a minute
    monkeypatch.setattr(building, "SOURCES", (tmp_path / "few.cpp",))
    cxx = compiler()
    assert cxx is not None
    building._build(cxx, building._path(cxx))
    assert told == [Compiling(None)]
    told.clear()
    watch_compiler(told.append)
    building._build(cxx, building._path(cxx))
    assert building._path(cxx).parent == tmp_path
    assert told == []
