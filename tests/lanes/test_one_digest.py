"""One digest on every CPU: a run trained with other instructions, compiled, without a compiler, and continued under another capability."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys, torch
from rlbench.lanes import exactness
from rlbench.lanes.fast.compiling import prepare_process
from rlbench.lanes.training.lane import Lane
from rlbench.lanes.choices.prioritised import Prioritised
from rlbench.lanes.choices.registry import small, small_variant
from rlbench.lanes.training.trainer import Trainer
from rlbench.lanes.choices.losses import CrossEntropy, Huber
from rlbench.lanes.choices.distributions import C51
from rlbench.lanes.choices.exploration import Constant
from rlbench.lanes.choices.networks import MLP
from rlbench.lanes.choices.returns import NStep
prepare_process()
what, path, name = sys.argv[1:]
rainbow = {"network": MLP(units=(9,), head="dueling", noise="fresh"), "estimator": small(C51), "loss": CrossEntropy(), "double": True}
rainbow |= {"returns": NStep(3), "replay": small(Prioritised), "exploration": Constant(0.0)}
variants = {"double": {"loss": Huber(), "double": True}, "rainbow": rainbow}
variant = small_variant(**variants[name])
if what == "whole":
    print(*exactness._together(variant, [4]))
elif what == "among":
    print(exactness._together(variant, range(64))[4])
elif what == "first":
    trainer = Trainer([exactness._lane(variant, seed) for seed in (9, 4)])
    torch.save((trainer.advance(exactness.MIDWAY)[1], trainer.lane(1).state), path)
else:
    rows, state = torch.load(path, weights_only=False)
    lane = Lane(exactness._run(variant, 4), state)
    print(*exactness._finished(Trainer([lane]), {0: rows}, (1000,)))
"""


def program(what: str, path: Path, variant: str = "double", **env: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, what, str(path), variant],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])} | env,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("first", "then"), [("default", "avx2"), pytest.param("avx2", "default", marks=pytest.mark.slow)]
)
def test_other_instructions(tmp_path: Path, first: str, then: str) -> None:
    """And a run that goes on in another process, with others."""
    expected, state = program("whole", tmp_path), tmp_path / "state"
    assert len(expected) == 64
    assert program("whole", tmp_path, ATEN_CPU_CAPABILITY=first) == expected
    program("first", state, ATEN_CPU_CAPABILITY=first)
    assert program("rest", state, ATEN_CPU_CAPABILITY=then) == expected


@pytest.mark.slow
def test_other_instructions_with_all_parts_of_rainbow(tmp_path: Path) -> None:
    expected, state = program("whole", tmp_path, "rainbow"), tmp_path / "state"
    assert len(expected) == 64
    program("first", state, "rainbow", ATEN_CPU_CAPABILITY="default")
    assert program("rest", state, "rainbow", ATEN_CPU_CAPABILITY="avx2") == expected


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variant", "capability"), [("double", ""), ("double", "avx2"), ("double", "default"), ("rainbow", "")]
)
def test_compiled(tmp_path: Path, variant: str, capability: str) -> None:
    """Alone, among 63 others, and begun compiled and continued without."""
    env = {"ATEN_CPU_CAPABILITY": capability} if capability else {}
    expected, state = program("whole", tmp_path, variant), tmp_path / "state"
    assert program("whole", tmp_path, variant, RLBENCH_COMPILE="1", **env) == expected
    assert program("among", tmp_path, variant, RLBENCH_COMPILE="1", **env) == expected
    program("first", state, variant, RLBENCH_COMPILE="1", **env)
    assert program("rest", state, variant) == expected


@pytest.mark.slow
def test_without_a_compiler(tmp_path: Path) -> None:
    for variant in ("double", "rainbow"):
        assert program("whole", tmp_path, variant, RLBENCH_COMPILER="none") == program("whole", tmp_path, variant)
