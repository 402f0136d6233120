"""Makes `store_toy` importable from the tests of this folder, whichever way pytest imports them."""

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from store_toy import Toy


@pytest.fixture
def toy() -> Toy:
    """Two runs of one variant: seed 0 ends after two commits, seed 1 after three."""
    return Toy(budgets=(20, 30))


@pytest.fixture(scope="module", params=[5, pytest.param(1, marks=pytest.mark.slow)])
def stride(request: pytest.FixtureRequest) -> int:
    """Something happens before every n-th file operation: before each of them takes long."""
    chosen: int = request.param
    return chosen


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "store"
    Toy((20, 30)).finish(path)
    return path


@pytest.fixture
def store(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "store"))


@pytest.fixture
def half(tmp_path: Path) -> Path:
    """A store with two runs under way, at 10 env_steps."""
    with Toy((20, 30)).program(tmp_path / "half") as program:
        Toy((20, 30)).train(program, commits=1)
    return tmp_path / "half"
