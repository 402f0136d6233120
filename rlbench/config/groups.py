"""The groups of choices and the names of their members, straight from the registry of the engine.

A member is a choice with the name that people type. Knows nothing of Hydra, files or the command line.
"""

from collections.abc import Mapping

from rlbench.lanes.choices.choice import Choice
from rlbench.lanes.choices.convolution import Conv
from rlbench.lanes.choices.registry import CLASSES
from rlbench.lanes.choices.targets import Periodic
from rlbench.lanes.choices.variant import Variant

# Members that are one class with different numbers; such a class has no member under its own kind.
PRESETS: Mapping[str, Mapping[str, Choice]] = {
    "network": {
        "conv": Conv(),
        # Mnih et al., "Human-level control through deep reinforcement learning", Nature 518 (2015).
        "dqn2015": Conv(channels=(32, 64, 64), kernels=(8, 4, 3), strides=(4, 2, 1), hidden=(512,), batch_norm=False),
    },
    "target": {
        "hard": Periodic(every=250, tau=1.0, unit="updates"),
        "soft": Periodic(every=1, tau=0.005, unit="updates"),
    },
}

MEANINGS: Mapping[str, str] = {
    "variant": "the algorithm: a named bundle of the choices below",
    "recipe": "in place of a variant: all that reproduces a published script",
    "env": "the environment: a member, any Gymnasium id, or module:Id-v0",
    "experiment": "a file that asks one question: a grid with its budget, seeds and comparisons",
    "observation": "what the agent sees",
    "network": "what estimates the action values",
    "loss": "loss of the temporal-difference error",
    "target": "how the target network follows the online network",
    "optimizer": "how gradients change the weights",
    "clip": "what bounds a lane's gradient",
    "exploration": "probability of a random action over time",
    "replay": "which stored transitions a minibatch takes",
    "estimator": "what the outputs of a network mean",
    "returns": "how many stored steps a transition is made of",
    "validation": "episodes between those of training that decide when to stop and what to keep",
}


def members(group: str) -> dict[str, Choice]:
    """The members of a group of choices by name, each with its own defaults."""
    presets = dict(PRESETS.get(group, {}))
    covered = {type(choice) for choice in presets.values()}
    return presets | {cls.kind: cls() for cls in CLASSES[group] if cls not in covered}


def default_member(group: str) -> str:
    """The member that `Variant` has when nothing else is said."""
    default = getattr(Variant(), group)
    return next(name for name, choice in members(group).items() if choice == default)


def members_of_kind(group: str, kind: str) -> list[str]:
    """The names of the members of one class; of a class of somebody's own its kind, which is what people type."""
    return [name for name, choice in members(group).items() if choice.kind == kind] or [kind]
