"""Dueling heads, noise in weights, layer normalisation, scaled observations: against plain modules, and how noise is drawn."""

import dataclasses
import itertools
import math
from typing import Any

import pytest
import torch
from lane_runs import SMALL, fresh, small_run, train, with_fields
from torch import Tensor, nn

from rlbench import exact
from rlbench.config.plan import PlannedCell, check_cell
from rlbench.errors import ConfigError
from rlbench.exact.gaussian import emulated
from rlbench.lanes.choices.choice import check
from rlbench.lanes.choices.exploration import Constant
from rlbench.lanes.choices.layers import NORM_EPS, NoisyLinear, factor
from rlbench.lanes.choices.networks import MLP
from rlbench.lanes.choices.registry import small_variant
from rlbench.lanes.exactness import what_breaks
from rlbench.lanes.steps.acting import choose
from rlbench.lanes.steps.weight_noise import Pass, drawn, drawn_in
from rlbench.lanes.tensors import group
from rlbench.lanes.training.lane_state import initial_state
from rlbench.lanes.training.trainer import Trainer
from rlbench.playing.choosing import plain_module

LOW, HIGH = (-2.4, -5.0, -math.pi / 12, -2 * math.pi), (2.4, 5.0, math.pi / 12, 2 * math.pi)
ALL = MLP(units=(9, 7), head="dueling", noise="fresh", normalisation="layer", obs_low=LOW, obs_high=HIGH)
COMBINED = [
    MLP(units=(6, 5), activation=activation, head=head, noise=noise, normalisation=norm, obs_low=low, obs_high=high)
    for activation, head, noise, norm, (low, high) in itertools.product(
        ("relu", "tanh"), ("plain", "dueling"), ("none", "fresh", "frozen"), ("none", "layer"), (((), ()), (LOW, HIGH))
    )
]


def lanes_of(network: MLP, width: int, count: int = 2) -> list[Tensor]:
    """Parameters of lanes with different seeds, none of them at 0 or 1."""
    sizes: dict[str, Any] = {"namespace": 1, "obs_shape": (4,), "num_actions": 3, "width": width}
    lanes = zip(*(network.init_params(seed=seed, **sizes) for seed in range(count)), strict=True)
    generator = torch.Generator().manual_seed(0)
    return [(p + 0.1 * torch.rand(p.shape, generator=generator)) for p in (torch.cat(one) for one in lanes)]


def with_noise(module: nn.Module, normals: Tensor) -> None:
    """Give a plain module's layers their factors, in order: those of the inputs of a layer, then those of its outputs."""
    layers = [layer for layer in module.modules() if isinstance(layer, NoisyLinear)]
    factors = factor(normals).split([size for layer in layers for size in (layer.in_features, layer.out_features)])
    for layer, of_in, of_out in zip(layers, factors[::2], factors[1::2], strict=True):
        layer.noise = of_in, of_out


@pytest.mark.parametrize("width", [1, 5])
@pytest.mark.parametrize(
    "network", COMBINED, ids=lambda n: f"{n.activation}-{n.head}-{n.noise}-{n.normalisation}-{len(n.obs_low)}"
)
def test_outputs_and_gradients_are_those_of_the_plain_module(network: MLP, width: int) -> None:
    params = [p.requires_grad_() for p in lanes_of(network, width)]
    assert network.parameter_count((4,), 3, width) == sum(p[0].numel() for p in params)
    generator = torch.Generator().manual_seed(1)
    obs, count = torch.randn(2, 7, 4, generator=generator), network.num_normals(params)
    given = (torch.randn(2, count, generator=generator),) if count else ()
    outputs, _ = network.outputs(params, [], obs, "learning", *given)
    gradients = torch.autograd.grad(outputs.square().sum(), params)
    for lane in range(2):
        module = network.module(obs_shape=(4,), num_actions=3, width=width)
        module.load_state_dict(network.named_weights([p[lane : lane + 1].detach() for p in params]))
        if given:
            with_noise(module, given[0][lane])
        expected = module(obs[lane])
        torch.testing.assert_close(expected, outputs[lane], rtol=1e-4, atol=1e-5)
        expected.square().sum().backward()
        ours = network.named_weights([g[lane : lane + 1] for g in gradients])
        for name, p in module.named_parameters():
            torch.testing.assert_close(ours[name], p.grad, rtol=1e-3, atol=1e-4)


def test_a_dueling_head_by_hand() -> None:
    """Value 10, advantages 1, 2, 6: their mean is 3, so the outputs are 8, 9, 13."""
    network = MLP(units=(1,), head="dueling")
    one = torch.ones(1, 1, 1)
    params = [one, 0 * one, torch.tensor([[[1.0, 2.0, 6.0]]]), torch.zeros(1, 1, 3), 10 * one, 0 * one]
    assert network.outputs(params, [], one, "evaluation")[0].tolist() == [[[8.0, 9.0, 13.0]]]


def test_layer_norm_by_hand() -> None:
    """1, 2, 6 have mean 3 and variance 14/3."""
    network = MLP(units=(3,), normalisation="layer", activation="relu")
    eye, zero = torch.eye(3)[None], torch.zeros(1, 1, 3)
    params = [eye, zero, torch.ones(1, 1, 3), zero, eye, zero]
    found = network.outputs(params, [], torch.tensor([[[1.0, 2.0, 6.0]]]), "evaluation")[0]
    assert found[0, 0].tolist() == pytest.approx([0.0, 0.0, 3 / math.sqrt(14 / 3 + NORM_EPS)], rel=1e-6)


def test_scaled_observations_lie_between_minus_one_and_one() -> None:
    network = MLP(units=(), obs_low=(-1.2, -0.07), obs_high=(0.6, 0.07))
    params = [torch.eye(2)[None], torch.zeros(1, 1, 2)]
    obs = torch.tensor([[[-1.2, 0.07], [-0.3, 0.0]]])
    found = network.outputs(params, [], obs, "evaluation")[0]
    torch.testing.assert_close(found, torch.tensor([[[-1.0, 1.0], [0.0, 0.0]]]), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("fan", "divided_by"), [("fan_in", 32), ("fan_avg", 48), ("fan_out", 64)])
def test_variance_scaling_has_the_variance_of_its_name(fan: str, divided_by: int) -> None:
    network = MLP(units=(64,), init="variance_scaling", init_scale=2.0, init_fan=fan)
    weight, bias, *_ = network.init_params(seed=0, namespace=1, obs_shape=(32,), num_actions=2)
    assert float(weight.var()) == pytest.approx(2 / divided_by, rel=0.1)
    assert float(weight.abs().max()) <= math.sqrt(3 * 2 / divided_by)
    assert not bias.any()


def test_means_begin_as_without_noise_and_sigmas_as_the_paper_says() -> None:
    """Uniform in +-1/sqrt(inputs), sigma0/sqrt(inputs); the plain network of the same seed has the same means."""
    plain = MLP(units=(9, 7)).init_params(seed=3, namespace=1, obs_shape=(4,), num_actions=2)
    noisy = MLP(units=(9, 7), noise="fresh", sigma0=0.4).init_params(seed=3, namespace=1, obs_shape=(4,), num_actions=2)
    assert all(torch.equal(a, b) for a, b in zip(plain, [p for i, p in enumerate(noisy) if i % 4 < 2], strict=True))
    for layer, fan_in in enumerate((4, 9, 7)):
        for p in noisy[4 * layer + 2 : 4 * layer + 4]:
            torch.testing.assert_close(p, torch.full_like(p, 0.4 / math.sqrt(fan_in)))


def test_normal_numbers_are_normal_and_the_same_without_a_compiler() -> None:
    """Mean, variance, fourth moment and the share beyond 2 of 200 000 numbers, within 4 standard errors."""
    lanes = torch.arange(5), torch.ones(5, dtype=torch.int64), torch.arange(5) * 2**33
    x = exact.normals(*lanes, stream=8, begin=2**24, count=40_001)
    assert torch.equal(x, emulated(*lanes, 8, 2**24, 40_001))
    n = x.numel()
    beyond = math.erfc(math.sqrt(2))
    for found, expected, variance in (
        (x.double().mean(), 0, 1),
        (x.double().square().mean(), 1, 2),
        (x.double().pow(4).mean(), 3, 96),
        ((x.abs() > 2).double().mean(), beyond, beyond * (1 - beyond)),
    ):
        assert abs(float(found) - expected) < 4 * math.sqrt(variance / n)


def noise_of(which: Pass, step: int, earlier: int = 0, seeds: int = 400) -> Tensor:
    """The normal numbers of a pass of lanes that differ in their seed, [seeds, n]."""
    network = MLP(units=(9, 7), noise="fresh")
    params = network.init_params(seed=0, namespace=1, obs_shape=(4,), num_actions=2)
    count = torch.full((seeds,), step)
    lanes = {"seed": torch.arange(seeds), "namespace": torch.ones_like(count), "env_steps": count, "updates": count}
    (normals,) = drawn(network, lanes, params, which, earlier)
    return normals


def test_noise_is_independent_between_lanes_steps_layers_and_passes() -> None:
    """Correlations of numbers of other lanes, layers, steps and passes: each within 5 standard errors of 0."""
    first = noise_of(Pass.ACTING, 5)
    assert first.shape == (400, 4 + 9 + 9 + 7 + 7 + 2)
    among = torch.corrcoef(first.T).fill_diagonal_(0)  # of all inputs and outputs of all layers
    assert float(among.abs().max()) < 5 / math.sqrt(400)
    others = [
        noise_of(Pass.ACTING, 6),
        noise_of(Pass.LEARNING, 5),
        noise_of(Pass.TARGET, 5),
        noise_of(Pass.CHOOSING, 5),
    ]
    others += [noise_of(Pass.TARGET, 5, earlier=1), first.roll(1, 0)]
    for one, other in itertools.combinations([first, *others], 2):
        assert not bool((one == other).all(1).any())
        correlation = float((one * other).mean())
        assert abs(correlation) < 5 / math.sqrt(one.numel())


def test_noise_of_weights_has_the_variance_that_it_should_have() -> None:
    """f(x) f(y) of independent normal numbers has mean 0 and variance (2 / pi), f(x) alone sqrt(2 / pi)."""
    factors = factor(noise_of(Pass.ACTING, 0, seeds=4000))
    of_in, of_out = factors[:, :4], factors[:, 4:13]
    product = of_in[:, :, None] * of_out[:, None]
    for noise, variance in ((product, 2 / math.pi), (of_out, math.sqrt(2 / math.pi))):
        assert abs(float(noise.mean())) < 0.02
        assert float(noise.var()) == pytest.approx(variance, rel=0.05)


def test_each_step_and_update_draws_anew_and_evaluation_draws_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RLBENCH_COMPILE", "0")
    asked: list[tuple[Pass, int, int]] = []

    def noted(network: Any, lanes: Any, params: Any, which: Pass, earlier: int = 0) -> Any:
        step = lanes["env_steps" if which is Pass.ACTING else "updates"]
        asked.append((which, int(step[0]), earlier))
        return drawn(network, lanes, params, which, earlier)

    for module in ("weight_noise", "learning"):
        monkeypatch.setattr(f"rlbench.lanes.steps.{module}.drawn", noted)
    monkeypatch.setenv("RLBENCH_CHECK_EXACT", "0")
    variant = with_fields(SMALL, network=MLP(units=(6,), noise="fresh"), exploration=Constant(0.0), double=True)
    train([small_run(variant, steps=30)])
    of = {which: [(step, earlier) for one, step, earlier in asked if one is which] for which in Pass}
    assert of[Pass.ACTING] == [(step, 0) for step in range(30)]
    for which in (Pass.LEARNING, Pass.TARGET, Pass.CHOOSING):
        assert of[which] == [(update, 0) for update in range(11)]


