"""The notebooks of `analysis/`: they run top to bottom on a real store, and lie there with outputs that name no machine."""

import base64
import copy
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.runner.commands import run
from tests.tuning import studies
from tests.tuning.studies import write_study

FOLDER = Path(__file__).parents[1] / "analysis"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
# As few updates as make the four variants differ.
TINY = ("seeds=5", "steps=600", "batch_size=16", "update_period=2", "replay.warmup=100", "optimizer.lr=5e-3")
CADENCE = (
    "evaluation.period=100",
    "evaluation.episodes=2",
    "diagnostics.period=100",
    "network.units=[16,16]",
    "workers=1",
)
PATHS = re.compile(r"(?:^|[\s\"'(=])/(?:home|root|work|tmp|usr|Users|opt|var|mnt)/")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]  # the warnings are Jupyter's own


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("notebooks") / "store"
    code, _, err = run(folder, "experiment=target_by_loss", *TINY, *CADENCE)
    assert code == 0, err
    write_study(folder.parent)
    code, _, err = studies.run(studies.command(folder.parent, folder))
    assert code == 0, err
    return folder


def texts_of(book: Any) -> str:
    """Sources and every textual output."""
    found = []
    for cell in book.cells:
        found.append(cell.source)
        for output in cell.get("outputs", []):
            found.append(output.get("text", ""))
            found += [str(value) for kind, value in output.get("data", {}).items() if kind.startswith("text/")]
    return "\n".join(found)


def kinds_of(book: Any) -> list[list[str]]:
    """The kinds of output of each code cell; printed text may come in several pieces."""
    codes = [cell for cell in book.cells if cell.cell_type == "code"]
    return [list(dict.fromkeys(output.output_type for output in cell.outputs)) for cell in codes]


def test_there_are_the_five_notebooks() -> None:
    assert [path.stem for path in NOTEBOOKS] == [
        "1_read_a_store",
        "2_compare_two_variants",
        "3_factorial_analysis",
        "4_look_inside_a_run",
        "5_a_tuned_study",
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom(
    path: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RLBENCH_STORE", str(store))
    monkeypatch.setenv("PYTHONWARNINGS", "error::FutureWarning")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    book = nbformat.read(path, as_version=4)
    fresh = copy.deepcopy(book)
    for cell in fresh.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    NotebookClient(fresh, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    # What a cell shows here, it shows in the committed notebook too: only the numbers are others.
    assert kinds_of(fresh) == kinds_of(book)
    assert str(store) not in texts_of(fresh)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_lies_there_with_outputs_that_name_no_machine(path: Path) -> None:
    book = nbformat.read(path, as_version=4)
    nbformat.validate(book)
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]
    pictures = [output.data["image/png"] for output in outputs if "image/png" in output.get("data", {})]
    assert pictures
    assert all(base64.b64decode(picture).startswith(b"\x89PNG") for picture in pictures)
    assert not PATHS.search(texts_of(book))
    assert path.stat().st_size < 400_000


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_uses_the_public_interface_only(path: Path) -> None:
    sources = "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code")
    imported = set(re.findall(r"^\s*(?:from|import) (rlbench[\w.]*)", sources, re.MULTILINE))
    assert imported <= {"rlbench", "rlbench.stats"}
    assert not re.search(r"\._[a-z]", sources)
