"""A report is written again only where it would be another one: what it was made of, and a checksum of each of its files.

In: results of one experiment, the folder of its report. Out: its page, written or as it is, and `made_of.json` beside it. Compares
records and no rows: a run's digest stands for them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from rlbench.store.package_version import package_version

if TYPE_CHECKING:
    from rlbench.store import Results

NAME = "made_of.json"
PAGE = "report.html"


def written(results: Results, out: Path, write: Callable[[Path], Path]) -> Path:
    """The page of the report of these results in the folder `out`: what `write` makes there, unless it is there already."""
    inputs = _inputs(results)
    if inputs is not None and _is_there(inputs, out):
        return out / PAGE
    page = write(out)
    if inputs is None:
        (out / NAME).unlink(missing_ok=True)
    else:
        (out / NAME).write_text(json.dumps({"inputs": inputs, "files": _checksums(out)}) + "\n")
    return page


def _is_there(inputs: str, out: Path) -> bool:
    """Whether every file that was written of these inputs is there as it was written."""
    try:
        made_of = json.loads((out / NAME).read_bytes())
        return bool(made_of["inputs"] == inputs and made_of["files"].items() <= _checksums(out).items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # none, or not ours
        return False


def _inputs(results: Results) -> str | None:
    """A digest of all that a report depends on; None where the code is that of a checkout with changes, or rows are damaged."""
    version = package_version()
    if version.endswith(".dirty") or results.name is None or results.store.damage.lines:
        return None
    study = results.path / "studies" / f"{results.name}.json"
    films = sorted(path.name for path in (results.path / "play").glob("*"))
    told = [version, results.address, results.recorded(), results.plan(results.name), films]
    return _digest(repr(told).encode() + (study.read_bytes() if study.exists() else b""))


def _checksums(out: Path) -> dict[str, str]:
    """File -> checksum, of all that lies in a report's folder."""
    files = (path for path in out.rglob("*") if path.is_file() and path.name != NAME)
    return {path.relative_to(out).as_posix(): _digest(path.read_bytes()) for path in files}


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
