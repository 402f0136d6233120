"""Makes `written_runs` importable from the tests of this folder, whichever way pytest imports them; and reports without pictures."""

import base64
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

sys.path.insert(0, str(Path(__file__).parent))

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="1pt" height="1pt"></svg>'
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="


@pytest.fixture(scope="module")
def blank_pictures() -> Iterator[None]:
    """For tests of what a report says: figures are made, and saved as nothing, since pixels and glyphs are most of a report's time."""

    def save(figure: Figure, file: Any, *, format: str, **options: Any) -> None:
        file.write(SVG if format == "svg" else base64.b64decode(PNG))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", save)
        yield
