"""Q-networks over lanes: parameters are lists of tensors [lanes, ...], functions map observations to action values.

Hidden weights are [lanes, in, out], hidden biases [lanes, 1, out]; the head is transposed, [lanes, actions, in], its bias
[lanes, 1, actions].
Two forms of the same function: `q_values` for many rows a lane (minibatches), where square products are batched matrix products, and
`q_values_acting` for one row a lane, elementwise products and sums whose bits do not depend on the number of lanes.
"""

import dataclasses
import itertools
import math
from typing import ClassVar

import torch
from torch import Tensor

from rlbench.lanes.bases import Network
from rlbench.lanes.choice import structural
from rlbench.lanes.streams import Stream, uniform_table

# A product with fewer input features than this is a sum of scaled rows, which the compiler fuses with its neighbours: 1.3x at 4 features.
NARROW_FEATURES = 9
NARROW_ACTIONS = 5

Params = list[Tensor]


def hyperbolic_tangent(x: Tensor) -> Tensor:
    """tanh in float32 from multiplications, additions and one division, so that its bits do not depend on vectorisation.

    Odd rational minimax approximation of degree 13/6 (the one of Eigen and XLA), error at most a few units in the last place.
    The derivative is 1 - tanh(x)**2, as that of `torch.tanh`.
    """
    fixed = x.detach().clamp(-7.90531110763549805, 7.90531110763549805)
    square = fixed * fixed
    top = torch.full_like(square, -2.76076847742355e-16)
    for coefficient in (2.00018790482477e-13, -8.60467152213735e-11, 5.12229709037114e-08, 1.48572235717979e-05):
        top = top * square + coefficient
    top = fixed * ((top * square + 6.37261928875436e-04) * square + 4.89352455891786e-03)
    bottom = torch.full_like(square, 1.19825839466702e-06)
    for coefficient in (1.18534705686654e-04, 2.26843463243900e-03, 4.89352518554385e-03):
        bottom = bottom * square + coefficient
    value = top / bottom
    return value + (1 - value * value) * (x - x.detach())


def _affine(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """x [L, B, in] times weight [L, in, out] plus bias [L, 1, out]."""
    if weight.shape[1] >= NARROW_FEATURES:
        return torch.bmm(x, weight) + bias
    y = bias
    for k in range(weight.shape[1]):
        y = y + x[..., k : k + 1] * weight[:, k : k + 1, :]
    return y


def _head(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """x [L, B, in] times the transposed head weight [L, actions, in] plus bias [L, 1, actions]."""
    if weight.shape[1] >= NARROW_ACTIONS:
        return torch.bmm(x, weight.transpose(1, 2)) + bias
    return torch.stack([(x * weight[:, a : a + 1]).sum(2) for a in range(weight.shape[1])], 2) + bias


@dataclasses.dataclass(frozen=True)
class MLP(Network):
    """Fully connected network: hidden layers of `units`, linear head."""

    kind: ClassVar[str] = "mlp"
    units: tuple[int, ...] = structural((64, 64), "hidden layer widths", ">= 1")
    activation: str = structural("relu", "hidden activation", allowed=("relu", "tanh"))
    init: str = structural(
        "torch", "initial weights: PyTorch's nn.Linear default, or Glorot", allowed=("torch", "glorot")
    )

    learns: ClassVar[bool] = True

    def init_params(self, *, seed: int, namespace: int, obs_size: int, num_actions: int) -> Params:
        """Initial parameters of one lane, each [1, ...]: drawn per layer in nn.Linear's order, so equal shapes get equal weights."""
        sizes = (obs_size, *self.units, num_actions)
        params: Params = []
        for layer, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes)):
            weight_bound = 1 / math.sqrt(fan_in) if self.init == "torch" else math.sqrt(6 / (fan_in + fan_out))
            drawn = uniform_table(seed, namespace, Stream.WEIGHTS, 2 * layer, fan_in * fan_out)
            weight = ((drawn * 2 - 1) * weight_bound).float().reshape(fan_out, fan_in)
            is_head = layer == len(sizes) - 2
            params.append((weight if is_head else weight.T).contiguous()[None])
            bias = torch.zeros(fan_out, dtype=torch.float64)
            if self.init == "torch":
                drawn = uniform_table(seed, namespace, Stream.WEIGHTS, 2 * layer + 1, fan_out)
                bias = (drawn * 2 - 1) / math.sqrt(fan_in)
            params.append(bias.float()[None, None])
        return params

    def q_values(self, params: Params, obs: Tensor) -> Tensor:
        """obs [L, B, D] float32 -> action values [L, B, A]."""
        for weight, bias in zip(params[:-2:2], params[1:-2:2], strict=True):
            obs = self._activate(_affine(obs, weight, bias))
        return _head(obs, params[-2], params[-1])

    def q_values_acting(self, params: Params, obs: Tensor) -> Tensor:
        """obs [L, D] float32 -> action values [L, A]."""
        for weight, bias in zip(params[:-2:2], params[1:-2:2], strict=True):
            obs = self._activate((obs[:, :, None] * weight).sum(1) + bias[:, 0])
        return (obs[:, None, :] * params[-2]).sum(2) + params[-1][:, 0]

    def _activate(self, x: Tensor) -> Tensor:
        return torch.relu(x) if self.activation == "relu" else hyperbolic_tangent(x)

    def named_weights(self, params: Params) -> dict[str, Tensor]:
        """The parameters of one lane ([1, ...] each) under the names and in the layout of a plain nn.Sequential (see `module`)."""
        named: dict[str, Tensor] = {}
        for layer, (weight, bias) in enumerate(zip(params[::2], params[1::2], strict=True)):
            is_head = 2 * layer == len(params) - 2
            named[f"{2 * layer}.weight"] = (weight[0] if is_head else weight[0].T).contiguous()
            named[f"{2 * layer}.bias"] = bias[0, 0].clone()
        return named

    def module(self, *, obs_size: int, num_actions: int) -> torch.nn.Sequential:
        """The plain PyTorch module into which a run's stored weights load."""
        layers: list[torch.nn.Module] = []
        sizes = (obs_size, *self.units, num_actions)
        for fan_in, fan_out in itertools.pairwise(sizes):
            layers += [
                torch.nn.Linear(fan_in, fan_out),
                torch.nn.ReLU() if self.activation == "relu" else torch.nn.Tanh(),
            ]
        return torch.nn.Sequential(*layers[:-1])


@dataclasses.dataclass(frozen=True)
class UniformPolicy(Network):
    """No network: every action is drawn uniformly, in training and in evaluation. The floor of every comparison."""

    kind: ClassVar[str] = "uniform"
    learns: ClassVar[bool] = False

    def init_params(self, *, seed: int, namespace: int, obs_size: int, num_actions: int) -> Params:
        """There is nothing to learn."""
        return []

    def named_weights(self, params: Params) -> dict[str, Tensor]:
        """There are no weights."""
        return {}
