"""Contract: a pixel run's digest is the same alone, among seven others, and killed and resumed; its weights load into a plain module.

With frames drawn when they are seen, and with the environment's own frames, which are stored.
"""

from pathlib import Path

import pytest
from safetensors.torch import load_file

from rlbench.config import resolve
from rlbench.lanes.choices.convolution import Conv
from rlbench.lanes.steps.observing import observed
from rlbench.store import load
from tests.runner.commands import digests, kill, progress, run, start, wait_until

pytestmark = pytest.mark.slow

PIXELS = (
    "variant=soft_huber_pixel",
    "observation.rows=17",
    "observation.columns=31",
    "observation.colour=grey",
    "network.channels=[5,7]",
    "network.kernels=[5,3]",
    "network.strides=[2,2]",
    "network.norm_acting=training",
    "batch_size=6",
    "update_period=4",
    "steps=400",
    "replay.warmup=60",
    "replay.capacity=300",
    "evaluation.period=200",
    "evaluation.episodes=2",
    "diagnostics.period=100",
    "workers=1",
    "checkpoint_seconds=0.1",
)


@pytest.fixture(scope="module", params=["tensors", "gymnasium", "gymnasium replay=prioritised"])
def words(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """The settings of a small pixel run, with each of the renderers, and with a replay that remembers."""
    return (*PIXELS, *f"observation.renderer={request.param}".split())


@pytest.fixture(scope="module")
def company(words: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight seeds side by side."""
    store = tmp_path_factory.mktemp("company") / "store"
    code, _, err = run(store, *words, "seeds=8")
    assert code == 0, err
    assert len(set(digests(store).values())) == 8
    return store


def test_alone_is_as_among_seven_others(company: Path, words: tuple[str, ...], tmp_path: Path) -> None:
    assert run(tmp_path / "store", *words, "seeds=[5]")[0] == 0
    found = digests(tmp_path / "store")
    assert found == {key: digest for key, digest in digests(company).items() if key[1] == 5}
    assert len(found) == 1


def test_killed_and_resumed_is_as_uninterrupted(company: Path, words: tuple[str, ...], tmp_path: Path) -> None:
    store = tmp_path / "store"
    process = start(store, *words, "seeds=[5,2]")
    wait_until(process, lambda: len(progress(store)) == 2 and min(progress(store).values()) > 100)
    kill(process)
    went_on_from = dict(progress(store))
    assert min(went_on_from.values()) > 100
    code, _, err = run(store, *words, "seeds=[5,2]")
    assert code == 0, err
    assert "from their last checkpoint" in err
    found = digests(store)
    assert found == {key: digest for key, digest in digests(company).items() if key[1] in (5, 2)}
    assert len(found) == 2


def test_final_weights_load_into_a_plain_module(company: Path, words: tuple[str, ...]) -> None:
    runs = load(company).runs
    assert (runs["updates"] == 86).all()
    planned = resolve([*words]).planned[0].run
    network = planned.variant.network
    assert isinstance(network, Conv)
    channels, rows, columns = observed(planned).shape
    module = network.module(obs_shape=(channels, rows, columns), num_actions=2)
    for run_id in runs["run_id"]:
        weights = load_file(company / "weights" / f"{run_id}.safetensors")
        module.load_state_dict(weights)
        assert (weights["1.running_var"] != 1).all()


def test_verify_trains_a_pixel_run_again(company: Path) -> None:
    run_id = load(company).runs["run_id"].iloc[3]
    code, out, err = run(company, f"run={run_id}", module="rlbench.verify")
    assert code == 0, out + err
