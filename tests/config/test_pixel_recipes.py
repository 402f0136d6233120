"""The recipes that see pixels are what their source is, row by row; and what a pixel observation refuses.

The numbers here are those of the source; the recipes are not asked for them.
"""

import dataclasses
from pathlib import Path

import pytest
import torch

from rlbench.config import resolve, run_id, run_of, spec_of
from rlbench.envs.registry import describe
from rlbench.errors import ConfigError
from rlbench.lanes.choices.clipping import ClipValue
from rlbench.lanes.choices.convolution import Conv
from rlbench.lanes.choices.exploration import Exponential
from rlbench.lanes.choices.losses import Huber
from rlbench.lanes.choices.observations import Pixel
from rlbench.lanes.choices.optimizers import RMSprop
from rlbench.lanes.choices.replay import Uniform
from rlbench.lanes.choices.targets import Periodic
from rlbench.lanes.choices.variant import Run
from rlbench.lanes.fast.chunks import bytes_per_lane
from rlbench.lanes.steps.observing import observed
from rlbench.lanes.training.lane_state import final_weights, initial_state


def run_for(*words: str) -> Run:
    return resolve([*words]).planned[0].run


def test_pytorch_pixel_is_its_source() -> None:
    run = run_for("recipe=pytorch_pixel")
    variant = run.variant
    assert run.env.id == "CartPole-v0"
    assert describe(run.env.id, run.env.max_env_steps).max_episode_steps == 10_000  # far beyond what the source reaches
    # The crop and the patch: rows 40 % to 80 %, 60 % of the width about the cart, 3 x 40 x 90, now minus before.
    assert variant.observation == Pixel(
        top=0.4, bottom=0.8, width=0.6, follow=True, rows=40, columns=90, colour="rgb", combine="difference", frames=2
    )
    assert variant.network == Conv(
        channels=(16, 32, 32),
        kernels=(5, 5, 5),
        strides=(2, 2, 2),
        hidden=(),
        batch_norm=True,
        norm_learning="training",
        norm_acting="training",
        norm_target="evaluation",
    )
    assert variant.loss == Huber(delta=1.0)
    assert dataclasses.replace(variant.target, offset=0) == Periodic(every=10, tau=1.0, unit="episodes")
    assert variant.target.offset == 1  # after episodes 0, 10, 20 ...
    assert variant.optimizer == RMSprop(lr=0.01, alpha=0.99, eps=1e-8, weight_decay=0.0, momentum=0.0, centered=False)
    assert variant.clip == ClipValue(limit=1.0)
    assert variant.discount == 0.999
    assert variant.batch_size == 128
    assert variant.replay == Uniform(capacity=10_000, warmup=128, replacement=False)
    assert variant.exploration == Exponential(start=0.9, end=0.05, decay_steps=200)
    n = torch.tensor([[0.0, 200.0]], dtype=torch.float64)
    assert variant.exploration.epsilon(n).tolist()[0] == pytest.approx([0.9, 0.05 + 0.85 / 2.718281828459045])
    assert not variant.double
    assert variant.update_period == variant.updates_per_period == 1
    assert variant.final_reward is None
    assert variant.bootstrap_on_truncation
    assert (run.budget.steps, run.budget.episodes) == (None, 300)


def test_the_second_source_differs_in_its_patch_only() -> None:
    first, second = (run_for(f"recipe={name}") for name in ("pytorch_pixel", "pytorch_pixel_448"))
    pixel = second.variant.observation
    assert isinstance(pixel, Pixel)
    assert round(pixel.width * 600) == 320
    assert pixel.shape == (3, 40, 80)
    assert (round(pixel.top * 400), round(pixel.bottom * 400)) == (160, 320)
    variant = dataclasses.replace(second.variant, observation=first.variant.observation)
    assert dataclasses.replace(second, variant=variant) == first


