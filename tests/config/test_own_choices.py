"""Choices of one's own, `module:Class`: as good as a member wherever a member can be named, and refused in one line where they are wrong."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

import rlbench
from rlbench.config import HelpRequested, planned_runs, resolve, run_id, run_of, spec_of
from rlbench.config.cadence import DEFAULT_STEPS
from rlbench.config.changed_code import changed_code, changed_lines
from rlbench.config.keys import keys_of_choice
from rlbench.config.own_choices import class_of
from rlbench.config.plan import PlannedCell
from rlbench.config.sources import ChangedCodeError, source_digest
from rlbench.errors import ConfigError
from rlbench.lanes.choices.choice import Choice, structure
from rlbench.lanes.choices.losses import Huber
from rlbench.lanes.choices.variant import Run, Variant
from tests.config.own_modules import ALL, LOG_COSH, MEMBERS, Write


def run_for(*words: str) -> Run:
    return resolve([*words, "seeds=1"]).planned[0].run


def refusal(*words: str) -> str:
    with pytest.raises(ConfigError) as caught:
        resolve([*words, "seeds=1"])
    assert "\n" not in str(caught.value)
    return str(caught.value)


def source_of(run: Run, group: str = "loss") -> str:
    found: str = spec_of(run)["variant"][group]["source"]
    return found


@pytest.mark.parametrize("group", MEMBERS)
def test_every_group_takes_a_class(write: Write, group: str) -> None:
    name = f"{write('own_all', ALL)}:{MEMBERS[group]}"
    needs = ["network=conv"] if group == "observation" else []
    run = run_for(f"{group}={name}", *needs, "steps=2600")
    choice = getattr(run.variant, group)
    assert type(choice) is class_of(group, name)
    spec = json.loads(json.dumps(spec_of(run)))
    data = spec["variant"][group]
    assert (data["kind"], data["source"]) == (name, source_digest(type(choice)))
    assert set(data) == {"kind", "source", *(field.name for field in dataclasses.fields(choice))} - {
        field.name for field in dataclasses.fields(choice) if field.metadata.get("later")
    }
    assert run_of(spec) == run
    assert run_id(run_of(spec)) == run_id(run)


OWN_REPLAY = """
import dataclasses

from rlbench import structural
from rlbench.lanes.choices.replay import Uniform


@dataclasses.dataclass(frozen=True)
class Late(Uniform):
    warmup: int = structural(5_000, "transitions stored before the first update", ">= 1")
