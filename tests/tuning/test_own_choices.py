"""Studies over choices of one's own: their keys are parameters, and their code is part of what a study is."""

from pathlib import Path
from typing import Any

import pytest

from rlbench.config.own_choices import class_of
from rlbench.config.sources import source_digest
from rlbench.errors import ConfigError
from rlbench.store import load
from rlbench.tuning.study import differences
from tests.config.own_modules import LOG_COSH, Write, write
from tests.tuning.studies import request_of, study_of, trials_in

__all__ = ["write"]

OWN = "own_one:LogCosh"
CHANGED = LOG_COSH.replace("math.log(2)", "math.log(2.0)")
EITHER: dict[str, Any] = {
    "loss": ["mse", OWN],
    "loss.scale": {"log": ["0.1", "10"], "when": {"loss": OWN}},
}
ALWAYS: dict[str, Any] = {"loss.scale": {"log": ["0.1", "10"]}}
SET = {"network.units": [16, 16], "replay.warmup": 100, "replay.capacity": 1000, "update_period": 4, "batch_size": 16}


def refusal(folder: Path, **changes: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        request_of(folder, **changes)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_its_fields_are_parameters_where_it_is_chosen(write: Write, tmp_path: Path) -> None:
    write("own_one")
    with study_of(tmp_path, space=EITHER) as (study, composer):
        cls: Any = class_of("loss", OWN)
        assert study.cell({"loss": OWN, "loss.scale": 2.0}, "", composer).variant.loss == cls(scale=2.0)
        assert study.cell({"loss": "mse"}, "", composer).variant.loss.kind == "mse"
        assert study.definition()["sources"] == {OWN: source_digest(cls)}
    with study_of(tmp_path, space=ALWAYS, set={**SET, "loss": OWN}) as (study, composer):
        assert study.cell({"loss.scale": 3.0}, "", composer).variant.loss == cls(scale=3.0)
        assert study.definition()["run"]["variant"]["loss"]["source"] == source_digest(cls)
        assert "sources" not in study.definition()


def test_wrong_spaces_are_refused_in_one_line(write: Write, tmp_path: Path) -> None:
    write("own_one")
    scael = {**EITHER, "loss.scael": EITHER["loss.scale"]}
    del scael["loss.scale"]
    assert "unknown key 'loss.scael'; did you mean 'scale'? (keys: loss.delta, loss.floor, loss.scale)" in refusal(
        tmp_path, space=scael
    )
    assert "unknown key 'loss.scale' (keys: loss.delta, loss.floor)" in refusal(tmp_path, space=ALWAYS)
    gone = {"loss": ["mse", "own_one:LogCsh"]}
    assert "module 'own_one' has no 'LogCsh'; did you mean 'LogCosh'?" in refusal(tmp_path, space=gone)
    low = {**EITHER, "loss.scale": {"float": ["0", "1"], "when": {"loss": OWN}}}
    assert "loss.scale must be > 0; got 0.0" in refusal(tmp_path, space=low)


@pytest.mark.parametrize(("space", "fixed"), [(EITHER, {}), (ALWAYS, {"loss": OWN})], ids=["chosen", "always"])
def test_changed_code_is_another_study(
    write: Write, tmp_path: Path, space: dict[str, Any], fixed: dict[str, str]
) -> None:
    write("own_one")
    with study_of(tmp_path, space=space, set={**SET, **fixed}) as (study, _):
        before = study.definition()
    write("own_one", CHANGED)
    with study_of(tmp_path, space=space, set={**SET, **fixed}) as (study, _):
        (told,) = differences(before, study.definition())
    assert told.startswith("run.variant.loss.source (" if fixed else f"sources.{OWN} (")


def test_a_study_is_tuned_confirmed_and_not_continued_with_other_code(
    write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The winner's file names the class and its code, and is a variant of anybody's who has both."""
    from rlbench.run import main as train
    from rlbench.tune import main
    from tests.tuning.studies import write_study

    write("own_one")
    small = {"steps": 500, "trials": 3, "confirm": {"top": 1, "seeds": 6}, "sampler": "random", "pruner": "none"}
    write_study(tmp_path, space=ALWAYS, set={**SET, "loss": OWN}, **small)
    store = tmp_path / "store"
    own = ["study=tiny", f"--config-dir={tmp_path}", f"store={store}", "lanes=8", "workers=1", "wandb.mode=disabled"]
    assert main(own) == 0
    scales = {trial.params["loss.scale"] for trial in trials_in(f"sqlite:///{store}/studies/optuna.db")}
    specs = load(store).experiment("tiny.tuning").specs()
    assert {spec["variant"]["loss"]["scale"] for spec in specs.values() if spec["namespace"] == "tune"} == scales
    text = (store / "studies/tiny.yaml").read_text()
    assert f"override /loss: '{OWN}'" in text or f"override /loss: {OWN}" in text
    words = ["variant=study:tiny", f"store={store}", "--dry-run", "seeds=1", "steps=3000"]
    capsys.readouterr()
    assert train(words) == 0
    write("own_one", CHANGED)
    capsys.readouterr()
    assert main([*own, "trials=4"]) == 2
    assert "study 'tiny' exists and differs in run.variant.loss.source (" in capsys.readouterr().err
    assert train(words) == 2
    assert f"loss {OWN} has changed since" in capsys.readouterr().err
