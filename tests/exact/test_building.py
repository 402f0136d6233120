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


def test_it_lies_in_the_cache_of_torch_compile(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch._inductor.runtime.cache_dir_utils import cache_dir

    for folder in (None, "some/where", "/some/where"):
        monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
        if folder is not None:
            monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", folder)
        monkeypatch.setattr("os.makedirs", lambda *_, **__: None)
        assert building.cache_folder() == Path(cache_dir())
