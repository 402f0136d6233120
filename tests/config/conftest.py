"""The tests of this folder share a module of their own."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from own_modules import write

__all__ = ["write"]
