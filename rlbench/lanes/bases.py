"""What a choice of each group is: its base class, with the methods that the engine calls.

A group is a field of `Variant`, and its base class is the type of that field. A class of one's own derives from it, or from a member.
All methods are written for many lanes: a field declared by `number` is a tensor [L, 1] while lanes train, and no method may mix lanes.
"""

from abc import abstractmethod
from typing import Any, ClassVar

from rlbench.deferred import Tensor
from rlbench.lanes.choice import Choice

# The bases are not `abc.ABC`, whose instance check the compiler cannot trace; what is missing in a class is found when it is registered.


class Network(Choice):
    """What estimates action values. A network of one's own derives from `MLP` (states) or `Conv` (pixels) and overrides what it changes."""

    learns: ClassVar[bool] = True

    @abstractmethod
    def init_params(self, *args: Any, **sizes: Any) -> list[Tensor]:
        """Initial parameters of one lane, each [1, ...], from seed, namespace, num_actions and obs_size (pixels: obs_shape)."""

    @abstractmethod
    def named_weights(self, *args: Any, **kwargs: Any) -> dict[str, Tensor]:
        """The parameters of one lane ([1, ...] each) under the names of a plain PyTorch module."""


class Loss(Choice):
    """Loss of the temporal-difference error."""

    @abstractmethod
    def __call__(self, td_error: Tensor) -> Tensor:
        """td_error [L, B] float32 -> loss [L, B], element by element; the update averages it over the minibatch."""


class Target(Choice):
    """How the target network follows the online network. A rule of one's own derives from `Periodic` or `NoTarget`."""


class Optimizer(Choice):
    """How gradients change the weights. Numbers are float64, `powers` are running products of the numbers named in `power_names`."""

    precise: ClassVar[bool] = True
    power_names: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def slots(self, params: list[Tensor]) -> dict[str, list[Tensor]]:
        """The state before the first step: by name, a tensor for each of the parameters [L, ...]. Called with [] to count the slots."""

    @abstractmethod
    def step(
        self,
        params: list[Tensor],
        gradients: list[Tensor],
        slots: dict[str, list[Tensor]],
        powers: dict[str, Tensor],
    ) -> tuple[list[Tensor], dict[str, list[Tensor]], dict[str, Tensor]]:
        """New parameters, slots and powers, of the same shapes; parameters [L, i, o] float32, powers [L, 1] float64, 1 at first."""


class Clip(Choice):
    """What bounds a lane's gradient."""

    @abstractmethod
    def __call__(self, gradients: list[Tensor], norm: Tensor) -> list[Tensor]:
        """gradients [L, ...] each, and the lane's norm [L, 1] over all of them -> clipped, same shapes."""


class Exploration(Choice):
    """Probability of a random action over time. Numbers are float64."""

    precise: ClassVar[bool] = True

    @abstractmethod
    def epsilon(self, n: Tensor) -> Tensor:
        """n [L, K] float64 earlier actions -> probability of a random action [L, K] float64."""


class Replay(Choice):
    """Which stored transitions a minibatch takes. These fields size the memory and say when learning starts."""

    capacity: int
    warmup: int
    replacement: bool
    warmup_ends: str

    @abstractmethod
    def indices(self, words: Tensor, size: Tensor) -> Tensor:
        """Rows [N, B] int64 in [0, size) of N minibatches, from random words [N, B] int64 in [0, 2**32); size [N] int64."""


class Validation(Choice):
    """Episodes between those of training. A rule of one's own derives from `NoValidation` or `EpisodeValidation`."""


class Observation(Choice):
    """What the agent sees. An observation of one's own derives from `State` or `Pixel`."""
