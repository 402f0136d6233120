"""Networks over lanes: parameters are lists of tensors [lanes, ...], functions map observations to outputs.

Weights are [lanes, in, out], biases [lanes, 1, out].
"""

import dataclasses
import itertools
import math
from collections import OrderedDict
from collections.abc import Sequence
from typing import ClassVar

from rlbench import exact
from rlbench.deferred import Tensor, torch
from rlbench.lanes.bases import Network
from rlbench.lanes.choice import structural
from rlbench.lanes.streams import Stream, uniform_table

Params = list[Tensor]


@dataclasses.dataclass(frozen=True)
class MLP(Network):
    """Fully connected network: hidden layers of `units`, linear head."""

    kind: ClassVar[str] = "mlp"
    units: tuple[int, ...] = structural((64, 64), "hidden layer widths", ">= 1")
    activation: str = structural("relu", "hidden activation", allowed=("relu", "tanh"))
    init: str = structural(
        "torch", "initial weights: PyTorch's nn.Linear default, or Glorot", allowed=("torch", "glorot")
    )

    def init_params(
        self, *, seed: int, namespace: int, obs_shape: tuple[int, ...], num_actions: int, width: int = 1
    ) -> Params:
        """Initial parameters of one lane, each [1, ...]: drawn per layer in nn.Linear's order, so equal shapes get equal weights."""
        sizes = self._sizes(obs_shape, num_actions * width)
        params: Params = []
        for layer, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes)):
            weight_bound = 1 / math.sqrt(fan_in) if self.init == "torch" else math.sqrt(6 / (fan_in + fan_out))
            drawn = uniform_table(seed, namespace, Stream.WEIGHTS, 2 * layer, fan_in * fan_out)
            weight = ((drawn * 2 - 1) * weight_bound).float().reshape(fan_out, fan_in)
            params.append(weight.T.contiguous()[None])
            bias = torch.zeros(fan_out, dtype=torch.float64)
            if self.init == "torch":
                drawn = uniform_table(seed, namespace, Stream.WEIGHTS, 2 * layer + 1, fan_out)
                bias = (drawn * 2 - 1) / math.sqrt(fan_in)
            params.append(bias.float()[None, None])
        return params

    def outputs(self, params: Params, statistics: Params, obs: Tensor, role: str) -> tuple[Tensor, Params]:
        """obs [L, B, *shape] float32 -> outputs [L, B, A * width]; a row's bits do not depend on the others."""
        obs = obs.flatten(2)
        if self.activation == "relu":
            return exact.layers(obs, params), statistics
        for weight, bias in zip(params[:-2:2], params[1:-2:2], strict=True):
            obs = exact.tanh(exact.affine(obs, weight, bias))
        return exact.affine(obs, params[-2], params[-1]), statistics

    def parameter_count(self, obs_shape: tuple[int, ...], num_actions: int, width: int = 1) -> int:
        """Weights and biases of one lane."""
        sizes = self._sizes(obs_shape, num_actions * width)
        return sum(fan_in * fan_out + fan_out for fan_in, fan_out in itertools.pairwise(sizes))

    def activation_count(self, obs_shape: tuple[int, ...], num_actions: int, width: int = 1) -> int:
        """Numbers of an observation and of the layers after it."""
        return sum(self._sizes(obs_shape, num_actions * width))

    def _sizes(self, obs_shape: tuple[int, ...], num_outputs: int) -> tuple[int, ...]:
        return math.prod(obs_shape), *self.units, num_outputs

    def named_weights(self, params: Params, statistics: Sequence[Tensor] = ()) -> dict[str, Tensor]:
        """The parameters of one lane ([1, ...] each) under the names and in the layout of a plain nn.Sequential (see `module`)."""
        named: dict[str, Tensor] = {}
        for layer, (weight, bias) in enumerate(zip(params[::2], params[1::2], strict=True)):
            named[f"{2 * layer}.weight"] = weight[0].T.contiguous()
            named[f"{2 * layer}.bias"] = bias[0, 0].clone()
        return named

    def module(self, *, obs_shape: tuple[int, ...], num_actions: int, width: int = 1) -> "torch.nn.Sequential":
        """The plain PyTorch module into which a run's stored weights load."""
        layers: list[torch.nn.Module] = []
        sizes = self._sizes(obs_shape, num_actions * width)
        for fan_in, fan_out in itertools.pairwise(sizes):
            layers += [
                torch.nn.Linear(fan_in, fan_out),
                torch.nn.ReLU() if self.activation == "relu" else torch.nn.Tanh(),
            ]
        named = {str(place): layer for place, layer in enumerate(layers[:-1])}
        flat = {"flatten": torch.nn.Flatten()} if len(obs_shape) > 1 else {}
        return torch.nn.Sequential(OrderedDict(flat | named))


@dataclasses.dataclass(frozen=True)
class UniformPolicy(Network):
    """No network: every action is drawn uniformly, in training and in evaluation. The floor of every comparison."""

    kind: ClassVar[str] = "uniform"
    learns: ClassVar[bool] = False

    def init_params(
        self, *, seed: int, namespace: int, obs_shape: tuple[int, ...], num_actions: int, width: int = 1
    ) -> Params:
        """There is nothing to learn."""
        return []

    def outputs(self, params: Params, statistics: Params, obs: Tensor, role: str) -> tuple[Tensor, Params]:
        """There are none."""
        raise TypeError("a uniform policy has no outputs")

    def named_weights(self, params: Params, statistics: Sequence[Tensor] = ()) -> dict[str, Tensor]:
        """There are no weights."""
        return {}

    def module(self, *, obs_shape: tuple[int, ...], num_actions: int, width: int = 1) -> "torch.nn.Sequential":
        """Nothing."""
        return torch.nn.Sequential()
