"""Makes `store_toy` importable from the tests of this folder, whichever way pytest imports them."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from store_toy import Toy


@pytest.fixture
def toy() -> Toy:
    """Two runs of one variant: seed 0 ends after two commits, seed 1 after three."""
    return Toy(budgets=(20, 30))
