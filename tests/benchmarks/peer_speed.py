"""Lanes against rejax's and Stable-Baselines3's DQN: lane-steps a second on one core, each in processes of its own.

`RLBENCH_PEERS_PYTHON` names the interpreter that has the peers (`pip install 'rlbench[peers]'`); without it, it is this one.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.lane_rate import HERE, SHAPES, rate_of
from tests.benchmarks.lane_speed import Effort
from tests.benchmarks.roof import one_core

# Shape, then peers with their seeds.
PEERS = {
    "batch 64, 64-64": (("rejax", 1), ("rejax", 64), ("stable_baselines3", 1)),
    "batch 128, 128-128": (("stable_baselines3", 1),),
}
LANES = (1, 64)


def asked(*words: str) -> object:
    """What `peer_rate.py` answers in the peers' interpreter. Exits with its last line where it fails."""
    python = os.environ.get("RLBENCH_PEERS_PYTHON", sys.executable)
    command = [python, str(Path(__file__).with_name("peer_rate.py")), *words]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, env=environment | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{words[0]} failed in {python}: {(done.stderr.splitlines() or ['no message'])[-1]}")
    return json.loads(done.stdout.splitlines()[-1])


def bench_peers(effort: Effort) -> list[dict[str, object]]:
    """Each peer beside one lane and 64 lanes of ours; a peer that is not installed is left out, with a line."""
    missing = asked("missing")
    assert isinstance(missing, list)
    if missing:
        print(
            f"peers: {' and '.join(missing)} not installed, left out; pip install 'rlbench[peers]', or name an interpreter"
            " that has them in RLBENCH_PEERS_PYTHON",
            flush=True,
        )
    rows = []
    with one_core():
        for shape, peers in PEERS.items():
            present = [(peer, seeds) for peer, seeds in peers if peer not in missing]
            ours = {lanes: rate_of(HERE, shape, lanes, effort.seconds) for lanes in LANES if present}
            rows += [peer_row(shape, peer, seeds, ours, effort.seconds) for peer, seeds in present]
    return rows


def peer_row(shape: str, peer: str, seeds: int, ours: dict[int, float], seconds: float) -> dict[str, object]:
    """One peer's figure, printed."""
    batch, units, _, _ = SHAPES[shape]
    rate = asked(peer, ",".join(map(str, units)), str(batch), str(seconds), str(seeds))
    assert isinstance(rate, float)
    lanes_text = "".join(
        f"  rlbench, {lanes} lane{'s' * (lanes > 1)}: {own:,.0f} ({own / rate:.2f}x)" for lanes, own in ours.items()
    )
    print(f"{shape:<20} {peer}, {seeds} seed{'s' * (seeds > 1)}: {rate:,.0f} lane-steps/s{lanes_text}", flush=True)
    return {
        "shape": shape,
        "peer": peer,
        "seeds": seeds,
        "lane_steps_per_second": rate,
        "lanes": {str(lanes): own for lanes, own in ours.items()},
    }
