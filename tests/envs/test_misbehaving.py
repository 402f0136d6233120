"""What an environment does that no run can go on from: said with its name, what it gave and when, and never the end of the process."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rlbench.config import resolve
from rlbench.envs.gymnasium_lanes import GymnasiumLanes, LaneError, find_spec
from rlbench.errors import ConfigError, RlbenchError
from tests.envs.misbehaving import OBSERVATIONS, RAISES, REWARDS

MODULE = "tests.envs.misbehaving"
SEED = 11


def step_until_it_happens(name: str, *, seen: bool = True) -> None:
    """Two lanes, of which only the second one gets as far as the seventh step."""
    lanes = GymnasiumLanes(f"{MODULE}:{name}-v0", 2, seen=seen)
    for lane in (0, 1):
        lanes.reset(lane, SEED + lane)
    for _ in range(10):
        lanes.step(np.zeros(2, np.int64), np.array([False, True]))


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("RewardNaN", "a reward that is not finite in single precision (nan)"),
        ("RewardInf", "a reward that is not finite in single precision (inf)"),
        ("RewardHuge", "a reward that is not finite in single precision (1e+300)"),
        ("RewardShape", "a reward of shape (1,), and a reward is one number ([1.])"),
        ("RewardNone", "a reward that is no number"),
        ("ObservationNaN", "an observation that is not finite ([ 0. nan])"),
        ("ObservationHuge", "an observation that is not finite ([ 0. inf])"),
        ("ObservationShape", "an observation of shape (3,), and not one of 2 numbers"),
        ("ObservationNone", "an observation that is a NoneType, and not one of 2 numbers"),
    ],
)
def test_what_is_no_number_is_told_with_who_gave_it_and_when(name: str, told: str) -> None:
    assert name in {*REWARDS, *OBSERVATIONS}
    with pytest.raises(LaneError) as caught:
        step_until_it_happens(name)
    expected = f"environment '{MODULE}:{name}-v0' gave {told} at step 7 of an episode with reset seed 12"
    assert str(caught.value) == expected
    assert caught.value.lane == 1


@pytest.mark.parametrize("name", ["RewardNaN", "RewardHuge", "ObservationNaN", "ObservationHuge"])
def test_it_is_told_where_nobody_looks_at_observations(name: str) -> None:
    with pytest.raises(LaneError, match="at step 7 of an episode"):
        step_until_it_happens(name, seen=False)


@pytest.mark.parametrize("name", [name for name in RAISES if name not in ("Vanishes", "Colours")])
def test_what_would_end_the_process_is_an_error_of_the_environment(name: str) -> None:
    # The keyboard is ignored, as in every worker: what comes now is the environment's own.
    words = f"name={name!r}\nimport signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    words += "from tests.envs.test_misbehaving import step_until_it_happens\nfrom rlbench.errors import RlbenchError\n"
    words += "try:\n    step_until_it_happens(name)\nexcept RlbenchError as error:\n    print(error)\n"
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"environment '{MODULE}:{name}-v0' raised ")
    assert done.stdout.rstrip().endswith("in its step")


@pytest.mark.parametrize("line", ["import sys; sys.exit(0)", "raise SystemExit", "raise GeneratorExit"])
def test_a_module_that_ends_the_process_when_imported_is_bad_input(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    name = f"leaving_{abs(hash(line))}"
    (tmp_path / f"{name}.py").write_text(line)
    for ask in (lambda: find_spec(f"{name}:X-v0"), lambda: resolve([f"env={name}:X-v0"])):
        with pytest.raises(ConfigError, match=r"does not import: (SystemExit|GeneratorExit)"):
            ask()


def test_an_interrupt_of_the_user_is_not_the_environments() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # what the tests run in may ignore it
    try:
        with pytest.raises(KeyboardInterrupt):  # in a program of one's own nobody can tell, so it is the user's
            step_until_it_happens("Interrupts")
    finally:
        signal.signal(signal.SIGINT, before)
    with pytest.raises(RlbenchError, match="raised SystemExit: 0 in its step"):
        step_until_it_happens("Leaves")
