"""The networks of the DQN family in plain PyTorch, written from their papers: dueling heads, noisy layers, layer normalisation, scaling.

Parameters have the names under which weights are stored. Noise is that of the run, from `plain_philox`.
"""

import math

import torch
from plain_philox import stream_words
from torch import Tensor, nn

from rlbench.lanes.choices.networks import MLP

NOISE_STREAM = 8
PASSES = {"acting": 0, "learning": 1, "target": 2, "choosing": 3}


def normal_numbers(*, seed: int, namespace: int, step: int, which: str, count: int) -> list[float]:
    """Box and Muller (1958): two words make a radius and an angle, and these two independent normal numbers."""
    numbers: list[float] = []
    for block in range(math.ceil(count / 4)):
        index = PASSES[which] * 2**24 + block
        words = stream_words(seed=seed, namespace=namespace, stream=NOISE_STREAM, step=step, index=index)
        for of_radius, of_angle in (words[:2], words[2:]):
            radius, angle = math.sqrt(-2 * math.log((of_radius + 0.5) / 2**32)), 2 * math.pi * of_angle / 2**32
            numbers += [radius * math.cos(angle), radius * math.sin(angle)]
    return numbers[:count]


class Noisy(nn.Module):
    """Fortunato et al. (2018), factorised: w = mu + sigma * f(e_out) f(e_in)^T, b = mu_b + sigma_b * f(e_out)."""

    def __init__(self, fan_in: int, fan_out: int) -> None:
        super().__init__()
        self.weight, self.weight_sigma = (nn.Parameter(torch.zeros(fan_out, fan_in)) for _ in range(2))
        self.bias, self.bias_sigma = (nn.Parameter(torch.zeros(fan_out)) for _ in range(2))
        self.e_in, self.e_out = torch.zeros(fan_in), torch.zeros(fan_out)

    def forward(self, x: Tensor) -> Tensor:
        f_in, f_out = (e.sign() * e.abs().sqrt() for e in (self.e_in, self.e_out))
        weight = self.weight + self.weight_sigma * torch.outer(f_out, f_in)
        return x @ weight.T + self.bias + self.bias_sigma * f_out


class PlainNetwork(nn.Module):
    """One number for each action."""

    def __init__(self, choice: MLP, obs_size: int, num_actions: int) -> None:
        super().__init__()
        self.choice, linear = choice, Noisy if choice.noise != "none" else nn.Linear
        width, place = obs_size, 0
        for units in choice.units:
            self.add_module(str(place), linear(width, units))
            if choice.normalisation == "layer":
                self.add_module(str(place + 1), nn.LayerNorm(units))
            width, place = units, place + 2 + (choice.normalisation == "layer")
        heads = {"value": linear(width, 1), "advantage": linear(width, num_actions)}
        self.add_module(str(place), nn.ModuleDict(heads) if choice.head == "dueling" else heads["advantage"])

    def draw(self, *, seed: int, namespace: int, step: int, which: str) -> None:
        """New noise in all layers: hidden ones, advantage, value; in each the inputs' before the outputs'."""
        layers = [layer for name, layer in self.named_modules() if isinstance(layer, Noisy) and "value" not in name]
        layers += [layer for name, layer in self.named_modules() if isinstance(layer, Noisy) and "value" in name]
        count = sum(len(layer.e_in) + len(layer.e_out) for layer in layers)
        left = torch.tensor(normal_numbers(seed=seed, namespace=namespace, step=step, which=which, count=count))
        for layer in layers:
            layer.e_in, layer.e_out, left = left.split([len(layer.e_in), len(layer.e_out), len(left) - len(layer.e_in) - len(layer.e_out)])  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        if self.choice.obs_low:
            low, high = torch.tensor(self.choice.obs_low), torch.tensor(self.choice.obs_high)
            x = (x - low) / (high - low) * 2 - 1
        *hidden, last = self.children()
        for layer in hidden:
            is_next = isinstance(layer, nn.LayerNorm) or self.choice.normalisation == "none"
            x = layer(x)
            x = torch.relu(x) if is_next else x
        if not isinstance(last, nn.ModuleDict):
            q: Tensor = last(x)
            return q
        value, advantage = last["value"](x), last["advantage"](x)
        return value + (advantage - advantage.sum(1, keepdim=True) / advantage.shape[1])