"""


def test_a_cadence_of_its_own_is_a_part_of_the_budget_by_its_own_default(write: Write, tmp_path: Path) -> None:
    name = f"{write('own_replay', OWN_REPLAY)}:Late"
    (tmp_path / "variant").mkdir()
    (tmp_path / "variant" / "late.yaml").write_text(f"defaults: [soft_mse, override /replay: '{name}']\n")
    for words in ([f"replay={name}"], [f"--config-dir={tmp_path}", "variant=late"]):
        assert run_for(*words).variant.replay.warmup == 5_000
        assert run_for(*words, f"steps={DEFAULT_STEPS // 10}").variant.replay.warmup == 500
        assert run_for(*words, "replay.warmup=0.5", "steps=3000").variant.replay.warmup == 1_500
    assert "replay.warmup must be a whole number" in refusal(f"replay={name}", "replay.warmup=1.5")


def test_its_fields_are_keys_and_factors(write: Write) -> None:
    name = f"{write('own_loss')}:LogCosh"
    assert run_for(f"loss={name}", "loss.scale=2").variant.loss.scale == 2.0
    request = resolve(["loss.scale=1,1e1", f"loss={name}", "seeds=2"])
    assert [cell["variant"] for cell in request.definition["cells"]] == [
        "hard_mse loss.scale=1",
        "hard_mse loss.scale=10",
    ]
    assert len({one.run_id for one in request.planned}) == 4
    cells = resolve([f"loss={name},mse", "seeds=1"]).definition["cells"]
    assert [cell["variant"] for cell in cells] == [f"hard_mse loss={name}", "hard_mse loss=mse"]


def test_a_member_by_the_name_of_its_class_is_that_member() -> None:
    by_class = run_for("loss=rlbench.lanes.choices.losses:Huber", "loss.delta=2")
    assert by_class == run_for("loss=huber", "loss.delta=2")
    assert spec_of(by_class)["variant"]["loss"] == {"kind": "huber", "delta": 2.0}


def test_a_class_that_a_package_passes_on_is_named_by_where_it_is_defined(write: Write) -> None:
    write("own_loss")
    write("own_package", "from own_loss import LogCosh\n")
    run = run_for("loss=own_package:LogCosh")
    assert spec_of(run)["variant"]["loss"]["kind"] == "own_loss:LogCosh"
    assert run_id(run) == run_id(run_for("loss=own_loss:LogCosh"))


def test_files_name_it_as_they_name_a_member(write: Write, tmp_path: Path) -> None:
    """Variants, recipes, experiments, and members of a folder of one's own that build on it."""
    name = f"{write('own_loss')}:LogCosh"
    files = {
        "variant/smooth.yaml": f"defaults:\n  - override /loss: {name}\nloss: {{scale: 2}}\ndouble: true\n",
        "recipe/ours.yaml": f"defaults:\n  - override /loss: {name}\nsteps: 5000\nseeds: 2\n",
        "loss/steep.yaml": f"defaults:\n  - {name}\n  - _self_\nscale: 0.5\n",
        "variant/steeper.yaml": "defaults:\n  - override /loss: steep\n",
        "experiment/which.yaml": f"variant: hard_mse\nset: {{loss: '{name}'}}\ngrid: {{loss.scale: [1, 4]}}\n",
    }
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    here = f"--config-dir={tmp_path}"
    cls: Any = class_of("loss", name)
    assert run_for(here, "variant=smooth").variant.loss == cls(scale=2.0)
    assert run_for(here, "variant=smooth", "loss.scale=3").variant.loss == cls(scale=3.0)
    assert run_for(here, "recipe=ours").variant.loss == cls()
    assert run_for(here, "variant=steeper").variant.loss == cls(scale=0.5)
    runs = [one.run for one in resolve([here, "experiment=which", "seeds=1"]).planned]
    assert [run.variant.loss for run in runs] == [cls(scale=1.0), cls(scale=4.0)]
    assert run_id(run_for(here, "variant=steeper")) == run_id(run_for(f"loss={name}", "loss.scale=0.5"))
    (tmp_path / "variant/smooth.yaml").write_text(files["variant/smooth.yaml"].replace("scale", "scael"))
    assert (
        refusal(here, "variant=smooth")
        == "variant=smooth: unknown key 'loss.scael'; did you mean 'scale'? (keys: loss.scale)"
    )
    (tmp_path / "variant/smooth.yaml").write_text(files["variant/smooth.yaml"].replace("scale: 2", "scale: wide"))
    assert "variant=smooth: loss.scale must be a finite number" in refusal(here, "variant=smooth")
    (tmp_path / "variant/smooth.yaml").write_text(files["variant/smooth.yaml"].replace("LogCosh", "LogCsh"))
    assert "module 'own_loss' has no 'LogCsh'; did you mean 'LogCosh'?" in refusal(here, "variant=smooth")


def test_python_takes_it_as_an_object(write: Write) -> None:
    cls: Any = class_of("loss", f"{write('own_loss')}:LogCosh")
    (planned,) = planned_runs([PlannedCell("smooth", Variant(loss=cls(scale=2)))], [0])
    assert planned.run_id == run_id(planned.run)
    assert (
        planned.run_id
        == resolve(["loss=own_loss:LogCosh", "loss.scale=2", "exploration=linear", "seeds=1"]).planned[0].run_id
    )
    for wrong, message in (
        (cls, "loss must be a choice such as Squared(); got <class 'own_loss.LogCosh'>"),
        ("huber", "loss must be a choice such as Squared(); got 'huber'"),
        (cls(scale="wide"), "loss.scale must be a finite number; got wide"),
        (cls(scale=-1), "loss.scale must be > 0; got -1"),
    ):
        with pytest.raises(ConfigError) as caught:
            planned_runs([PlannedCell("smooth", Variant(loss=wrong))], [0])
        assert str(caught.value) == message
    with pytest.raises(
        ConfigError, match=r"optimizer=own_loss:LogCosh is no optimizer: it has to derive from rlbench\.Optimizer"
    ):
        planned_runs([PlannedCell("smooth", Variant(optimizer=cls()))], [0])
    with pytest.raises(ConfigError, match=r"it is not what .* has as .*<locals>.*: define it at the top of a"):
        planned_runs([PlannedCell("local", Variant(loss=_local()))], [0])


