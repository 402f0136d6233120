"""Optuna is imported in one place of the package."""

import ast
from pathlib import Path

import rlbench

PACKAGE = Path(rlbench.__file__).parent


def imported(path: Path) -> set[str]:
    """The top-level packages that a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.split(".")[0])
    return found


def test_one_file_imports_optuna() -> None:
    files = [path for path in PACKAGE.rglob("*.py") if "optuna" in imported(path)]
    assert files == [PACKAGE / "tuning" / "optuna_names.py"]
