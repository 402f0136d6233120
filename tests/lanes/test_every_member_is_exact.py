"""Contract 1 for every member of every group and every flag: nobody has to remember a new one. Slow; CI runs what is not compiled."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rlbench.lanes.choices.registry import CLASSES, every_variant
from rlbench.lanes.choices.variant import Variant
from rlbench.lanes.exactness import what_breaks

VARIANTS = dict(every_variant())
PROGRAM = """
import sys
from rlbench.lanes.fast.compiling import prepare_process
from rlbench.lanes.exactness import what_breaks
from rlbench.lanes.choices.registry import every_variant
prepare_process()
found = {name: what_breaks(variant) for name, variant in every_variant() if name.startswith(sys.argv[1])}
assert found, sys.argv[1]
sys.exit("".join(f"{name}: {line}\\n" for name, line in found.items() if line) or None)
"""
OWN = sorted({name.split()[0] for name in VARIANTS})  # a program each: what is compiled stays in memory


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
def test_eager(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RLBENCH_COMPILE", "0")
    assert what_breaks(VARIANTS[name]) is None


@pytest.mark.slow
@pytest.mark.parametrize("first", OWN)
def test_compiled(first: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, first],
        env=os.environ | {"RLBENCH_COMPILE": "1", "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]


def test_every_member_has_a_case() -> None:
    for group, members in CLASSES.items():
        for cls in members:
            assert any(type(getattr(variant, group)) is cls for variant in VARIANTS.values()), cls
    assert any(variant.double for variant in VARIANTS.values())
    assert all(isinstance(variant, Variant) for variant in VARIANTS.values())
