"""Which classes are the members of which group, and variants in which every member and every flag occurs.

A group is a field of `Variant` that holds a choice; its base class is the type of that field. A class of one of `MODULES` that derives
from that base and gives itself a `kind` is a member: configuration, specifications, help and the tests of exactness are made from here.
Knows nothing of Hydra, files or the command line.
"""

import dataclasses
import typing
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rlbench.lanes.choices import (
    clipping,
    convolution,
    distributions,
    estimators,
    exploration,
    losses,
    networks,
    observations,
    optimizers,
    prioritised,
    replay,
    returns,
    targets,
    validation,
)
from rlbench.lanes.choices.choice import Choice, choices_of
from rlbench.lanes.choices.convolution import Conv
from rlbench.lanes.choices.observations import Pixel
from rlbench.lanes.choices.optimizers import SGD
from rlbench.lanes.choices.variant import Variant

Members = tuple[type[Choice], ...]

# Where members are defined, in the order in which they are listed. A new module is added here; a class in one of these is not.
MODULES = (
    networks,
    convolution,
    losses,
    targets,
    optimizers,
    clipping,
    exploration,
    replay,
    prioritised,
    validation,
    observations,
    estimators,
    distributions,
    returns,
)


def members(base: type[Choice]) -> Members:
    """The classes of `MODULES` that derive from a group's base and have a name for configurations, in order of definition."""
    classes = [
        one
        for module in MODULES
        for one in vars(module).values()
        if getattr(one, "__module__", None) == module.__name__
    ]
    return tuple(one for one in classes if isinstance(one, type) and issubclass(one, base) and ":" not in one.kind)


# The type of every field of a variant, read once: it costs as much as a tenth of a plan's cell.
_TYPES: Mapping[str, Any] = typing.get_type_hints(Variant)

CLASSES: Mapping[str, Members] = {
    field.name: members(_TYPES[field.name])
    for field in dataclasses.fields(Variant)
    if isinstance(field.default, Choice)
}

# Groups whose members the engine tells apart by class: a class of one's own has to be one of them.
TOLD_APART = ("target", "validation", "observation")


def is_own(cls: type[Choice]) -> bool:
    """Whether a class of choices is somebody's own, and not a member that comes with rlbench."""
    return cls is not Variant and not any(cls in classes for classes in CLASSES.values())


def bases_of(group: str) -> Members:
    """The classes of which a class of one's own has to be one to be a choice of this group."""
    if group in TOLD_APART:
        return CLASSES[group]
    return (_TYPES[group],)


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
    """A small instance of a class: its defaults, and what it or its family says that a small one has instead."""
    return cls(**cls.small_fields)


def every_variant(classes: Mapping[str, Iterable[type[Choice]]] = CLASSES) -> Iterator[tuple[str, Variant]]:
    """Small variants in which each class occurs, and each value of each flag: what exactness has to be shown for.

    A flag is a field of truth values, or one with `allowed` values; one of them differs from the small instance at a time. Those of
    `Variant` itself come with its groups' own classes, not with `classes` of somebody's. Yields a name and the variant.
    """
    for group, own in classes.items():
        for cls in own:
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