def _local() -> Any:
    @dataclasses.dataclass(frozen=True)
    class Local(rlbench.Loss):
        def __call__(self, td_error: Any) -> Any:
            return td_error

    return Local()


def test_comments_do_not_make_another_run_and_code_does(write: Write) -> None:
    """The digest is of what the module says, and of the modules of the classes that its class derives from."""
    before = run_for(f"loss={write('own_loss')}:LogCosh")
    before_id, before_source = run_id(before), source_of(before)
    told = LOG_COSH.replace('    """log cosh."""\n\n', '    """Another docstring."""\n    # a comment\n\n\n').replace(
        "  # no overflow", ""
    )
    assert told != LOG_COSH
    write("own_loss", told)
    assert run_id(run_for("loss=own_loss:LogCosh")) == before_id
    with pytest.raises(ConfigError, match="take it from there again when that was loaded again"):
        run_id(before)
    write("own_loss", LOG_COSH.replace("math.log(2)", "math.log(2.0)"))
    after = run_for("loss=own_loss:LogCosh")
    assert source_of(after) != before_source
    assert run_id(after) != before_id
    derived = "import dataclasses\nfrom own_loss import LogCosh\n@dataclasses.dataclass(frozen=True)\nclass Wide(LogCosh):\n    pass\n"
    write("own_wide", derived)
    wide = source_of(run_for("loss=own_wide:Wide"))
    write("own_loss")
    write("own_wide", derived)
    assert source_of(run_for("loss=own_wide:Wide")) != wide


def test_classes_of_one_name_are_not_one_cohort(write: Write) -> None:
    """A program is compiled for a class and not for its name."""
    own = run_for(f"loss={write('own_huber', LOG_COSH.replace('LogCosh', 'Huber').replace('scale', 'delta'))}:Huber")
    assert type(own.variant.loss).__name__ == "Huber"
    assert structure(own.variant) != structure(run_for("loss=huber").variant)


def test_a_stored_run_whose_code_has_changed_is_named(write: Write) -> None:
    old = spec_of(run_for(f"loss={write('own_loss')}:LogCosh"))
    gone = spec_of(run_for(f"loss={write('own_gone')}:LogCosh"))
    plain = spec_of(run_for("loss=huber"))
    specs = {"a": old, "b": {**old, "seed": 1}, "c": gone, "d": plain}
    assert changed_code(specs) == {}
    write("own_loss", LOG_COSH.replace("-2", "-3"))
    write("own_gone", "raise RuntimeError('broken')\n")
    new = source_of(run_for("loss=own_loss:LogCosh"))
    assert changed_lines(changed_code({**specs, "e": spec_of(run_for("loss=own_loss:LogCosh"))})) == [
        "2 runs a, b: loss own_loss:LogCosh has changed since: its source has the digest"
        f" {new}, and had {old['variant']['loss']['source']}",
        "run c: loss=own_gone:LogCosh: module 'own_gone' does not import: RuntimeError: broken; a class of your own is written"
        " module:Class, with a module on the Python path",
    ]
    with pytest.raises(ChangedCodeError, match="has changed since"):
        run_of(old)
    del old["variant"]["loss"]["source"]
    with pytest.raises(ConfigError, match=r"the specification has no 'loss\.source'"):
        run_of(old)


