"""The groups of choices, and the named variants and recipes as data."""

import dataclasses
import typing
from typing import Any

import pytest

import rlbench.lanes
from rlbench.config import groups, resolve, spec_of
from rlbench.config.composing import composing
from rlbench.lanes.choices.choice import Choice
from rlbench.lanes.choices.clipping import NoClip
from rlbench.lanes.choices.exploration import Linear
from rlbench.lanes.choices.losses import Huber, Squared
from rlbench.lanes.choices.networks import MLP, UniformPolicy
from rlbench.lanes.choices.optimizers import Adam
from rlbench.lanes.choices.replay import Uniform
from rlbench.lanes.choices.targets import NoTarget, Periodic
from rlbench.lanes.choices.variant import Budget, Environment, Evaluation, Run, Variant


def run_for(*words: str) -> Run:
    return resolve([*words, "seeds=1"]).planned[0].run


def test_every_choice_of_the_engine_is_a_member_of_a_group() -> None:
    classes = {cls for classes in groups.CLASSES.values() for cls in classes}
    assert rlbench.lanes  # all choices are imported by now
    bases = {base for group in groups.CLASSES for base in (typing.get_type_hints(Variant)[group],)}
    assert all(base.__module__ == "rlbench.lanes.choices.bases" for base in bases)
    assert {cls for cls in Choice.__subclasses__() if cls.__module__.startswith("rlbench.")} == {Variant, *bases}
    for base in bases:
        assert classes.issuperset(cls for cls in base.__subclasses__() if cls.__module__.startswith("rlbench."))


def test_the_groups_are_the_choices_that_a_variant_has() -> None:
    fields = [field.name for field in dataclasses.fields(Variant) if isinstance(getattr(Variant(), field.name), Choice)]
    assert list(groups.CLASSES) == fields


def test_members_are_the_kinds_and_the_presets() -> None:
    assert list(groups.members("optimizer")) == [cls.kind for cls in groups.CLASSES["optimizer"]]
    assert groups.members("target") == {
        "hard": Periodic(every=250, tau=1.0, unit="updates"),
        "soft": Periodic(every=1, tau=0.005, unit="updates"),
        "none": NoTarget(),
    }


def test_a_new_member_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    new = dataclasses.make_dataclass("Cubed", [], bases=(Squared,), frozen=True, namespace={"kind": "cubed"})
    monkeypatch.setitem(groups.CLASSES, "loss", (*groups.CLASSES["loss"], new))  # type: ignore[arg-type]
    with composing() as composer:
        assert composer.names["loss"] == tuple(cls.kind for cls in groups.CLASSES["loss"])
        assert composer.member("loss", "cubed") == {"kind": "cubed"}
        assert composer.base("variant", "hard_mse")["loss"] == {"kind": "mse"}


# What a member cannot do without.
COMPANIONS = {
    "pixel": ["network=conv"],
    "conv": ["observation=pixel"],
    "dqn2015": ["observation=pixel"],
    "c51": ["loss=cross_entropy"],
    "cross_entropy": ["estimator=c51"],
    "qr": ["loss=huber"],
}


@pytest.mark.slow
def test_all_members_compose_to_their_own_defaults() -> None:
    for group in groups.CLASSES:
        members = groups.members(group)
        planned = [resolve([f"{group}={name}", "seeds=1", *COMPANIONS.get(name, [])]).planned[0] for name in members]
        composed = [getattr(one.run.variant, group) for one in planned]
        assert composed == [choice.resolved(50_000) for choice in members.values()]


def differing(one: dict[str, Any], other: dict[str, Any]) -> set[str]:
    return {key for key in one if one[key] != other[key]}


def test_the_four_variants_differ_in_exactly_what_their_names_say() -> None:
    variants = {
        name: run_for(f"variant={name}").variant for name in ("hard_mse", "hard_huber", "soft_mse", "soft_huber")
    }
    as_dicts = {name: {f.name: getattr(v, f.name) for f in dataclasses.fields(v)} for name, v in variants.items()}
    for rule in ("hard", "soft"):
        assert differing(as_dicts[f"{rule}_mse"], as_dicts[f"{rule}_huber"]) == {"loss"}
    for loss in ("mse", "huber"):
        assert differing(as_dicts[f"hard_{loss}"], as_dicts[f"soft_{loss}"]) == {"target"}
    for name, variant in variants.items():
        assert variant.loss == (Huber(1.0) if "huber" in name else Squared())
        assert variant.target == (Periodic(1, 0.005, "updates") if "soft" in name else Periodic(250, 1.0, "updates"))


def test_the_variants_share_the_base_of_the_dataclasses() -> None:
    run = run_for("variant=hard_mse")
    assert dataclasses.replace(run.variant, exploration=Linear()) == Variant()
    assert run.variant.exploration == Linear(1.0, 0.05, decay_fraction=None, decay_steps=10_000)
    assert (run.env, run.budget, run.evaluation) == (Environment("CartPole-v1"), Budget(50_000), Evaluation(2_500, 10))


def test_random_is_the_base_without_a_network() -> None:
    base, random = (spec_of(run_for(f"variant={name}"))["variant"] for name in ("hard_mse", "random"))
    assert differing(base, random) == {"network"}
    assert run_for("variant=random").variant.network == UniformPolicy()


def test_the_cleanrl_recipe_has_the_published_hyperparameters() -> None:
    request = resolve(["recipe=cleanrl_cartpole"])
    assert request.definition["seeds"] == list(range(30))
    run = request.planned[0].run
    assert run == Run(
        variant=Variant(
            network=MLP(units=(120, 84), activation="relu", init="torch"),
            loss=Squared(),
            target=Periodic(every=500, tau=1.0, unit="steps"),
            optimizer=Adam(lr=2.5e-4, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0, amsgrad=False),
            clip=NoClip(),
            exploration=Linear(start=1.0, end=0.05, decay_fraction=None, decay_steps=250_000),
            replay=Uniform(capacity=10_000, warmup=10_000, replacement=True),
            double=False,
            discount=0.99,
            batch_size=128,
            update_period=10,
            updates_per_period=1,
            final_reward=None,
            bootstrap_on_truncation=True,
        ),
        env=Environment("CartPole-v1"),
        budget=Budget(steps=500_000),
        evaluation=Evaluation(period=25_000, episodes=10),
        diagnostics=run.diagnostics,
        seed=0,
    )


def test_a_member_replaces_all_that_a_recipe_says_of_its_group() -> None:
    variant = run_for("recipe=cleanrl_cartpole", "target=soft", "exploration=constant", "optimizer=adamw").variant
    assert variant.target == Periodic(every=1, tau=0.005, unit="updates")
    assert variant.exploration == groups.members("exploration")["constant"]
    assert variant.optimizer == groups.members("optimizer")["adamw"]
    assert (variant.batch_size, variant.network) == (128, MLP(units=(120, 84)))


def test_env_members_and_ids_lead_to_one_run() -> None:
    ids = {
        "cartpole": "CartPole-v1",
        "cartpole_v0": "CartPole-v0",
        "mountain_car": "MountainCar-v0",
        "acrobot": "Acrobot-v1",
    }
    for name, env_id in ids.items():
        by_name, by_id = resolve([f"env={name}", "seeds=1"]), resolve([f"env={env_id}", "seeds=1"])
        assert by_name.planned == by_id.planned
        assert by_name.definition["cells"][0]["env"] == env_id