@pytest.mark.parametrize(("recipe", "features"), [("pytorch_pixel", 512), ("pytorch_pixel_448", 448)])
def test_the_head_has_the_size_of_the_source(recipe: str, features: int) -> None:
    run = run_for(f"recipe={recipe}")
    channels, rows, columns = observed(run).shape
    network = run.variant.network
    assert isinstance(network, Conv)
    module = network.module(obs_shape=(channels, rows, columns), num_actions=2)
    assert module[-1].in_features == features
    assert network.parameter_count((channels, rows, columns), 2) == sum(p.numel() for p in module.parameters())
    module.load_state_dict(final_weights(run, initial_state(run), 0))
    obs = torch.rand(2, channels, rows, columns)
    params = [v for k, v in initial_state(run).items() if k.startswith("online.")]
    statistics = network.init_statistics()
    module.eval()
    found, _ = network.outputs(params, statistics, obs[None], "evaluation")
    torch.testing.assert_close(found[0], module(obs), rtol=1e-4, atol=1e-5)


def test_a_pixel_transition_costs_what_a_state_transition_costs() -> None:
    state, pixel = run_for("variant=hard_mse"), run_for("variant=hard_mse_pixel")
    row = [initial_state(run)["replay.float32"][0, 0] for run in (state, pixel)]
    assert [r.numel() * r.element_size() for r in row] == [44, 44]
    assert bytes_per_lane(pixel) < 430e6 / 100  # 10 000 transitions of two stored frames each


def test_a_pixel_run_survives_its_specification() -> None:
    run = run_for("variant=soft_huber_small_pixel")
    assert run_of(spec_of(run)) == run
    assert run_id(run) != run_id(run_for("variant=soft_huber_small_pixel", "observation.rows=21"))


def test_the_dqn_of_2015() -> None:
    run = run_for("variant=hard_mse_pixel", "network=dqn2015", "observation.rows=84", "observation.columns=84")
    assert isinstance(run.variant.network, Conv)
    assert run.variant.network.sizes((4, 84, 84))[1:] == [(32, 20, 20), (64, 9, 9), (64, 7, 7)]
    assert run.variant.network.features((4, 84, 84)) == 3136


REFUSALS = {
    "variant=hard_mse observation=pixel": "observation=pixel needs a network that convolves: give network=conv",
    "variant=hard_mse network=conv": "network=conv sees pixels only: give observation=pixel",
    "variant=hard_mse_pixel env=MountainCarContinuous-v0": "and not 'MountainCarContinuous-v0'",
    "variant=hard_mse_pixel env=mountain_car": "observation.follow=true is for CartPole-v0 and CartPole-v1, whose cart it follows; for the"
    " whole frame of 'MountainCar-v0' give observation.follow=false observation.top=0 observation.bottom=1 observation.width=1",
    "variant=hard_mse_pixel env=acrobot": "for the whole frame of 'Acrobot-v1' give observation.follow=false",
    "variant=hard_mse_pixel observation.rows=20": "leaves convolution 3 with 2 x 20 pixels for a kernel of 5: it has no output",
    "variant=hard_mse_pixel observation.rows=0": "observation.rows must be 1 <= x <= 1000",
    "variant=hard_mse_pixel observation.top=0.9": "observation.top 0.9 must be above observation.bottom 0.8",
    "variant=hard_mse_pixel observation.frames=3": "observation.combine=difference takes observation.frames=2; got 3",
    "variant=hard_mse_pixel network.strides=[2,2]": "must have one number for each convolution; got 3, 3 and 2",
    "variant=hard_mse_pixel observation.colour=gray": "unknown observation.colour 'gray'; did you mean 'grey'?",
    "variant=hard_mse_pixel observation.rows=29 observation.columns=29 network.norm_acting=training": "takes mean and variance",
    "variant=hard_mse observation.rows=20": "'observation.rows' does not apply: observation=state has no 'rows'",
}


@pytest.mark.parametrize("words", REFUSALS)
def test_refusals(words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as refused:
        resolve(words.split())
    assert REFUSALS[words] in str(refused.value)
    assert "\n" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []
