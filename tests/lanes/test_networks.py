"""Q-networks over lanes: equal to a plain module with the same weights, in both forms, from the declared distribution."""

import math
from typing import Any

import pytest
import torch
from lane_runs import weights_of
from torch import nn

from rlbench import exact
from rlbench.errors import ConfigError
from rlbench.lanes.choices.choice import check
from rlbench.lanes.choices.networks import MLP, UniformPolicy

NUM_LANES = 3
# (features, units, actions): products of many widths.
SHAPES = [
    (4, (24, 17), 2),
    (4, (64, 64), 2),
    (6, (3, 8), 3),
    (8, (9,), 4),
    (9, (5, 9), 5),
    (12, (11, 10, 9), 18),
    (1, (1,), 1),
    (3, (), 2),
]


def lanes_of(network: MLP, obs_size: int, num_actions: int) -> list[torch.Tensor]:
    """Parameters of three lanes with different seeds."""
    alone = [
        network.init_params(seed=seed, namespace=1, obs_shape=(obs_size,), num_actions=num_actions)
        for seed in range(NUM_LANES)
    ]
    return [torch.cat(tensors) for tensors in zip(*alone, strict=True)]


def modules_of(network: MLP, params: list[torch.Tensor], obs_size: int, num_actions: int) -> list[nn.Sequential]:
    """Each lane as the plain module that the stored weights load into."""
    modules = []
    for lane in range(NUM_LANES):
        modules.append(network.module(obs_shape=(obs_size,), num_actions=num_actions))
        state = {f"online.{i}": p for i, p in enumerate(params)}
        modules[-1].load_state_dict(weights_of(state, network, lane=lane))
    return modules


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize(("obs_size", "units", "num_actions"), SHAPES)
def test_both_forms_are_the_plain_module(
    obs_size: int, units: tuple[int, ...], num_actions: int, activation: str
) -> None:
    network = MLP(units=units, activation=activation)
    params = lanes_of(network, obs_size, num_actions)
    obs = torch.randn(NUM_LANES, 7, obs_size, generator=torch.Generator().manual_seed(1))
    q = network.outputs(params, [], obs, "evaluation")[0]
    assert q.shape == (NUM_LANES, 7, num_actions)
    for lane, module in enumerate(modules_of(network, params, obs_size, num_actions)):
        torch.testing.assert_close(q[lane], module(obs[lane]).detach(), rtol=1e-5, atol=1e-5)
    for row in range(7):
        assert torch.equal(network.outputs(params, [], obs[:, row : row + 1], "evaluation")[0][:, 0], q[:, row])


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_gradients_are_the_plain_modules(activation: str) -> None:
    network = MLP(units=(10, 9), activation=activation)
    params = [p.requires_grad_() for p in lanes_of(network, 4, 2)]
    obs = torch.randn(NUM_LANES, 6, 4, generator=torch.Generator().manual_seed(1))
    network.outputs(params, [], obs, "evaluation")[0].square().sum().backward()
    gradients = {f"online.{i}": p.grad for i, p in enumerate(params) if p.grad is not None}
    for lane, module in enumerate(modules_of(network, [p.detach() for p in params], 4, 2)):
        module(obs[lane]).square().sum().backward()
        ours = weights_of(gradients, network, lane=lane)
        for name, p in module.named_parameters():
            torch.testing.assert_close(ours[name], p.grad, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("init", ["torch", "glorot"])
def test_initial_weights_fill_their_declared_bounds(init: str) -> None:
    """With 64 x 64 numbers and more, the largest comes within 1 % of the bound, and their spread is a uniform distribution's."""
    params = MLP(units=(64, 64), init=init).init_params(seed=0, namespace=1, obs_shape=(32,), num_actions=64)
    for layer, fan_in in enumerate((32, 64, 64)):
        weight, bias = params[2 * layer], params[2 * layer + 1]
        bound = 1 / math.sqrt(fan_in) if init == "torch" else math.sqrt(6 / (fan_in + 64))
        assert 0.99 * bound < float(weight.abs().max()) <= bound
        assert float(weight.std()) == pytest.approx(bound / math.sqrt(3), rel=0.05)
        assert abs(float(weight.mean())) < 0.05 * bound
        if init == "torch":
            assert 0.8 / math.sqrt(fan_in) < float(bias.abs().max()) <= 1 / math.sqrt(fan_in)
        else:
            assert not bias.any()


def test_initial_weights_have_the_distribution_of_nn_linear() -> None:
    """Same bounds as a freshly made layer, weights and biases: compared by their spread over 40 seeds."""
    torch.manual_seed(0)  # of 120 biases the spread is a matter of luck
    network, seeds = MLP(units=(50,)), range(40)
    ours = [
        network.named_weights(network.init_params(seed=seed, namespace=1, obs_shape=(10,), num_actions=3))
        for seed in seeds
    ]
    theirs = [network.module(obs_shape=(10,), num_actions=3).state_dict() for _ in seeds]
    for name in ("0.weight", "0.bias", "2.weight", "2.bias"):
        assert ours[0][name].shape == theirs[0][name].shape
        spread = torch.stack([one[name] for one in ours]).std()
        assert float(spread) == pytest.approx(float(torch.stack([one[name] for one in theirs]).std()), rel=0.25)


def test_equal_shapes_get_equal_weights_in_any_variant() -> None:
    """Activation does not matter, and a layer of the same shape at the same depth is the same."""
    relu = MLP((8, 6)).init_params(seed=3, namespace=1, obs_shape=(4,), num_actions=2)
    tanh = MLP((8, 6), activation="tanh").init_params(seed=3, namespace=1, obs_shape=(4,), num_actions=2)
    deeper = MLP((8, 6, 5)).init_params(seed=3, namespace=1, obs_shape=(4,), num_actions=2)
    assert all(torch.equal(a, b) for a, b in zip(relu, tanh, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(relu[:4], deeper[:4], strict=True))


def test_tanh_is_that_of_torch() -> None:
    """Within 4 units in the last place over float32, and 1 at the ends; the derivative too."""
    sizes = torch.logspace(-30, 2, 20_001, dtype=torch.float64).float()
    x = torch.cat([-sizes, torch.zeros(1), sizes, torch.linspace(-10, 10, 20_001)])
    ours, theirs = x.clone().requires_grad_(), x.double().requires_grad_()
    value, expected = exact.tanh(ours), torch.tanh(theirs)
    value.sum().backward()
    expected.sum().backward()
    value, expected = value.detach(), expected.detach()
    error = (value.double() - expected).abs() / expected.abs().clamp(min=1e-37)
    assert float(error.max()) < 4 * 2**-23
    assert ours.grad is not None
    assert theirs.grad is not None
    assert float((ours.grad.double() - theirs.grad).abs().max()) < 1e-6
    assert bool((value.abs() <= 1).all())
    assert torch.equal(exact.tanh(-x), -exact.tanh(x))


def test_tanh_passes_on_what_is_not_a_number() -> None:
    """A diverging network must show."""
    assert bool(exact.tanh(torch.tensor([torch.nan])).isnan().all())


def test_the_plain_module_has_the_declared_layers() -> None:
    module = MLP((8, 6), activation="tanh").module(obs_shape=(4,), num_actions=2)
    assert [type(layer) for layer in module] == [nn.Linear, nn.Tanh, nn.Linear, nn.Tanh, nn.Linear]
    assert [tuple(p.shape) for p in module.parameters()] == [(8, 4), (8,), (6, 8), (6,), (2, 6), (2,)]


def test_named_weights_are_copies() -> None:
    network = MLP((8,))
    params = network.init_params(seed=0, namespace=1, obs_shape=(4,), num_actions=2)
    named = network.named_weights(params)
    before = {name: tensor.clone() for name, tensor in named.items()}
    for p in params:
        p.zero_()
    assert all(torch.equal(named[name], before[name]) for name in ("0.bias", "2.bias", "0.weight"))


def test_a_uniform_policy_has_no_weights() -> None:
    policy = UniformPolicy()
    assert policy.init_params(seed=0, namespace=1, obs_shape=(4,), num_actions=2) == []
    assert policy.named_weights([]) == {}
    assert (policy.learns, MLP.learns) == (False, True)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (MLP(units=(64, 0)), "units must be >= 1; got 0"),
        (MLP(activation="gelu"), "activation must be one of relu, tanh; got 'gelu'"),
        (MLP(init="he"), "init must be one of torch, glorot, variance_scaling; got 'he'"),
    ],
)
def test_impossible_networks_are_refused(network: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check(network)
    assert str(caught.value) == message
