"""Names of columns: ours as they stand, theirs by a mapping, and everything else one line."""

from pathlib import Path

import pytest
from foreign_files import write_csv

from rlbench.errors import ConfigError
from rlbench.evidence import read_evidence
from rlbench.evidence.columns import our_names, parse_columns


def test_a_mapping_is_read_in_hydras_grammar() -> None:
    text = "{algo: variant, game: env, score: final_return, my seed: seed}"
    assert parse_columns(text) == {"algo": "variant", "game": "environment", "score": "score", "my seed": "seed"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("variant", "columns= takes a mapping from their names to ours: columns='{algo: variant"),
        ("{}", "columns= takes a mapping"),
        ("{algo: variant", "columns= takes a mapping"),
        ("[algo, variant]", "columns= takes a mapping"),
        ("{a: variant},{a: seed}", "columns= takes a mapping"),
        ("{algo: varaint}", "columns={algo: varaint}: there is no column 'varaint'; did you mean 'variant'?"),
        ("{algo: {a: b}}", "there is no column"),
    ],
)
def test_any_other_mapping_is_one_line(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_columns(text)
    assert said in str(caught.value)
    assert str(caught.value).isprintable()


def test_our_own_names_need_no_mapping() -> None:
    assert our_names(["variant", "env", "seed", "env_steps", "episode_return"], None, "f") == [
        "variant",
        "environment",
        "seed",
        "step",
        "return",
    ]


def test_with_a_mapping_the_other_columns_are_left_aside_and_said(tmp_path: Path) -> None:
    rows = [("dqn", "E-v0", 7, 12.5, 3.1), ("ppo", "E-v0", 7, 13.5, 3.1)]
    path = write_csv(tmp_path / "scores.csv", rows, "algo,game,seed,score,wall\n")
    with pytest.raises(ConfigError, match=r"row 1: unknown column 'algo'.*other names: columns='\{algo: variant"):
        read_evidence(path)
    results = read_evidence(path, columns="{algo: variant, game: env, score: final_return}")
    assert results.runs[["variant", "env", "seed", "final_return"]].to_numpy().tolist() == [
        ["dqn", "E-v0", 7, 12.5],
        ["ppo", "E-v0", 7, 13.5],
    ]
    assert [finding.text for finding in results.reading.findings] == ["scores.csv: left aside the columns wall"]


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        ({"algorithm": "variant"}, "columns=: scores.csv has no column 'algorithm'; did you mean 'algo'?"),
        ({"algo": "variant", "game": "place"}, "columns={game: place}: there is no column 'place'"),
        ({"algo": "variant", "game": "variant"}, "row 1: the column 'variant' is there twice"),
        ({"algo": "variant"}, "row 1: the column 'environment' is missing"),
    ],
)
def test_a_mapping_that_does_not_fit_the_file_is_one_line(tmp_path: Path, mapping: dict[str, str], said: str) -> None:
    path = write_csv(tmp_path / "scores.csv", [("dqn", "E-v0", 12.5)], "algo,game,score\n")
    with pytest.raises(ConfigError) as caught:
        read_evidence(path, columns=mapping)
    assert said in str(caught.value)


def test_a_mapping_goes_before_a_column_of_our_own_name(tmp_path: Path) -> None:
    rows = [("dqn", "E-v0", 100.0, 1.5)]
    path = write_csv(tmp_path / "scores.csv", rows, "variant,env,score,normalised\n")
    results = read_evidence(path, columns="{normalised: score}")
    assert results.runs["final_return"].tolist() == [1.5]
