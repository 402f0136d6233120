"""What the operating system or the user's folder refuses becomes one line, and what was published stays readable."""

import errno
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import store_toy
from store_toy import Toy, everything

from rlbench.errors import DamagedError, StoreError
from rlbench.store import Store, load
from rlbench.store.parts import read_rows
from rlbench.store.sweeping import strays


def one_line(error: pytest.ExceptionInfo[StoreError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


def test_a_missing_folder_is_created_or_named(tmp_path: Path) -> None:
    assert Store.peek(tmp_path / "a" / "b") is None
    with pytest.raises(StoreError, match="there is no results folder") as error:
        Store.open(tmp_path / "a" / "b", create=False)
    assert str(tmp_path / "a" / "b") in one_line(error)
    assert not (tmp_path / "a").exists()
    Store.open(tmp_path / "a" / "b")
    assert json.loads((tmp_path / "a" / "b" / "format.json").read_text()) == {"format": 3}
    Store.open(tmp_path / "a" / "b", create=False)
    assert Store.peek(tmp_path / "a" / "b") is not None


@pytest.mark.parametrize("left", [".format-0123", "format.json"])
def test_a_creation_that_was_killed_is_made_good(tmp_path: Path, toy: Toy, left: str) -> None:
    (tmp_path / left).write_text('{"format": 1}')
    toy.finish(tmp_path)
    assert (load(tmp_path).runs["status"] == "done").all()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"format": 4}', "has format 4; this rlbench reads and writes format 3"),
        ('{"version": "1.4.0"}', "is not the format file of a results folder"),
        ("[1]", "is not the format file"),
        ("", "is damaged"),
    ],
)
@pytest.mark.parametrize("create", [True, False])
def test_foreign_and_newer_formats_are_refused(tmp_path: Path, content: str, message: str, create: bool) -> None:
    (tmp_path / "format.json").write_text(content)
    with pytest.raises(StoreError, match=message) as error:
        Store.open(tmp_path, create=create)
    one_line(error)
    assert os.listdir(tmp_path) == ["format.json"]


@pytest.mark.parametrize("create", [True, False])
def test_a_folder_of_something_else_is_left_alone(tmp_path: Path, create: bool) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(StoreError, match="not a results folder") as error:
        Store.open(tmp_path, create=create)
    one_line(error)
    assert os.listdir(tmp_path) == ["thesis.tex"]


def test_a_file_is_not_a_folder(tmp_path: Path) -> None:
    (tmp_path / "results").touch()
    with pytest.raises(StoreError, match="is a file"):
        Store.open(tmp_path / "results")


def test_a_folder_that_may_only_be_read_is_read(toy: Toy) -> None:
    folder = Path(tempfile.mkdtemp())  # not tmp_path, which nobody else may enter
    try:
        toy.finish(folder)
        for path in [folder, *folder.rglob("*")]:
            path.chmod(0o555 if path.is_dir() else 0o444)
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with store_toy.start("read-only", folder, **pipes) as reader:
            out, err = reader.communicate(timeout=60)
        assert out.split() == ["2", "10"]
        assert f"WriteError: cannot write {folder}" in err.splitlines()[-1]
    finally:
        for path in [folder, *folder.rglob("*")]:
            path.chmod(0o755)
        shutil.rmtree(folder)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True, check=False
    )
    if not mounted or mounted.returncode:
        pytest.skip("mounting a file system is not permitted here")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def test_a_full_disk(small_disk: Path, tmp_path: Path) -> None:
    path = small_disk / "results"
    toy = Toy((60, 90))
    with toy.program(path) as program:
        toy.train(program, commits=3)
        before = load(path).episodes
        with pytest.raises(OSError, match="No space left"):
            (small_disk / "ballast").write_bytes(bytes(2**20))
        with pytest.raises(StoreError, match=r"No space left on device; what was published before stays") as error:
            toy.train(program)
        assert str(path) in one_line(error)
        assert list((path / "staging").iterdir()) == []  # gives the space back at once
        assert strays(Store.open(path, create=False).layout, Store.open(path, create=False).index) == []
        with pytest.raises(StoreError, match="open it again"):
            toy.train(program)
    assert load(path).episodes.equals(before)
    assert list((path / "staging").iterdir()) == []
    (small_disk / "ballast").unlink()
    toy.finish(path)
    toy.finish(tmp_path / "whole")
    assert everything(path) == everything(tmp_path / "whole")


def test_files_that_may_not_grow(tmp_path: Path) -> None:
    with store_toy.start("limited", tmp_path, 1000, stderr=subprocess.PIPE) as program:
        _, err = program.communicate(timeout=60)
    assert "WriteError: cannot write" in err.splitlines()[-1]
    assert "File too large" in err.splitlines()[-1]
    assert list((tmp_path / "staging").iterdir()) == []
    assert list(load(tmp_path).runs["status"]) == ["pending", "pending"]


@pytest.mark.parametrize("function", ["link", "fsync"])
def test_a_refusal_anywhere_loses_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str, stride: int
) -> None:
    """Each link and fsync of a training (each `stride`th of them) refused in turn: the next one must get to its end all the same."""
    toy = store_toy.SHORT
    toy.finish(tmp_path / "whole")
    refusals, done = 0, False
    messages: set[str] = set()
    while not done:
        path = tmp_path / f"{refusals}"
        Store.open(path)
        left = refusals
        original = getattr(os, function)

        def refusing(*args: object, _original: object = original) -> object:
            nonlocal left
            left -= 1
            if left == -1:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return _original(*args)

        with monkeypatch.context() as patch:
            patch.setattr(os, function, refusing)
            try:
                toy.finish(path)
                done = left >= 0
            except StoreError as error:
                messages.add(str(error))
        toy.finish(path)
        assert everything(path) == everything(tmp_path / "whole"), refusals
        refusals += stride
    assert refusals > 15
    assert len(messages) > 10 // stride
    assert all("No space left on device; what" in message and "\n" not in message for message in messages)


def test_a_damaged_part_is_named(tmp_path: Path, toy: Toy) -> None:
    toy.finish(tmp_path)
    part = Store.open(tmp_path).parts("episodes")[0]
    part.write_bytes(part.read_bytes()[:-20])
    results = load(tmp_path)
    assert list(results.runs["status"]) == ["failed", "failed"]
    assert results.store.damage.lines == [f"{part} is damaged: it does not give its checksum; its rows are left out"]


def test_a_part_of_another_table_is_named(tmp_path: Path, toy: Toy) -> None:
    toy.finish(tmp_path)
    store = Store.open(tmp_path)
    part = store.parts("episodes")[0]
    shutil.copy(store.parts("evaluations")[0], part)
    results = load(tmp_path)
    assert len(results.episodes) == 6
    assert len(results.store.damage.lines) == 1
    with pytest.raises(DamagedError, match="columns are not those of the table episodes"):
        read_rows(part)
