"""`verify choice=`: an own class that is exact passes, one that calls the library is told in one line, and bad names exit with 2."""

import sys
from pathlib import Path

import pytest

from rlbench.verify import main

MODULE = '''
import dataclasses
import torch
import rlbench
from rlbench import exact

@dataclasses.dataclass(frozen=True)
class Inexact(rlbench.Loss):
    """Grows as e to the error."""
    def __call__(self, td_error):
        return torch.exp(td_error.abs().clamp(max=5)) - 1

@dataclasses.dataclass(frozen=True)
class Exact(rlbench.Loss):
    """The same, from exact operations."""
    def __call__(self, td_error):
        return exact.exp(td_error.abs().clamp(max=5)) - 1

@dataclasses.dataclass(frozen=True)
class Coupled(rlbench.Loss):
    """Looks at the other lanes."""
    def __call__(self, td_error):
        return td_error * td_error * td_error.detach().abs().amax()

class Plain:
    """No choice."""
'''


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"verified_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield name
    sys.modules.pop(name, None)


def test_exact(module: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([f"choice={module}:Exact"]) == 0
    assert f"loss={module}:Exact: exact alone, among others, cut and moved" in capsys.readouterr().out


def test_a_library_function_is_named_with_its_line(module: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([f"choice={module}:Inexact"]) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert "torch.exp may round differently elsewhere: use exact.exp of rlbench" in line
    assert f"{module}.py, line 11" in line


def test_a_loss_that_mixes_lanes(module: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([f"choice={module}:Coupled"]) == 1
    assert "a lane alone has other bits than among others" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("{}:Exakt", "has no 'Exakt'; did you mean 'Exact'?"),
        ("{}:Plain", "is a choice of no group"),
        ("no_such_module:Loss", "does not import"),
        ("Exact", "module:Class"),
    ],
)
def test_bad_names(module: str, name: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([f"choice={name.format(module)}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
