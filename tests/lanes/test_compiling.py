"""Compiled code and what it checks of its arguments."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from rlbench.envs.frames import frame_renderer
from rlbench.lanes.choices.observations import Pixel
from rlbench.lanes.fast.compiling import Computation, can_compile
from rlbench.lanes.fast.drawing import MinibatchDrawing
from rlbench.lanes.steps.observing import window_of

pytestmark = pytest.mark.slow  # the compiler takes seconds to start


def twice(scale: Tensor, obs: Tensor) -> Tensor:
    return scale * obs * 2


@pytest.fixture(autouse=True)
def compiling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RLBENCH_COMPILE", "1")
    if not can_compile():
        pytest.skip("no C++ compiler here: nothing is compiled")


def test_each_shape_of_an_argument_has_its_own_program() -> None:
    computation = Computation(twice).bind(torch.ones(1))
    for size in (1, 3, 1, 5):
        assert torch.equal(computation(torch.arange(float(size))), 2 * torch.arange(float(size)))


def test_what_is_bound_may_change_in_place_and_results_share_no_memory_with_it() -> None:
    def counted(count: Tensor, more: Tensor) -> Tensor:
        count.add_(more)
        return count

    count = torch.zeros(2)
    computation = Computation(counted).bind(count)
    first = computation(torch.ones(2))
    computation(torch.ones(2))
    assert first.tolist() == [1.0, 1.0]
    assert count.tolist() == [2.0, 2.0]


@pytest.mark.parametrize("bottom", [0.8, 0.65], ids=["with the cart", "above the cart"])
def test_minibatches_are_drawn_as_frames_are(bottom: float) -> None:
    """Upright and lying poles; compiled code may round one in a thousand pixels to the other side."""
    pixel = Pixel(bottom=bottom, rows=20, columns=45, colour="grey", combine="both")
    renderer = frame_renderer("CartPole-v1", window_of(pixel))
    drawn = torch.rand(6, 3, 2, generator=torch.Generator().manual_seed(0)) * 2 - 1
    patches = renderer(drawn.flatten(0, 1)).unflatten(0, (6, 3))
    for own, expected in zip(MinibatchDrawing(renderer, pixel)(drawn), pixel.transition(patches), strict=True):
        wrong = (own - expected).abs() * 255
        assert float(wrong.max()) < 1.01
        assert float((wrong > 0.01).float().mean()) < 1e-3


PROGRAM = """
import torch
from rlbench.lanes.fast.compiling import Computation
x = torch.rand(1003, generator=torch.Generator().manual_seed(0)) * 10 - 5
print(torch.equal(Computation(lambda x: x * x + x)(x), x * x + x))
"""


def test_the_compilers_environment_changes_no_bit(tmp_path: Path) -> None:
    loose = {
        "TORCHINDUCTOR_CPP_ENABLE_FLOATING_POINT_CONTRACT_FLAG": "fast",
        "TORCHINDUCTOR_CPP_ENABLE_UNSAFE_MATH_OPT_FLAG": "1",
    }
    env = os.environ | loose | {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path), "RLBENCH_COMPILE": "1"}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip() == "True"