HEAD = "import dataclasses\nimport rlbench\nfrom rlbench import number, structural\n"
CALL = "    def __call__(self, td_error):\n        return td_error\n"
FROZEN = "@dataclasses.dataclass(frozen=True)\n"
WRONG = {
    "class A(rlbench.Loss):\n"
    + CALL: "it is not a frozen dataclass: write @dataclasses.dataclass(frozen=True) above the class",
    "A = dataclasses.make_dataclass('B', [], bases=(rlbench.Loss,), frozen=True)\n": "it is not what 'types' has as 'B'",
    FROZEN
    + "class A(rlbench.Loss):\n    scale: float = 1.0\n"
    + CALL: "field 'scale' has no role: declare it by number(default,",
    FROZEN + "class A(rlbench.Loss):\n    scale: float\n" + CALL: "field 'scale' has no role",
    FROZEN + "class A(rlbench.Loss):\n    kind: str = structural('a', 'b')\n" + CALL: "it calls itself",
    FROZEN
    + "class A(rlbench.Loss):\n    source: str = structural('a', 'b')\n"
    + CALL: "field 'source' has a name that a specification",
    FROZEN
    + "class A(rlbench.Loss):\n    scale: dict = structural(None, 'b')\n"
    + CALL: "field 'scale' has a type that is not supported",
    FROZEN
    + "class A(rlbench.Loss):\n    scale: int | str = structural(1, 'b')\n"
    + CALL: "field 'scale' has a type that is not",
    FROZEN
    + "class A(rlbench.Loss):\n    scale: str = number('x', 'b')\n"
    + CALL: "field 'scale' is a number and may not be a text",
    FROZEN
    + "class A(rlbench.Loss):\n    scale: float = number(None, 'b')\n"
    + CALL: "field 'scale' has the default None",
    FROZEN
    + "class A(rlbench.Loss):\n    scale: float = number('x', 'b')\n"
    + CALL: "the default of loss.scale must be a finite",
    FROZEN
    + "class A(rlbench.Loss):\n    scale: float = number(-1, 'b', '> 0')\n"
    + CALL: "its defaults make none: scale must be > 0; got -1",
    FROZEN
    + "class A(rlbench.Loss):\n    scale: float = number(1, 'b', 'above 0')\n"
    + CALL: "its defaults make none: invalid syntax",
    FROZEN + "class A(rlbench.Loss):\n    scale: Missing = number(1, 'b')\n" + CALL: "name 'Missing' is not defined",
    FROZEN + "class A(rlbench.Loss):\n    pass\n": "it does not define __call__",
    FROZEN + "class A(rlbench.Clip):\n    pass\n": "is no loss: it has to derive from rlbench.Loss",
    "class A:\n    pass\n": "is no loss: it has to derive from rlbench.Loss",
    FROZEN
    + "class A(rlbench.Loss):\n    s: tuple[()] = structural((), 'b')\n"
    + CALL: "field 's' has a type that is not",
    "A = 3\n": "is no loss: it is not a class",
    "raise SystemExit\n": "does not import: SystemExit",
    "def f(:\n": "does not import: SyntaxError: invalid syntax",
}


