"""Which classes are the members of which group, and variants in which every member and every flag occurs.

A group is a field of `Variant` that holds a choice; its base class is the type of that field. Adding a class to `CLASSES` makes it a
member of its group under its `kind`: configuration, specifications, help and the tests of exactness are made from here.
Knows nothing of Hydra, files or the command line.
"""

import dataclasses
import functools
import typing
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rlbench.lanes.choices.choice import Choice, choices_of
from rlbench.lanes.choices.clipping import ClipNorm, ClipValue, NoClip
from rlbench.lanes.choices.convolution import Conv
from rlbench.lanes.choices.distributions import C51, QR
from rlbench.lanes.choices.estimators import Munchausen, Scalar
from rlbench.lanes.choices.exploration import Constant, Exponential, Linear, Multiplicative
from rlbench.lanes.choices.losses import CrossEntropy, Huber, Squared
from rlbench.lanes.choices.networks import MLP, UniformPolicy
from rlbench.lanes.choices.observations import Pixel, State
from rlbench.lanes.choices.optimizers import SGD, Adam, AdamW, RMSprop
from rlbench.lanes.choices.prioritised import Prioritised
from rlbench.lanes.choices.replay import Uniform
from rlbench.lanes.choices.returns import NStep, OneStep
from rlbench.lanes.choices.targets import NoTarget, Periodic
from rlbench.lanes.choices.validation import EpisodeValidation, NoValidation
from rlbench.lanes.choices.variant import Variant

Members = tuple[type[Choice], ...]

CLASSES: Mapping[str, Members] = {
    "network": (MLP, UniformPolicy, Conv),
    "loss": (Squared, Huber, CrossEntropy),
    "target": (Periodic, NoTarget),
    "optimizer": (Adam, AdamW, RMSprop, SGD),
    "clip": (NoClip, ClipValue, ClipNorm),
    "exploration": (Constant, Linear, Exponential, Multiplicative),
    "replay": (Uniform, Prioritised),
    "validation": (NoValidation, EpisodeValidation),
    "observation": (State, Pixel),
    "estimator": (Scalar, C51, QR, Munchausen),
    "returns": (OneStep, NStep),
}

# Groups whose members the engine tells apart by class: a class of one's own has to be one of them.
TOLD_APART = ("target", "validation", "observation")

# Small instances, so that a variant of them trains in seconds and still learns, moves its target and ends episodes.
SMALL: tuple[Choice, ...] = (
    MLP(units=(9, 7)),
    Conv(channels=(5, 7), kernels=(5, 3), strides=(2, 2)),
    Pixel(rows=17, columns=31, colour="grey"),
    Uniform(capacity=90, warmup=24),
    Prioritised(capacity=43, warmup=24, beta_fraction=None, beta_steps=60),
    Periodic(every=9),
    Linear(decay_fraction=None, decay_steps=60),
    Exponential(decay_steps=40.0),
    Multiplicative(factor=0.98),
    EpisodeValidation(max_env_steps=12),
    C51(atoms=7, v_min=-2.0, v_max=14.0),
    QR(quantiles=5),
)


def is_own(cls: type[Choice]) -> bool:
    """Whether a class of choices is somebody's own, and not a member that comes with rlbench."""
    return cls is not Variant and not any(cls in classes for classes in CLASSES.values())


def bases_of(group: str) -> Members:
    """The classes of which a class of one's own has to be one to be a choice of this group."""
    if group in TOLD_APART:
        return CLASSES[group]
    return (_types()[group],)


@functools.cache
def _types() -> Mapping[str, type[Choice]]:
    """The type of every field of a variant: reading its annotations costs as much as a tenth of a plan's cell."""
    return typing.get_type_hints(Variant)


def small_variant(**changes: Any) -> Variant:
    """The base of the variants below, with other fields: few units, a small replay, a warm-up of 24 steps. Made to fit where it must."""
    fields: dict[str, Any] = {group: small(type(getattr(Variant(), group))) for group in CLASSES}
    variant = dataclasses.replace(Variant(**fields, batch_size=8), **changes)
    sees_pixels, convolves = variant.observation.pixels is not None, variant.network.sees == "grids"
    if sees_pixels and not convolves and variant.network.learns:
        variant = dataclasses.replace(variant, network=small(Conv))
    if convolves and not sees_pixels:
        variant = dataclasses.replace(variant, observation=small(Pixel))
    for group in (one for one in ("estimator", "loss") if one not in changes):
        others = (dataclasses.replace(variant, **{group: small(cls)}) for cls in CLASSES[group])
        variant = next((one for one in (variant, *others) if _fits(one)), variant)
    optimizer = variant.optimizer
    if isinstance(optimizer, SGD) and optimizer.nesterov:
        variant = dataclasses.replace(variant, optimizer=dataclasses.replace(optimizer, momentum=0.9, dampening=0.0))
    return variant


def _fits(variant: Variant) -> bool:
    """Whether no choice of a variant refuses the others."""
    return all(choice.refused_beside(variant) is None for choice in choices_of(variant))


def small(cls: type[Choice]) -> Any:
    """A small instance of a class: its defaults, with the fields that a small instance of its family has."""
    family = next((one for one in SMALL if issubclass(cls, type(one))), None)
    known = dataclasses.fields(family) if family is not None else ()
    return cls(**{field.name: getattr(family, field.name) for field in known})


def every_variant(classes: Mapping[str, Iterable[type[Choice]]] = CLASSES) -> Iterator[tuple[str, Variant]]:
    """Small variants in which each class occurs, and each value of each flag: what exactness has to be shown for.

    A flag is a field of truth values, or one with `allowed` values; one of them differs from the small instance at a time. Those of
    `Variant` itself come with its groups' own classes, not with `classes` of somebody's. Yields a name and the variant.
    """
    for group, members in classes.items():
        for cls in members:
            name, choice = f"{group}={cls.kind}", small(cls)
            yield name, small_variant(**{group: choice})
            for flag, value in _flags(choice):
                changed = dataclasses.replace(choice, **{flag: value})
                yield f"{name} {group}.{flag}={str(value).lower()}", small_variant(**{group: changed})
    if classes is CLASSES:
        for flag, value in _flags(small_variant()):
            yield f"{flag}={str(value).lower()}", small_variant(**{flag: value})


def _flags(choice: Any) -> Iterator[tuple[str, bool | str]]:
    """Every flag of a choice with every other value than it has."""
    for field in dataclasses.fields(choice):
        value = getattr(choice, field.name)
        others = (True, False) if isinstance(value, bool) else field.metadata.get("allowed", ())
        yield from ((field.name, other) for other in others if other != value)
