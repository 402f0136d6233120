"""Networks over lanes: parameters are lists of tensors [lanes, ...], functions map observations to outputs.

Weights are [lanes, in, out], biases [lanes, 1, out].
"""

import dataclasses
import itertools
import math
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, ClassVar

from rlbench import exact
from rlbench.deferred import Tensor, torch
from rlbench.lanes.choices import heads
from rlbench.lanes.choices.bases import Network
from rlbench.lanes.choices.choice import number, structural
from rlbench.lanes.streams import Stream, uniform_table

Params = list[Tensor]


@dataclasses.dataclass(frozen=True)
class MLP(Network):
    """Fully connected network: hidden layers of `units`, linear head."""

    kind: ClassVar[str] = "mlp"
    small_fields: ClassVar = {"units": (9, 7)}
    units: tuple[int, ...] = structural((64, 64), "hidden layer widths", ">= 1")
    activation: str = structural("relu", "hidden activation", allowed=("relu", "tanh"))
    init: str = structural(
        "torch",
        "initial weights: PyTorch's nn.Linear default, Glorot, or uniform with a variance of init_scale over a fan",
        allowed=("torch", "glorot", "variance_scaling"),
    )
    init_scale: float = number(1.0, "scale of init=variance_scaling", "> 0", later=True)
    init_fan: str = structural(
        "fan_avg",
        "what init=variance_scaling divides by: inputs, outputs, or their mean",
        allowed=("fan_in", "fan_avg", "fan_out"),
        later=True,
    )
    head: str = structural("plain", heads.MEANING, allowed=tuple(heads.HEADS), later=True)
    noise: str = structural(
        "none",
        "noise in all weights: none, fresh for each minibatch and acting step, or frozen (one draw for the whole run, evaluation included)",
        allowed=("none", "fresh", "frozen"),
        later=True,
    )
    sigma0: float = number(0.5, "initial noise, times 1/sqrt(inputs of the layer)", "> 0", later=True)
    normalisation: str = structural(
        "none", "what comes between a hidden layer and its activation", allowed=("none", "layer"), later=True
    )
    obs_low: tuple[float, ...] = structural((), "observation that the network sees as -1; empty: unscaled", later=True)
    obs_high: tuple[float, ...] = structural((), "observation that the network sees as 1", later=True)

    def refused(self) -> str | None:
        """Bounds that are no bounds."""
        if len(self.obs_low) != len(self.obs_high):
            return (
                f"network.obs_low has {len(self.obs_low)} numbers and network.obs_high {len(self.obs_high)}: give both, one"
                " for each number of an observation"
            )
        for low, high in zip(self.obs_low, self.obs_high, strict=True):
            if low >= high:
                return f"network.obs_low must be below network.obs_high; got {low} and {high}"
        return None

    def doubted(self, run: Any) -> str | None:
        """Fresh noise in the weights explores already; frozen noise never does."""
        lasting, kind = run.variant.exploration.lasting, run.variant.exploration.kind
        if self.noise == "frozen" and not lasting:
            return f"network.noise=frozen explores nothing, and in the end no action is random beside it (exploration={kind})"
        if self.noise != "fresh" or not lasting:
            return None
        return (
            f"network.noise=fresh explores by itself, and {100 * lasting:g} % of the actions stay random beside it"
            f" (exploration={kind}); exploration=constant exploration.value=0 leaves the noise alone"
        )

    def refused_shape(self, obs_shape: tuple[int, ...], is_alone: bool) -> str | None:
        """Bounds of another number than an observation has."""
        size = math.prod(obs_shape)
        if len(self.obs_low) in (0, size):
            return None
        return f"network.obs_low and network.obs_high have {len(self.obs_low)} numbers, an observation here has {size}"

    @property
    def _is_noisy(self) -> bool:
        return self.noise != "none"

    @property
    def _head(self) -> heads.Head:
        return heads.HEADS[self.head]

    def _sizes(self, obs_shape: tuple[int, ...], num_actions: int, width: int) -> list[tuple[int, int]]:
        """Inputs and outputs of each linear layer: hidden ones, and those of the head."""
        sizes = (math.prod(obs_shape), *self.units)
        return [*itertools.pairwise(sizes), *self._head.sizes(sizes[-1], num_actions, width)]

    def init_params(
        self, *, seed: int, namespace: int, obs_shape: tuple[int, ...], num_actions: int, width: int = 1
    ) -> Params:
        """Initial parameters of one lane, each [1, ...]: drawn per layer in nn.Linear's order, so equal shapes get equal weights.

        Of each layer weight and bias, with noise also their sigmas, and of a hidden layer with normalisation that one's weight and bias.
        """
        params: Params = []
        for layer, (fan_in, fan_out) in enumerate(self._sizes(obs_shape, num_actions, width)):
            drawn = uniform_table(seed, namespace, Stream.WEIGHTS, 2 * layer, fan_in * fan_out)
            weight = ((drawn * 2 - 1) * self._weight_bound(fan_in, fan_out)).float().reshape(fan_out, fan_in)
            params.append(weight.T.contiguous()[None])
            bias = torch.zeros(fan_out, dtype=torch.float64)
            if self.init == "torch":
                drawn = uniform_table(seed, namespace, Stream.WEIGHTS, 2 * layer + 1, fan_out)
                bias = (drawn * 2 - 1) / math.sqrt(fan_in)
            params.append(bias.float()[None, None])
            if self._is_noisy:
                params += [torch.full_like(p, self.sigma0 / math.sqrt(fan_in)) for p in params[-2:]]
            if self.normalisation == "layer" and layer < len(self.units):
                params += [torch.ones(1, 1, fan_out), torch.zeros(1, 1, fan_out)]
        return params

    def _weight_bound(self, fan_in: int, fan_out: int) -> float:
        if self.init == "torch":
            return 1 / math.sqrt(fan_in)
        if self.init == "glorot":
            return math.sqrt(6 / (fan_in + fan_out))
        fan = {"fan_in": fan_in, "fan_avg": (fan_in + fan_out) / 2, "fan_out": fan_out}[self.init_fan]
        return math.sqrt(3 * self.init_scale / fan)

    def num_normals(self, params: Params) -> int:
        """With noise one for each input and each output of each layer."""
        return sum(sum(layer[0].shape[1:]) for layer in self._layers(params)) if self._is_noisy else 0

    @property
    def keeps_normals(self) -> bool:
        """Frozen noise is one draw."""
        return self.noise == "frozen"

    def _layers(self, params: Params) -> list[Params]:
        """The parameters of each linear layer, with those of the normalisation behind it."""
        layers: list[Params] = []
        linear, left = 4 if self._is_noisy else 2, list(params)
        while left:
            is_normed = self.normalisation == "layer" and len(layers) < len(self.units)
            size = linear + 2 * is_normed
            layers.append(left[:size])
            left = left[size:]
        return layers

    def _with_noise(self, layers: list[Params], normals: Tensor | None) -> list[Params]:
        """The weight and the bias of each layer in this pass."""
        from rlbench.lanes.choices.layers import factor

        if not self._is_noisy or normals is None:
            return [layer[:2] for layer in layers]
        sizes = [size for layer in layers for size in layer[0].shape[1:]]
        factors = factor(normals).split(sizes, 1)
        found: list[Params] = []
        for (weight, bias, of_weight, of_bias, *_), of_in, of_out in zip(
            layers, factors[::2], factors[1::2], strict=True
        ):
            noise = exact.kept(of_in[:, :, None] * of_out[:, None])
            found.append([weight + of_weight * noise, bias + of_bias * of_out[:, None]])
        return found

    def outputs(
        self, params: Params, statistics: Params, obs: Tensor, role: str, normals: Tensor | None = None
    ) -> tuple[Tensor, Params]:
        """obs [L, B, *shape] float32 -> outputs [L, B, A * width]; a row's bits do not depend on the others."""
        from rlbench.lanes.choices.layers import layer_norm, scaled

        x, layers = obs.flatten(2), self._layers(params)
        if self.obs_low:
            x = scaled(x, self.obs_low, self.obs_high)
        weights, ends = self._with_noise(layers, normals), len(self.units)
        widths = [bias.shape[2] for _, bias in weights[ends:]]
        if len(widths) > 1:  # one product for all layers of the head
            weights[ends:] = [[torch.cat(each, 2) for each in zip(*weights[ends:], strict=True)]]
        if self.activation == "relu" and self.normalisation == "none":
            x = exact.layers(x, [p for layer in weights for p in layer])
        else:
            for layer, weight in zip(layers, weights[:-1], strict=False):
                x = exact.affine(x, *weight)
                x = layer_norm(x, *layer[-2:]) if self.normalisation == "layer" else x
                x = torch.relu(x) if self.activation == "relu" else exact.tanh(x)
            x = exact.affine(x, *weights[-1])
        return self._head.outputs(x.split(widths, -1)), statistics

    def parameter_count(self, obs_shape: tuple[int, ...], num_actions: int, width: int = 1) -> int:
        """Weights and biases of one lane."""
        count = sum(fan_in * fan_out + fan_out for fan_in, fan_out in self._sizes(obs_shape, num_actions, width))
        return count * (1 + self._is_noisy) + 2 * (self.normalisation == "layer") * sum(self.units)

    def activation_count(self, obs_shape: tuple[int, ...], num_actions: int, width: int = 1) -> int:
        """Numbers of an observation and of the layers after it."""
        count = math.prod(obs_shape) + sum(out for _, out in self._sizes(obs_shape, num_actions, width))
        return count + (self.normalisation == "layer") * sum(self.units)

    def multiplications(self, obs_shape: tuple[int, ...], num_actions: int, width: int = 1) -> int:
        """Multiplications of a forward pass of one observation."""
        return sum(fan_in * fan_out for fan_in, fan_out in self._sizes(obs_shape, num_actions, width))

    def named_weights(self, params: Params, statistics: Sequence[Tensor] = ()) -> dict[str, Tensor]:
        """The parameters of one lane ([1, ...] each) under the names and in the layout of its plain module (see `module`)."""
        apart = 3 if self.normalisation == "layer" else 2
        last = apart * len(self.units)
        places = [str(place) for place in range(0, last, apart)]
        places += [f"{last}{layer}" for layer in self._head.layers]
        named: dict[str, Tensor] = {}
        for depth, (place, layer) in enumerate(zip(places, self._layers(params), strict=True)):
            for name, at in (("", 0), *((("_sigma", 2),) if self._is_noisy else ())):
                named[f"{place}.weight{name}"] = layer[at][0].T.contiguous()
                named[f"{place}.bias{name}"] = layer[at + 1][0, 0].clone()
            if self.normalisation == "layer" and depth < len(self.units):
                norm = apart * depth + 1
                named[f"{norm}.weight"], named[f"{norm}.bias"] = (p[0, 0].clone() for p in layer[-2:])
        return named

    def module(self, *, obs_shape: tuple[int, ...], num_actions: int, width: int = 1) -> "torch.nn.Sequential":
        """The plain PyTorch module into which a run's stored weights load; without noise, until it is given some."""
        from rlbench.lanes.choices.layers import NoisyLinear, Scaled

        sizes = self._sizes(obs_shape, num_actions, width)
        linear: list[torch.nn.Module] = [
            NoisyLinear(*size, self.sigma0) if self._is_noisy else torch.nn.Linear(*size) for size in sizes
        ]
        layers: list[torch.nn.Module] = []
        for layer, units in zip(linear, self.units, strict=False):
            norm = [torch.nn.LayerNorm(units)] if self.normalisation == "layer" else []
            layers += [layer, *norm, torch.nn.ReLU() if self.activation == "relu" else torch.nn.Tanh()]
        layers.append(self._head.module(linear[len(self.units) :], width))
        named = {str(place): layer for place, layer in enumerate(layers)}
        first: dict[str, torch.nn.Module] = {"flatten": torch.nn.Flatten()} if len(obs_shape) > 1 else {}
        first |= {"scaled": Scaled(self.obs_low, self.obs_high)} if self.obs_low else {}
        return torch.nn.Sequential(OrderedDict(first | named))

    def freeze(self, module: "torch.nn.Module", normals: Tensor) -> None:
        """The factors of each layer's inputs and outputs, in the order of the parameters."""
        from rlbench.lanes.choices.layers import NoisyLinear, factor

        layers = [layer for layer in module.modules() if isinstance(layer, NoisyLinear)]
        sizes = [size for layer in layers for size in (layer.in_features, layer.out_features)]
        factors = factor(normals).split(sizes)
        for layer, of_in, of_out in zip(layers, factors[::2], factors[1::2], strict=True):
            layer.noise = of_in, of_out


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

    def outputs(
        self, params: Params, statistics: Params, obs: Tensor, role: str, normals: Tensor | None = None
    ) -> tuple[Tensor, Params]:
        """There are none."""
        raise TypeError("a uniform policy has no outputs")

    def named_weights(self, params: Params, statistics: Sequence[Tensor] = ()) -> dict[str, Tensor]:
        """There are no weights."""
        return {}

    def module(self, *, obs_shape: tuple[int, ...], num_actions: int, width: int = 1) -> "torch.nn.Sequential":
        """Nothing."""
        return torch.nn.Sequential()