def test_acting_changes_from_step_to_step_and_evaluation_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RLBENCH_COMPILE", "0")
    variant = with_fields(SMALL, network=MLP(units=(6,), noise="fresh", sigma0=20.0))
    state, obs = Trainer([fresh(small_run(variant))]).state, torch.randn(1, 50, 4)
    greedy = torch.zeros(1, 50, dtype=torch.bool), torch.zeros(1, 50, dtype=torch.int64)
    found: dict[str, set[tuple[int, ...]]] = {"acting": set(), "evaluation": set()}
    for step in range(8):
        state["env_steps"].fill_(step)
        for role, actions in found.items():
            actions.add(tuple(choose(state, variant, role, *greedy, obs)[0].tolist()))
    assert len(found["evaluation"]) == 1
    assert len(found["acting"]) > 1


def test_frozen_noise_is_one_draw_of_each_run_in_every_pass() -> None:
    network = MLP(units=(6,), noise="frozen")
    params = [p.expand(3, *p.shape[1:]).clone() for p in lanes_of(network, 1, count=1)]
    seeds, ones = torch.tensor([4, 5, 4]), torch.ones(3, dtype=torch.int64)
    lanes = {
        "seed": seeds,
        "namespace": ones,
        "env_steps": torch.tensor([0, 7, 99]),
        "updates": torch.tensor([0, 3, 40]),
    }
    passes = [drawn(network, lanes, params, which, earlier) for which in Pass for earlier in (0, 1)]
    (kept,) = drawn_in("evaluation", network, lanes, params)
    assert all(torch.equal(normals, kept) for (normals,) in passes)
    assert torch.equal(kept[0], kept[2])
    assert not torch.equal(kept[0], kept[1])
    assert drawn_in("evaluation", dataclasses.replace(network, noise="fresh"), lanes, params) == ()


def test_runs_with_frozen_noise_are_trained_and_evaluated_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RLBENCH_COMPILE", "0")
    assert what_breaks(small_variant(network=MLP(units=(6,), noise="frozen"))) is None


def test_the_plain_module_of_a_run_has_the_noise_that_it_keeps() -> None:
    run = small_run(with_fields(SMALL, network=MLP(units=(6,), head="dueling", noise="frozen", sigma0=2.0)), seed=3)
    state = initial_state(run)
    module = plain_module(run)
    module.load_state_dict(run.variant.network.named_weights(group(state, "online")))
    obs = torch.randn(1, 5, 4)
    normals = drawn_in("evaluation", run.variant.network, state, group(state, "online"))
    expected = run.variant.network.outputs(group(state, "online"), [], obs, "evaluation", *normals)[0]
    torch.testing.assert_close(module(obs[0]), expected[0])
    means = run.variant.network.outputs(group(state, "online"), [], obs, "evaluation")[0]
    assert not torch.allclose(means, expected)


def test_all_parts_together_are_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RLBENCH_COMPILE", "0")
    assert what_breaks(small_variant(network=ALL, exploration=Constant(0.0), double=True)) is None


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"sigma0": 0.0}, "sigma0 must be > 0; got 0.0"),
        ({"head": "duelling"}, "head must be one of plain, dueling; got 'duelling'"),
        ({"noise": "old"}, "noise must be one of none, fresh, frozen; got 'old'"),
    ],
)
def test_impossible_values_are_refused(changes: dict[str, Any], line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check(MLP(**changes))
    assert str(caught.value) == line


@pytest.mark.parametrize(
    ("low", "high", "line"),
    [
        (
            (-1.0,),
            (),
            "network.obs_low has 1 numbers and network.obs_high 0: give both, one for each number of an observation",
        ),
        ((0.0,) * 4, (1.0, 1.0, 0.0, 1.0), "network.obs_low must be below network.obs_high; got 0.0 and 0.0"),
        ((-1.0,), (1.0,), "network.obs_low and network.obs_high have 1 numbers, an observation here has 4"),
    ],
)
def test_impossible_bounds_are_refused(low: Any, high: Any, line: str) -> None:
    run = small_run(with_fields(SMALL, network=MLP(obs_low=low, obs_high=high)))
    cell = PlannedCell("x", run.variant, run.env, run.budget, run.evaluation, run.diagnostics, {})
    with pytest.raises(ConfigError) as caught:
        check_cell(cell)
    assert str(caught.value) == line
