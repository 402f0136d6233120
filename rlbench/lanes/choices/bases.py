"""What a choice of each group is: its base class, with the methods that the engine calls.

A group is a field of `Variant`, and its base class is the type of that field. A class of one's own derives from it, or from a member.
All methods are written for many lanes: a field declared by `number` is a tensor [L, 1] while lanes train, and no method may mix lanes.
"""

import dataclasses
import functools
import math
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from rlbench.deferred import Tensor, nn, torch
from rlbench.lanes.choices.choice import Choice

if TYPE_CHECKING:
    from rlbench.lanes.choices.observations import Pixel
    from rlbench.lanes.choices.validation import EpisodeValidation

# The bases are not `abc.ABC`, whose instance check the compiler cannot trace; what is missing in a class is found when it is registered.


class Network(Choice):
    """What maps observations to outputs: `width` numbers for each action, of which the estimator knows the meaning.

    Observations have a shape, (D,) or (channels, rows, columns). `statistics` is what a network has beside its parameters and changes
    itself, such as the running means of batch norms; most have none.
    """

    learns: ClassVar[bool] = True
    sees: ClassVar[str] = "numbers"  # or "grids": which observations it takes
    # Whether lanes pass one after the other, each in a computation of its own, because one lane fills a core.
    lane_by_lane: ClassVar[bool] = False

    @abstractmethod
    def init_params(
        self, *, seed: int, namespace: int, obs_shape: tuple[int, ...], num_actions: int, width: int = 1
    ) -> list[Tensor]:
        """Initial parameters of one lane, each [1, ...] float32 of three axes, drawn from (seed, namespace)."""

    def init_statistics(self) -> list[Tensor]:
        """Statistics of one lane before anything was seen, each [1, ...] float32."""
        return []

    def num_normals(self, params: list[Tensor]) -> int:
        """How many normal numbers a pass draws, given parameters [L, ...]; most draw none."""
        return 0

    @property
    def keeps_normals(self) -> bool:
        """Whether its normal numbers are drawn once for a run, and given to every pass, evaluation included."""
        return False

    def freeze(self, module: "nn.Module", normals: Tensor) -> None:
        """Give its plain module the normal numbers [num_normals] that a run keeps."""
        raise TypeError(f"network={self.kind} keeps no normal numbers")

    @abstractmethod
    def outputs(
        self, params: list[Tensor], statistics: list[Tensor], obs: Tensor, role: str, normals: Tensor | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        """Observations [L, B, *shape] float32 -> outputs [L, B, A * width], and the statistics after this pass.

        role: who passes: "learning" or "target" in an update, "acting" in training, or "evaluation". normals: standard normal numbers
        [L, num_normals] float32, drawn for this pass alone, which a network that draws some gets in training, and not in evaluation; or
        those that it keeps.
        """

    @abstractmethod
    def named_weights(self, params: list[Tensor], statistics: list[Tensor]) -> dict[str, Tensor]:
        """Parameters and statistics of one lane ([1, ...] each) under the names of its plain PyTorch module."""

    @abstractmethod
    def module(self, *, obs_shape: tuple[int, ...], num_actions: int, width: int = 1) -> "nn.Module":
        """The plain PyTorch module into which a run's stored weights load: [N, *shape] -> [N, A * width]."""

    def refused_shape(self, obs_shape: tuple[int, ...], is_alone: bool) -> str | None:
        """What is wrong with observations of this shape, a line, or None. `is_alone`: minibatches have one transition."""
        return None

    # How large it is. These ask its plain module; a network that can tell without torch answers at once in a plan.

    def parameter_count(self, obs_shape: tuple[int, ...], num_actions: int, width: int = 1) -> int:
        """Weights and biases of one lane."""
        return sum(p.numel() for p in _weightless(self, obs_shape, num_actions, width).parameters())

    def activation_count(self, obs_shape: tuple[int, ...], num_actions: int, width: int = 1) -> int:
        """Numbers of an observation and of what linear layers make of it."""
        layers = _linear_layers(self, obs_shape, num_actions, width)
        return math.prod(obs_shape) + sum(layer.out_features for layer in layers)

    def multiplications(self, obs_shape: tuple[int, ...], num_actions: int, width: int = 1) -> int:
        """Multiplications of a forward pass of one observation, for the expected time."""
        return sum(layer.weight.numel() for layer in _linear_layers(self, obs_shape, num_actions, width))


def _linear_layers(network: Network, obs_shape: tuple[int, ...], num_actions: int, width: int) -> "list[nn.Linear]":
    module = _weightless(network, obs_shape, num_actions, width)
    return [layer for layer in module.modules() if type(layer) is nn.Linear]


@functools.cache
def _weightless(network: Network, obs_shape: tuple[int, ...], num_actions: int, width: int) -> "nn.Module":
    """The network's plain module without memory for its weights."""
    with torch.device("meta"):
        return network.module(obs_shape=obs_shape, num_actions=num_actions, width=width)


class Estimator(Choice):
    """What the outputs of a network mean: action values for whoever acts, a loss for whoever learns.

    Nobody else looks into outputs [L, B, A * width].
    """

    gives: ClassVar[str] = "errors"  # to its loss, which has to take the same
    looks_back: ClassVar[bool] = False  # whether its goal needs `Minibatch.target_outputs_tm1`

    @property
    def width(self) -> int:
        """Numbers for each action."""
        return 1

    @abstractmethod
    def values(self, outputs: Tensor) -> Tensor:
        """Outputs [..., A * width] -> action values [..., A], of which the largest is acted on."""

    @abstractmethod
    def goal(self, batch: "Minibatch", outputs_t: Tensor, a_t: Tensor) -> Tensor:
        """What the taken actions' outputs should have been [L, B, ...], given outputs_t [L, B, A * width] of the target network and the
        actions a_t [L, B] int64 that are taken to be next."""

    @abstractmethod
    def losses(self, loss: "Loss", outputs_tm1: Tensor, a_tm1: Tensor, goal: Tensor) -> tuple[Tensor, Tensor]:
        """The loss [L, B] of each transition, and its error [L, B], from the online network's outputs [L, B, A * width]."""


@dataclasses.dataclass(frozen=True)
class Minibatch:
    """What an update learns from. Time suffixes: `tm1` before the step, `t` after it."""

    obs_tm1: Tensor
    """[L, B, *shape] float32"""
    a_tm1: Tensor
    """[L, B] int64"""
    r_t: Tensor
    """[L, B] float32"""
    discount_t: Tensor
    """[L, B] float32: what the value of `obs_t` counts; 0 where nothing comes after"""
    obs_t: Tensor
    target_outputs_tm1: Tensor | None = None
    """[L, B, A * width] of the target network before the step, for an estimator that `looks_back`"""


class Loss(Choice):
    """Loss of the temporal-difference error, or of what else an estimator gives."""

    takes: ClassVar[str] = "errors"  # or "log_probabilities"

    @abstractmethod
    def __call__(self, td_error: Tensor) -> Tensor:
        """td_error [L, K] float32 -> loss [L, K], element by element; the update averages it over the minibatch."""


class Target(Choice):
    """How the target network follows the online network: target = lerp(target, online, tau) whenever the rule is due."""

    keeps_network: ClassVar[bool] = True  # False: the online network is its own target, and nothing below is asked
    tau: float
    unit: str

    @property
    def moves_after_updates(self) -> bool:
        """Whether the rule counts what only an update (or a validation) changes."""
        return False

    def count(self, counters: dict[str, Tensor]) -> Tensor:
        """How many of `unit` there were [L] int64, from the lanes' counters."""
        return counters[self.unit]

    def is_due(self, count: Tensor) -> Tensor:
        """Whether the target moves at this count [L] int64 -> [L] bool."""
        raise NotImplementedError

    def crossed(self, before: Tensor, after: Tensor) -> Tensor:
        """How many times it is due between two counts [L] int64 -> [L]."""
        raise NotImplementedError


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

    @property
    def lasting(self) -> float | None:
        """The probability that stays for ever, where that is a field; None where it is not known."""
        return None

    @abstractmethod
    def epsilon(self, n: Tensor) -> Tensor:
        """n [L, K] float64 earlier actions -> probability of a random action [L, K] float64."""


class Replay(Choice):
    """Which stored transitions a minibatch takes. These fields size the memory and say when learning starts.

    A replay that remembers nothing gives `indices`, which are drawn for many updates at once. One that `remembers`, such as errors of
    earlier updates, draws when an update is due: `draw`, after which it is told what was `learned`.
    """

    remembers: ClassVar[bool] = False
    capacity: int
    warmup: int
    replacement: bool
    warmup_ends: str

    @abstractmethod
    def indices(self, words: Tensor, size: Tensor) -> Tensor:
        """Rows [N, B] int64 in [0, size) of N minibatches, from random words [N, B] int64 in [0, 2**32); size [N] int64."""

    def memory(self) -> dict[str, Tensor]:
        """What one lane remembers beside its transitions, before the first one: tensors [1, ...], changed in place by the others."""
        return {}

    def stored(self, memory: dict[str, Tensor], newest: Tensor, complete: Tensor, where: Tensor) -> None:
        """A step of each lane was stored at row `newest` [L] int64; where [L] bool, the transition of row `complete` may be drawn now,
        which is the same row but for transitions of several steps."""

    def draw(
        self, memory: dict[str, Tensor], words: Tensor, size: Tensor, lanes: dict[str, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Rows [L, B] int64 in [0, size), and the weights of their losses [L, B] float32, from random words [L, B]; size [L] int64.

        lanes: the lanes' counters, such as `env_steps` [L].
        """
        return self.indices(words, size), torch.ones(words.shape)

    def learned(self, memory: dict[str, Tensor], index: Tensor, error: Tensor, due: Tensor) -> None:
        """Take notice of the errors [L, B] float32 of the rows [L, B] that lanes learned from where due [L] bool."""


STEP_COLUMNS = ("is_last",)  # numbers that a row may have beside the usual ones; is_last: an episode ended here


class Returns(Choice):
    """How stored steps become the transitions of a minibatch: one step each, or the sum of several.

    `num_steps` steps are looked at from each drawn row on; the newest `num_steps - 1` rows are never drawn.
    """

    columns: ClassVar[tuple[str, ...]] = ()  # of `STEP_COLUMNS`: what a row has beside the usual

    @property
    def num_steps(self) -> int:
        """Stored steps of a transition."""
        return 1

    def refused_beside(self, variant: Any) -> str | None:
        """There has to be a transition, and a minibatch of them, when learning starts."""
        replay, made = variant.replay, f"returns={self.kind} makes transitions of {self.num_steps} steps"
        if self.num_steps > replay.capacity:
            return f"{made}, more than replay.capacity {replay.capacity}: there would never be one"
        needed = self.num_steps - 1 + (1 if replay.replacement else variant.batch_size)
        if replay.warmup < needed:
            return f"{made} and needs replay.warmup of at least {needed}, for the first minibatch; got {replay.warmup}"
        return None

    @abstractmethod
    def transition(self, steps: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        """The columns of a transition from those of `num_steps` consecutive rows, each [L, B, *shape]; `discount_t` is that of one step."""


class Validation(Choice):
    """Episodes between those of training: none, or as `EpisodeValidation` has them, from which one of one's own derives."""

    @property
    def episodes(self) -> "EpisodeValidation | None":
        """The rule of these episodes, None where there are none."""
        return None


class Observation(Choice):
    """What the agent sees: the environment's own observation, or as `Pixel` has it, from which one of one's own derives."""

    @property
    def pixels(self) -> "Pixel | None":
        """How frames are made into what is seen, None where none are drawn."""
        return None
