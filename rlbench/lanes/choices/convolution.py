"""Convolutional Q-networks over lanes, with batch norm per lane.

Parameters are lists of tensors [lanes, ...] of three axes, as the optimisers have them: a convolution's weight [lanes, out, in * k * k]
and bias [lanes, 1, out], a batch norm's weight and bias [lanes, 1, channels], a hidden layer's weight [lanes, out, in] and bias, the head
[lanes, actions * width, in] and its bias. Running statistics are a list of their own: mean and variance [lanes, 1, channels] of each
batch norm.
Lanes are convolved one after the other: one lane's convolution fills a core, and so has the same bits in any company.
"""

import dataclasses
import itertools
import math
from typing import ClassVar

from rlbench import exact
from rlbench.deferred import F, Tensor, nn, torch
from rlbench.errors import ConfigError
from rlbench.lanes.choices import heads
from rlbench.lanes.choices.bases import Network
from rlbench.lanes.choices.choice import structural
from rlbench.lanes.choices.networks import Params
from rlbench.lanes.streams import Stream, uniform_table

MODES = ("training", "evaluation")


@dataclasses.dataclass(frozen=True)
class Conv(Network):
    """Convolutions with ReLU, hidden layers with ReLU, linear head. The defaults are those of PyTorch's DQN tutorial of 2019."""

    kind: ClassVar[str] = "conv"
    small_fields: ClassVar = {"channels": (5, 7), "kernels": (5, 3), "strides": (2, 2)}
    channels: tuple[int, ...] = structural((16, 32, 32), "output channels of the convolutions", ">= 1")
    kernels: tuple[int, ...] = structural((5, 5, 5), "kernel sizes of the convolutions", ">= 1")
    strides: tuple[int, ...] = structural((2, 2, 2), "strides of the convolutions", ">= 1")
    hidden: tuple[int, ...] = structural((), "widths of hidden layers between convolutions and head", ">= 1")
    batch_norm: bool = structural(True, "whether a batch norm follows each convolution")
    norm_learning: str = structural("training", "mode of the online network's batch norms in updates", allowed=MODES)
    norm_acting: str = structural(
        "evaluation",
        "mode of the online network's batch norms while it acts in training; in training mode an action changes the statistics",
        allowed=MODES,
    )
    norm_target: str = structural("evaluation", "mode of the target network's batch norms", allowed=MODES)
    head: str = structural("plain", heads.MEANING, allowed=tuple(heads.HEADS), later=True)

    sees: ClassVar[str] = "grids"
    lane_by_lane: ClassVar[bool] = True

    def sizes(self, shape: tuple[int, ...]) -> list[tuple[int, int, int]]:
        """Channels, rows and columns before and after each convolution. Raises ConfigError where one has no output."""
        if not len(self.channels) == len(self.kernels) == len(self.strides) > 0:
            raise ConfigError(
                "network.channels, network.kernels and network.strides must have one number for each convolution; got"
                f" {len(self.channels)}, {len(self.kernels)} and {len(self.strides)}"
            )
        channels, rows, columns = shape
        found = [(channels, rows, columns)]
        for layer, (channels, kernel, stride) in enumerate(zip(self.channels, self.kernels, self.strides, strict=True)):
            _, rows, columns = found[-1]
            if min(rows, columns) < kernel:
                raise ConfigError(
                    f"a patch of {shape[1]} x {shape[2]} leaves convolution {layer + 1} with {rows} x {columns} pixels for a"
                    f" kernel of {kernel}: it has no output; take larger observation.rows and observation.columns"
                )
            found.append((channels, (rows - kernel) // stride + 1, (columns - kernel) // stride + 1))
        return found

    @property
    def _head(self) -> heads.Head:
        return heads.HEADS[self.head]

    def features(self, shape: tuple[int, ...]) -> int:
        """Numbers that leave the convolutions."""
        return math.prod(self.sizes(shape)[-1])

    def refused_shape(self, obs_shape: tuple[int, ...], is_alone: bool) -> str | None:
        """Statistics over a single pixel; raises ConfigError where a convolution has no output."""
        _, rows, columns = self.sizes(obs_shape)[-1]
        if not self.batch_norm or rows * columns > 1:
            return None
        if self.norm_acting == "training":
            return (
                "network.norm_acting=training takes mean and variance over one patch, of which the last convolution leaves a"
                " single pixel: take larger observation.rows and observation.columns"
            )
        if is_alone and "training" in (self.norm_learning, self.norm_target):
            return (
                "batch norm in training mode takes mean and variance over a minibatch, here of one transition, of which the last"
                " convolution leaves a single pixel: take larger observation.rows and observation.columns"
            )
        return None

    def multiplications(self, obs_shape: tuple[int, ...], num_actions: int, width: int = 1) -> int:
        """Multiplications of a forward pass of one observation."""
        sizes = self.sizes(obs_shape)
        count = sum(
            math.prod(after) * before[0] * kernel * kernel
            for kernel, before, after in zip(self.kernels, sizes[:-1], sizes[1:], strict=True)
        )
        return count + sum(a * b for a, b in self._linear(obs_shape, num_actions, width))

    def _linear(self, obs_shape: tuple[int, ...], num_actions: int, width: int) -> list[tuple[int, int]]:
        """Inputs and outputs of the layers after the convolutions: hidden ones, and those of the head."""
        sizes = (self.features(obs_shape), *self.hidden)
        return [*itertools.pairwise(sizes), *self._head.sizes(sizes[-1], num_actions, width)]

    def init_params(
        self, *, seed: int, namespace: int, obs_shape: tuple[int, ...], num_actions: int, width: int = 1
    ) -> Params:
        """Initial parameters of one lane, each [1, ...]: drawn as PyTorch's defaults draw them, layer by layer."""
        sizes = self.sizes(obs_shape)
        params: Params = []
        linear = self._linear(obs_shape, num_actions, width)
        fans = [(out, size[0] * k * k) for out, k, size in zip(self.channels, self.kernels, sizes[:-1], strict=True)]
        for layer, (out, fan_in) in enumerate([*fans, *((out, fan_in) for fan_in, out in linear)]):
            bound = 1 / math.sqrt(fan_in)
            weight = uniform_table(seed, namespace, Stream.WEIGHTS, 2 * layer, out * fan_in)
            params.append(((weight * 2 - 1) * bound).float().reshape(1, out, fan_in))
            bias = uniform_table(seed, namespace, Stream.WEIGHTS, 2 * layer + 1, out)
            params.append(((bias * 2 - 1) * bound).float()[None, None])
            if self.batch_norm and layer < len(fans):
                params += [torch.ones(1, 1, out), torch.zeros(1, 1, out)]
        return params

    def init_statistics(self) -> Params:
        """Running statistics of one lane before anything was seen: mean 0 and variance 1 of each batch norm."""
        if not self.batch_norm:
            return []
        return [make(1, 1, out) for out in self.channels for make in (torch.zeros, torch.ones)]

    def mode(self, role: str) -> str:
        """The mode of the batch norms for whoever passes."""
        return {"learning": self.norm_learning, "target": self.norm_target, "acting": self.norm_acting}.get(
            role, "evaluation"
        )

    def outputs(
        self, params: Params, statistics: Params, obs: Tensor, role: str, normals: Tensor | None = None
    ) -> tuple[Tensor, Params]:
        """obs [L, B, C, rows, columns] float32 -> outputs [L, B, A * width], and the running statistics after it.

        In training mode each batch norm takes the mean and variance of this very minibatch, and the running ones move by a tenth.
        """
        mode = self.mode(role)
        lanes = [
            self._forward([p[lane] for p in params], [s[lane] for s in statistics], obs[lane], mode)
            for lane in range(obs.shape[0])
        ]
        values = torch.stack([value for value, _ in lanes])
        if mode == "evaluation" or not statistics:
            return values, statistics
        return values, [torch.stack(each) for each in zip(*(after for _, after in lanes), strict=True)]

    def _forward(self, params: Params, statistics: Params, x: Tensor, mode: str) -> tuple[Tensor, Params]:
        """The same for one lane: its parameters and statistics without the lanes' axis, x [B, C, rows, columns]."""
        from rlbench.lanes.choices.batch_norm import NormAndReLU, folded, running

        after: Params = []
        at = 0
        # In this order of memory the library's convolutions are fastest, and batch norms run along channels.
        x = x.contiguous(memory_format=torch.channels_last)
        for layer, (kernel, stride) in enumerate(zip(self.kernels, self.strides, strict=True)):
            weight, bias = params[at].view(-1, x.shape[1], kernel, kernel), params[at + 1]
            at += 2
            if not self.batch_norm:
                x = torch.relu(F.conv2d(x, weight, bias[0], stride))
                continue
            norm = params[at], params[at + 1]
            at += 2
            seen = statistics[2 * layer], statistics[2 * layer + 1]
            if mode == "evaluation":
                weight, bias = folded(weight, bias, *norm, *seen)
                x = torch.relu(F.conv2d(x, weight, bias[0], stride))
            else:
                x, mean, variance = NormAndReLU.apply(F.conv2d(x, weight, None, stride), *norm)
                after += running(seen, mean + bias, variance, x.numel() // x.shape[1])
        x = x.flatten(1)
        head = at + 2 * len(self.hidden)
        for weight, bias in zip(params[at:head:2], params[at + 1 : head : 2], strict=True):
            x = exact.affine(x[None], weight.T[None], bias[None], positive=True)[0]
        ends = [
            exact.affine(x[None], weight.T[None], bias[None])[0]
            for weight, bias in zip(params[head::2], params[head + 1 :: 2], strict=True)
        ]
        return self._head.outputs(ends), after

    def named_weights(self, params: Params, statistics: Params) -> dict[str, Tensor]:
        """Parameters and statistics of one lane ([1, ...] each) under the names of a plain nn.Sequential (see `module`)."""
        named: dict[str, Tensor] = {}
        left, at, channels = list(params), 0, 0
        for layer, kernel in enumerate(self.kernels):
            weight, bias = left.pop(0), left.pop(0)
            channels = weight.shape[2] // kernel**2
            named[f"{at}.weight"] = weight[0].reshape(-1, channels, kernel, kernel).clone()
            named[f"{at}.bias"] = bias[0, 0].clone()
            at += 1
            if self.batch_norm:
                named[f"{at}.weight"], named[f"{at}.bias"] = left.pop(0)[0, 0].clone(), left.pop(0)[0, 0].clone()
                named[f"{at}.running_mean"] = statistics[2 * layer][0, 0].clone()
                named[f"{at}.running_var"] = statistics[2 * layer + 1][0, 0].clone()
                at += 1
            at += 1  # ReLU
        at += 1  # flatten
        last = at + 2 * len(self.hidden)
        places = [*map(str, range(at, last, 2)), *(f"{last}{layer}" for layer in self._head.layers)]
        for place in places:
            named[f"{place}.weight"], named[f"{place}.bias"] = left.pop(0)[0].clone(), left.pop(0)[0, 0].clone()
        return named

    def module(self, *, obs_shape: tuple[int, ...], num_actions: int, width: int = 1) -> "nn.Sequential":
        """The plain PyTorch module into which a run's stored weights load."""
        layers: list[nn.Module] = []
        channels = obs_shape[0]
        for out, kernel, stride in zip(self.channels, self.kernels, self.strides, strict=True):
            layers.append(nn.Conv2d(channels, out, kernel, stride))
            layers += [nn.BatchNorm2d(out)] if self.batch_norm else []
            layers.append(nn.ReLU())
            channels = out
        layers.append(nn.Flatten())
        linear = [nn.Linear(*size) for size in self._linear(obs_shape, num_actions, width)]
        for layer in linear[: len(self.hidden)]:
            layers += [layer, nn.ReLU()]
        return nn.Sequential(*layers, self._head.module(linear[len(self.hidden) :], width))
