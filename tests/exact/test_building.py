"""The built library is one for all places of the code, and another one for other code, compilers and instructions."""

from pathlib import Path

import pytest

from rlbench.exact import building


def test_its_name_does_not_depend_on_where_the_code_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = building._path("g++")
    for name in ("SOURCES", "HEADERS"):
        for path in getattr(building, name):
            (tmp_path / path.name).write_text(path.read_text())
        monkeypatch.setattr(building, name, tuple(tmp_path / path.name for path in getattr(building, name)))
    assert building._path("g++") == here
    monkeypatch.setattr(building, "march", lambda: "x86-64-v2")
    assert building._path("g++") != here
    monkeypatch.undo()
    (tmp_path / "parts.h").write_text("// changed")
    monkeypatch.setattr(building, "HEADERS", (tmp_path / "parts.h",))
    assert building._path("g++") != here