@pytest.mark.parametrize(("text", "message"), WRONG.items(), ids=range(len(WRONG)))
def test_a_wrong_class_is_refused_in_one_line(write: Write, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        keys_of_choice("loss", f"{write('own_wrong', HEAD + text)}:A")
    assert str(caught.value).startswith("loss=")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_wrong_names_and_values_are_refused_in_one_line(write: Write) -> None:
    name = f"{write('own_loss')}:LogCosh"
    refusals = {
        ("loss=own_los:LogCosh",): "module 'own_los' does not import: ModuleNotFoundError: No module named 'own_los'",
        ("loss=own_loss:LogCsh",): "loss=own_loss:LogCsh: module 'own_loss' has no 'LogCsh'; did you mean 'LogCosh'?",
        ("loss=own_loss:",): "loss=own_loss:: a class of your own is written module:Class",
        ("loss=:LogCosh",): "a class of your own is written module:Class",
        ("loss=..own_loss:LogCosh",): "a class of your own is written module:Class",
        ("loss=own_loss:LogCosh:1",): "a class of your own is written module:Class",
        (f"clip={name}",): "clip=own_loss:LogCosh is no clip: it has to derive from rlbench.Clip",
        (f"network={name}",): "is no network: it has to derive from rlbench.Network",
        (f"loss={name}", "loss.scael=2"): "unknown key 'loss.scael'; did you mean 'scale'? (keys: loss.scale)",
        (f"loss={name}", "loss.scale=wide"): "loss.scale must be a finite number; got wide",
        (f"loss={name}", "loss.scale=0"): "loss.scale must be > 0; got 0.0",
        (
            f"loss={name}",
            "loss.delta=2",
        ): "'loss.delta' does not apply: loss=own_loss:LogCosh has no 'delta', only loss=huber",
        ("loss=huber", "loss.scale=2"): "unknown key 'loss.scale' (keys: loss.delta, loss.floor)",
    }
    for words, message in refusals.items():
        assert message in refusal(*words)


def test_what_a_class_says_to_its_values_is_said_in_one_line(write: Write) -> None:
    refuses = "\n    def __post_init__(self):\n        if self.scale > 5:\n            raise ValueError('too wide\\nfor this')\n"
    write("own_loss", LOG_COSH.rstrip() + "\n" + refuses)
    assert refusal("loss=own_loss:LogCosh", "loss.scale=6") == "loss=own_loss:LogCosh: too wide"


def test_a_replay_needs_the_fields_that_the_engine_asks_for(write: Write) -> None:
    text = (
        FROZEN
        + "class A(rlbench.Replay):\n    capacity: int = structural(9, 'b')\n    def indices(self, words, size):\n        return words\n"
    )
    assert "it has no field 'warmup', which the engine asks for" in refusal(
        f"replay={write('own_wrong', HEAD + text)}:A"
    )


def test_a_class_of_the_script_that_runs_is_refused() -> None:
    @dataclasses.dataclass(frozen=True)
    class Inline(Huber):
        pass

    Inline.__module__, Inline.__qualname__, Inline.kind = "__main__", "Inline", "__main__:Inline"
    with pytest.raises(ConfigError, match="it is in the script that runs, which worker processes cannot import"):
        spec_of(dataclasses.replace(run_for(), variant=Variant(loss=Inline())))


def test_help_says_that_every_group_takes_a_class() -> None:
    with pytest.raises(HelpRequested, match="also takes module:Class, a class of your own"):
        resolve(["--help"])


def test_an_object_that_is_no_choice_has_no_kind_of_a_member(write: Write) -> None:
    """A class that borrows the name of a member would be stored as that member."""
    text = HEAD + "from rlbench.lanes.choices.losses import Huber\n" + FROZEN + "class A(Huber):\n    kind = 'huber'\n"
    assert "it calls itself 'huber': leave `kind` out" in refusal(f"loss={write('own_wrong', text)}:A")
    assert Huber.kind == "huber"
    assert not hasattr(Choice, "kind")


OWN_RETURNS = (
    FROZEN
    + """class A(rlbench.Returns):
    columns = {columns}

    @property
    def num_steps(self):
        return 9

    def transition(self, steps):
        return steps[0]
"""
)


def test_own_transitions_of_several_steps_are_held_to_what_the_engine_can_do(write: Write) -> None:
    named = f"{write('own_returns', HEAD + OWN_RETURNS.format(columns=()))}:A"
    with pytest.raises(ConfigError, match=r"of 9 steps and needs replay\.warmup of at least 9"):
        resolve([f"returns={named}", "replay.warmup=8", "seeds=1"])
    assert resolve([f"returns={named}", "replay.warmup=9", "seeds=1"]).planned
    wrong = f"{write('own_columns', HEAD + OWN_RETURNS.format(columns=('is_last', 'explored')))}:A"
    with pytest.raises(ConfigError, match="it asks for a column 'explored' of rows; there is is_last beside the usual"):
        keys_of_choice("returns", wrong)
