"""Heads: what stands behind the last hidden layer of a network, and makes outputs of its features. What outputs mean is an estimator's.

A head has linear layers, each over all features, which the network draws, stores and multiplies like its others; here is how many there
are, what they are called, and how their results become outputs. A new one is a class here and an entry in `HEADS`.
"""

from collections.abc import Sequence
from typing import ClassVar

from rlbench.deferred import Tensor, nn


class Head:
    """The last layer alone: its results are the outputs."""

    meaning: ClassVar[str] = "outputs"
    layers: ClassVar[tuple[str, ...]] = ("",)
    """What stands behind the place of the head in the names of each layer's weights in the plain module."""

    def sizes(self, features: int, num_actions: int, width: int) -> list[tuple[int, int]]:
        """Inputs and outputs of each layer, for `width` outputs of each action."""
        return [(features, num_actions * width)]

    def outputs(self, results: Sequence[Tensor]) -> Tensor:
        """What the layers gave, each [..., its outputs], in; out [..., A * width]. In exact operations."""
        return results[0]

    def module(self, layers: Sequence["nn.Module"], width: int) -> "nn.Module":
        """The plain module of the head, with these plain layers."""
        return layers[0]


class DuelingHead(Head):
    """Value + advantage - the advantage's mean over actions (Wang et al., 2016, equation 9)."""

    meaning: ClassVar[str] = "value and advantage"
    layers: ClassVar[tuple[str, ...]] = (".advantage", ".value")

    def sizes(self, features: int, num_actions: int, width: int) -> list[tuple[int, int]]:
        """The advantage of each action, and the value."""
        return [(features, num_actions * width), (features, width)]

    def outputs(self, results: Sequence[Tensor]) -> Tensor:
        """Advantages and value to outputs."""
        from rlbench.lanes.choices.layers import dueling

        advantage, value = results
        return dueling(advantage, value)

    def module(self, layers: Sequence["nn.Module"], width: int) -> "nn.Module":
        """The same of one lane."""
        from rlbench.lanes.choices.layers import Dueling

        advantage, value = layers
        return Dueling(advantage, value, width)


HEADS = {"plain": Head(), "dueling": DuelingHead()}
MEANING = "the last layer: " + ", or ".join(f"{head.meaning} ({name})" for name, head in HEADS.items())
