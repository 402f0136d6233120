"""The answer on top: the direction that was seen, nothing bold that is not supported, the same everywhere."""

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from test_configuration import FACTORS, GRID
from written_runs import PlannedRun, write_store

from rlbench.reports.answer import answers_to
from rlbench.reports.answer_of_plans import pairs_of_study, study_answers
from rlbench.reports.document import legend_of, plain
from rlbench.reports.report import write_report
from rlbench.reports.summary import Summary, summarise
from rlbench.reports.terminal import answer_text

pytestmark = pytest.mark.usefixtures("blank_pictures")

PAIR = [{"family": "loss", "pairs": [["huber", "mse"]]}]


def runs_of(means: dict[str, float], num: int = 8, env: str = "CartPole-v1", **more: Any) -> list[PlannedRun]:
    """Runs around these means, with a spread of about 5 that is the same whatever the mean is."""
    noise = np.random.default_rng(3).normal(0, 5, (len(means), num))
    return [
        PlannedRun(variant, seed, {1000: [mean + noise[place, seed]]}, env=env, **more)
        for place, (variant, mean) in enumerate(means.items())
        for seed in range(num)
    ]


def summary_of(path: Path, runs: list[PlannedRun], **definition: Any) -> Summary:
    return summarise(write_store(path / "results", runs, final_window=1, **definition), "example")


def told(summary: Summary) -> list[tuple[str, bool]]:
    return [(plain(one.parts), one.is_decided) for one in answers_to(summary)]


def test_a_finding_is_told_in_the_direction_that_was_seen(tmp_path: Path) -> None:
    # Declared the wrong way round: huber was to be better than mse.
    summary = summary_of(tmp_path, runs_of({"huber": 100.0, "mse": 200.0}), comparisons=PAIR)
    ((sentence, is_decided),) = told(summary)
    noise = np.random.default_rng(3).normal(0, 5, (2, 8))
    mean = float(np.mean(100.0 + noise[1] - noise[0]))
    assert re.fullmatch(
        rf"mse beats huber by {mean:.1f} \[\d+\.\d, \d+\.\d\] on CartPole-v1 \(p 0\.008\)\.", sentence
    ), sentence
    assert is_decided


def test_what_is_not_decided_says_what_it_would_take_and_does_not_stand_out(tmp_path: Path) -> None:
    summary = summary_of(tmp_path, runs_of({"huber": 100.0, "mse": 101.0}), comparisons=PAIR, smallest_effect=2.0)
    (nothing, (sentence, is_decided)) = told(summary)
    assert nothing == (
        "Nothing is decided: no difference was shown, which does not show that there is none.",
        False,
    )
    assert re.fullmatch(
        r"\w+ against \w+ is not decided on CartPole-v1 \(\+\d\.\d+ \[-\d+\.\d, \d+\.\d\], p \d\.\d{3}\);"
        r" 8 seeds could show \d+\.\d+ or more, \d+ would show 2\.00\.",
        sentence,
    ), sentence
    assert not is_decided


def test_few_seeds_that_nothing_could_decide_say_so(tmp_path: Path) -> None:
    summary = summary_of(tmp_path, runs_of({"huber": 100.0, "mse": 200.0}, num=3), comparisons=PAIR)
    (_, (sentence, is_decided)) = told(summary)
    assert sentence.startswith("mse against huber is not decided")
    assert sentence.endswith("; 3 seeds cannot decide it, whatever they show, it takes 6.")
    assert not is_decided


def test_a_difference_shown_to_be_small_is_one_of_equals(tmp_path: Path) -> None:
    summary = summary_of(tmp_path, runs_of({"huber": 100.0, "mse": 100.5}), comparisons=PAIR, smallest_effect=40.0)
    ((sentence, is_decided),) = told(summary)
    assert re.match(r"\w+ and \w+ are as good as each other on CartPole-v1, to within ±40.0: ", sentence), sentence
    assert is_decided


def test_several_environments_begin_with_what_holds_everywhere(tmp_path: Path) -> None:
    both = runs_of({"huber": 100.0, "mse": 200.0}) + runs_of({"huber": -300.0, "mse": -200.0}, env="Acrobot-v1")
    ((sentence, is_decided),) = told(summary_of(tmp_path / "all", both, comparisons=PAIR))
    assert sentence.startswith("mse beats huber on both environments: by ")
    assert is_decided
    other = runs_of({"huber": 100.0, "mse": 200.0}) + runs_of({"huber": -200.0, "mse": -300.0}, env="Acrobot-v1")
    ((sentence, _),) = told(summary_of(tmp_path / "depends", other, comparisons=PAIR))
    assert sentence.startswith("It depends on the environment: ")
    assert "huber beats mse by" in sentence
    one = runs_of({"huber": 100.0, "mse": 200.0}) + runs_of({"huber": -200.0, "mse": -200.0}, env="Acrobot-v1")
    summary = summary_of(tmp_path / "one", one, comparisons=PAIR)
    ((sentence, is_decided),) = told(summary)
    assert is_decided
    assert not any(answer.stands_out for answer in answers_to(summary))
    assert sentence.startswith("Decided on 1 of 2 environments: mse beats huber by")
    assert "is not decided on Acrobot-v1" in sentence


def test_a_grid_is_answered_factor_by_factor_and_findings_come_first(tmp_path: Path) -> None:
    means = {name: 200.0 if "huber" in name else 100.0 for name in GRID}
    runs = [run for name, own in GRID.items() for run in runs_of({name: means[name]}, settings=own)]
    # The same noise in every cell would leave nothing to test: each has its own.
    noise = np.random.default_rng(5).normal(0, 4, len(runs))
    runs = [
        PlannedRun(run.variant, run.seed, {1000: [run.points[1000][0] + more]}, settings=run.settings)
        for run, more in zip(runs, noise, strict=True)
    ]
    summary = summary_of(tmp_path, runs, factors=FACTORS)
    sentences = told(summary)
    assert sentences[0][0].startswith("loss: huber beats mse by 9") or sentences[0][0].startswith(
        "loss: huber beats mse by 10"
    )
    assert [is_decided for _, is_decided in sentences] == sorted((d for _, d in sentences), reverse=True)
    assert any(sentence.startswith("target: ") and "is not decided" in sentence for sentence, _ in sentences)
    assert any("whether one depends on the other is not decided" in sentence for sentence, _ in sentences)


def test_what_nobody_declared_is_called_exploratory(tmp_path: Path) -> None:
    sentences = told(summary_of(tmp_path, runs_of({"huber": 100.0, "mse": 200.0})))
    assert sentences[0] == ("Exploratory, as nothing was declared:", False)
    assert sentences[1][0].startswith("mse beats huber by ")


def test_one_variant_and_no_run_have_an_answer_too(tmp_path: Path) -> None:
    alone = told(summary_of(tmp_path / "alone", runs_of({"mse": 100.0})))
    assert re.match(
        r"mse reaches a final return of a mean of \d+\.\d \[\d+\.\d, \d+\.\d\] on CartPole-v1 over 8 runs", alone[0][0]
    )
    nothing = told(summary_of(tmp_path / "nothing", [PlannedRun("a", 0, status="pending")]))
    assert nothing == [("No run is done yet: there is nothing to answer from.", False)]


def test_every_form_has_the_same_sentences_and_their_numbers_are_recorded(tmp_path: Path) -> None:
    results = write_store(
        tmp_path / "results", runs_of({"huber": 100.0, "mse": 200.0, "third": 200.0}), final_window=1,
        comparisons=[{"family": "loss", "pairs": [["huber", "mse"], ["third", "mse"]]}],
    )  # fmt: skip
    folder = write_report(results, "example", tmp_path / "out").parent
    summary = summarise(results, "example")
    sentences = told(summary)
    page, markdown = (folder / "report.html").read_text(), (folder / "report.md").read_text()
    top = page[: page.index("<section")]
    shown = [
        " ".join(re.sub(r"<[^>]*>", "", one).split()) for one in re.findall(r'<p class="(?:finding|open)">.*?</p>', top)
    ]
    assert shown == [sentence for sentence, _ in sentences]
    assert top.count('class="finding"') == 1
    assert '<figure role="group"' in top
    lead = markdown[: markdown.index("\n## ")].replace("\\", "")
    for sentence, is_decided in sentences:
        assert (f"- **{sentence}**" if is_decided else f"- {sentence}") in lead
    console = Console(file=io.StringIO(), width=300)
    console.print(answer_text(summary))
    legend = legend_of(answers_to(summary))
    assert legend
    assert console.file.getvalue().splitlines() == [*(sentence for sentence, _ in sentences), legend]  # type: ignore[attr-defined]
    assert f'<p class="legend">{legend}</p>' in top
    assert f"\n{legend}\n" in lead
    stats = json.loads((folder / "stats.json").read_text())["statistics"]
    source = stats["comparison/loss/CartPole-v1/huber against mse"]
    turned = stats["answer/mse against huber/CartPole-v1"]
    assert (turned["estimate"], turned["low"], turned["high"]) == (-source["estimate"], -source["high"], -source["low"])
    assert turned["p"] == source["p_adjusted"]


def test_no_claim_stands_out_that_is_not_supported(tmp_path: Path) -> None:
    results = write_store(tmp_path / "results", runs_of({"huber": 100.0, "mse": 101.0}), comparisons=PAIR)
    markdown = write_report(results, "example", tmp_path / "out").with_name("report.md").read_text()
    assert "huber is better than mse" in markdown
    assert "**huber is better than mse**" not in markdown


@pytest.mark.parametrize(
    ("verdict", "difference", "expected", "is_decided"),
    [
        ("supported", 12.0, "Tuning of dqn helped: trial 3 beats the untuned dqn by 12.0 [4.0, 20.0] on 10 fresh seeds (p 0.010).", True),
        ("inconclusive", 12.0, "Whether tuning of dqn helped is open: trial 3 against the untuned dqn is not decided (+12.0 [4.0, 20.0], p 0.010); 10 fresh seeds could show 30.0 or more.", False),
        ("opposite", -12.0, "Tuning of dqn did not help: the untuned dqn beats trial 3 by 12.0 [4.0, 20.0] on 10 fresh seeds (p 0.010).", True),
        ("inconclusive", None, "s: the tuned configuration and the untuned dqn have no fresh seeds to compare.", False),
    ],
)  # fmt: skip
def test_a_study_says_whether_tuning_helped(
    verdict: str, difference: float | None, expected: str, is_decided: bool
) -> None:
    sign = -1.0 if difference is not None and difference < 0 else 1.0
    low, high = sorted((sign * 4.0, sign * 20.0))
    compared = {
        "difference": difference,
        "low": low,
        "high": high,
        "adjusted_p": 0.01,
        "n": 10,
        "smallest_effect": 30.0,
        "verdict": verdict,
    }
    confirmed = {"winner": "trial 3", "candidates": [{"label": "trial 3", "against_default": compared}]}
    study = {"study": "s", "variant": "dqn", "confirmation": confirmed, "trials": []}
    study["definition"] = {"objective": {"metric": "final_return"}}
    record = {"studies": [study], "between_variants": []}
    (answer,) = study_answers(record)
    assert (plain(answer.parts), answer.is_decided, answer.stands_out) == (expected, is_decided, is_decided)
    assert pairs_of_study(record) == {frozenset(("dqn", "trial 3"))}
    study["definition"] = {"objective": {"metric": "auc"}}
    assert pairs_of_study(record) == set()
    if difference is not None:
        (answer,) = study_answers(record)
        assert "12.0 of auc [" in plain(answer.parts)
