"""The registry of choices: members, bases, and variants in which every member and every flag occurs."""

import dataclasses
import importlib
import pkgutil
import typing
from typing import Any, ClassVar

import pytest

import rlbench.lanes.choices
from rlbench.lanes.choices import losses, registry
from rlbench.lanes.choices.bases import Loss
from rlbench.lanes.choices.choice import Choice, structural
from rlbench.lanes.choices.convolution import Conv
from rlbench.lanes.choices.losses import Huber, Squared
from rlbench.lanes.choices.networks import MLP
from rlbench.lanes.choices.observations import Pixel, State
from rlbench.lanes.choices.optimizers import SGD
from rlbench.lanes.choices.registry import CLASSES, bases_of, every_variant, is_own, small_variant
from rlbench.lanes.choices.variant import Budget, Diagnostics, Environment, Evaluation, Run, Variant, check_run


def flags_of(cls: Any) -> set[tuple[str, bool | str]]:
    """Every value of every flag of a class."""
    default = cls()
    values: set[tuple[str, bool | str]] = set()
    for field in dataclasses.fields(default):
        own = (True, False) if isinstance(getattr(default, field.name), bool) else field.metadata.get("allowed", ())
        values |= {(field.name, value) for value in own}
    return values


def test_every_member_and_every_flag_occurs() -> None:
    variants = [variant for _, variant in every_variant()]
    for group, members in CLASSES.items():
        for cls in members:
            of_it = [getattr(variant, group) for variant in variants if type(getattr(variant, group)) is cls]
            assert of_it
            found = {(name, getattr(choice, name)) for choice in of_it for name, _ in flags_of(cls)}
            assert found == flags_of(cls)
    assert {(name, getattr(one, name)) for one in variants for name, _ in flags_of(Variant)} == flags_of(Variant)


def test_names_tell_the_variants_apart() -> None:
    named = list(every_variant())
    assert len({name for name, _ in named}) == len(named) > 40
    assert dict(named)["optimizer=sgd optimizer.nesterov=true"].optimizer == SGD(nesterov=True, momentum=0.9)
    assert dict(named)["double=true"] == small_variant(double=True)


@pytest.mark.parametrize(("name", "variant"), [pytest.param(*one, id=one[0]) for one in every_variant()])
def test_each_of_them_is_a_possible_run(name: str, variant: Variant) -> None:
    check_run(Run(variant, Environment(), Budget(steps=60), Evaluation(period=30, episodes=2), Diagnostics(30), seed=0))


def test_a_class_of_ones_own_has_variants_too() -> None:
    """Its fields are small where those of its family are, and each of its flags is turned."""

    @dataclasses.dataclass(frozen=True)
    class Residual(MLP):
        gated: bool = structural(False, "whether the skips are gated")

    found = dict(every_variant({"network": [Residual]}))
    of_its_base = [
        name.replace("network=mlp", f"network={Residual.kind}") for name, _ in every_variant({"network": [MLP]})
    ]
    assert list(found) == [*of_its_base, f"network={Residual.kind} network.gated=true"]
    assert len(of_its_base) > 5
    assert [variant.network for variant in found.values()][-1] == Residual(units=(9, 7), gated=True)
    assert all(isinstance(variant.network, Residual) for variant in found.values())


def test_pixels_and_convolutions_come_together() -> None:
    assert isinstance(small_variant(network=Conv()).observation, Pixel)
    assert isinstance(small_variant(observation=Pixel()).network, Conv)
    assert (type(small_variant().network), type(small_variant().observation)) == (MLP, State)


def test_what_is_somebodys_own_is_known_by_its_class() -> None:
    @dataclasses.dataclass(frozen=True)
    class Squared2(Squared):
        pass

    assert is_own(Squared2)
    assert Squared2.kind.endswith(":" + Squared2.__qualname__)
    assert [is_own(cls) for cls in (Squared, Huber, Variant)] == [False, False, False]


@pytest.mark.parametrize("group", CLASSES)
def test_members_are_of_the_bases_of_their_group_and_of_no_other(group: str) -> None:
    for other, members in CLASSES.items():
        for cls in members:
            assert issubclass(cls, bases_of(group)) == (other == group)


@pytest.mark.parametrize("cls", [cls for members in CLASSES.values() for cls in members])
def test_a_member_has_all_that_its_base_asks_for(cls: type[Choice]) -> None:
    assert [name for name in dir(cls) if getattr(getattr(cls, name), "__isabstractmethod__", False)] == []


def test_no_class_of_a_group_is_left_out() -> None:
    """For want of a name, or because its module is not looked into."""
    bases = typing.get_type_hints(Variant)
    for module in pkgutil.iter_modules(rlbench.lanes.choices.__path__, "rlbench.lanes.choices."):
        for cls in vars(importlib.import_module(module.name)).values():
            if isinstance(cls, type) and cls.__module__ == module.name != "rlbench.lanes.choices.bases":
                groups = [group for group in CLASSES if issubclass(cls, bases[group])]
                assert all(cls in CLASSES[group] for group in groups), f"{cls} is no member of {groups}"


@pytest.mark.parametrize("group", CLASSES)
def test_a_name_stands_for_one_member(group: str) -> None:
    kinds = [cls.kind for cls in CLASSES[group]]
    assert len(set(kinds)) == len(kinds) >= 2


def test_a_class_beside_its_siblings_is_a_member_by_its_name_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has no name, or is of another module, is none."""

    @dataclasses.dataclass(frozen=True)
    class Named(Squared):
        kind: ClassVar[str] = "named"

    @dataclasses.dataclass(frozen=True)
    class Unnamed(Squared):
        pass

    members = registry.members(Loss)
    assert members == CLASSES["loss"]
    for cls in (Named, Unnamed):
        monkeypatch.setattr(losses, cls.__name__, cls, raising=False)
    assert registry.members(Loss) == members
    for cls in (Named, Unnamed):
        monkeypatch.setattr(cls, "__module__", losses.__name__)
    assert registry.members(Loss) == (*members, Named)
