"""What the commands make of a damaged store: a line for each thing, the rest as it is, and an exit code that says so."""

import json
import random
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rlbench import delete, play, report, results, show, sync, verify
from rlbench import list as list_command
from rlbench import run as run_module
from rlbench.store import Store
from tests.runner.commands import SMALL, digests, environment, kill, progress, run, start, wait_until

WORDS = ("variant=soft_huber,hard_huber", "seeds=2", "steps=800", *SMALL[1:], "evaluation.period=400")
COMMANDS: dict[str, tuple[Callable[[list[str]], int], list[str]]] = {
    "results": (results.main, ["format=csv"]),
    "report": (report.main, []),
    "verify": (verify.main, []),
    "sync": (sync.main, []),
    "play": (play.main, ["which=best", "variant=soft_huber", "frames=2"]),
}


def without_doubles(words: tuple[str, ...]) -> list[str]:
    return list({word.partition("=")[0]: word for word in words}.values())


EVERY = COMMANDS | {
    "list": (list_command.main, []),
    "show": (show.main, ["adhoc"]),
    "show a run": (show.main, ["{run_id}"]),
    "delete": (delete.main, ["{run_id}", "--yes"]),
    "dry run": (run_module.main, [*without_doubles(WORDS), "--dry-run"]),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "store"
    code, _, err = run(path, *without_doubles(WORDS))
    assert code == 0, err
    return path


@pytest.fixture
def store(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "store"))


Capture = pytest.CaptureFixture[str]


def do(command: str, store: Path, capfd: Capture, *more: str) -> tuple[int, str, str]:
    """A command in this process: a traceback would be an exception here."""
    main, words = COMMANDS[command]
    capfd.readouterr()
    code = main([f"store={store}", *words, *more])
    return code, *capfd.readouterr()


def a_part(store: Path, table: str) -> Path:
    return Store.open(store, create=False).parts(table)[0]


def spoil(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_names_a_damaged_part_and_exits_with_1(store: Path, capfd: Capture, command: str) -> None:
    part = a_part(store, "evaluations")
    spoil(part)
    code, out, err = do(command, store, capfd)
    assert "Traceback" not in err
    assert code == 1
    assert sum(str(part) in line for line in (out + err).splitlines()) == 1
    if command == "sync":
        assert "0 complete runs" in out
    if command == "results":
        assert out.count("\n") == 5  # the header and four runs, none of them with a result
        assert out.count("failed") == 4


@pytest.mark.parametrize("table", ["experiments", "members", "specs", "outcomes"])
@pytest.mark.parametrize("command", EVERY)
def test_no_command_is_silent_on_a_damaged_record(store: Path, capfd: Capture, command: str, table: str) -> None:
    run_id = Store.open(store, create=False).memberships()[0]["run_id"]
    part = a_part(store, table)
    spoil(part)
    main, words = EVERY[command]
    code = main([f"store={store}", *(word.format(run_id=run_id) for word in words)])
    out, err = capfd.readouterr()
    assert code == 1
    assert sum(str(part) in line for line in (out + err).splitlines()) == 1
    if command == "delete" and table != "outcomes":  # what belongs to what cannot be told
        assert "deleted" not in out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_leaves_a_stray_file_aside(store: Path, capfd: Capture, command: str) -> None:
    part = a_part(store, "episodes")
    strays = [part.with_name("backup.parquet"), part.with_name("0" * 19 + "1" + part.name[20:])]
    for stray in strays:
        shutil.copy(part, stray)
    before = do("results", store, capfd)[1]
    code, out, err = do(command, store, capfd)
    assert code == 1
    for stray in strays:
        assert sum(str(stray) in line for line in (out + err).splitlines()) == 1
        stray.unlink()
    assert do("results", store, capfd)[1] == before


@pytest.mark.parametrize("spoiled", ["cut", "empty", "grown", "lost", "flipped"])
def test_verify_names_a_damaged_weights_file_and_checks_the_others(store: Path, capfd: Capture, spoiled: str) -> None:
    first, second = sorted((store / "weights").iterdir())[:2]
    content = first.read_bytes()
    changes = {"cut": content[:-40], "empty": b"", "grown": content + b"more", "flipped": content[:-1] + b"?"}
    if spoiled == "lost":
        first.unlink()
    else:
        first.write_bytes(changes[spoiled])
    spoil(second)
    code, out, _ = do("verify", store, capfd)
    assert code == 1
    assert len(out.splitlines()) == 2
    assert str(first) in out
    assert str(second) in out


def test_verify_checks_everything_that_is_sealed(store: Path, capfd: Capture) -> None:
    (store / "studies").mkdir()
    (store / "studies" / "tuned.json").write_text('{"name": "tuned"')
    copy = sorted((store / "index").glob("*.copy.json"))[-1]
    spoil(copy)
    for table in ("members", "experiments", "specs"):
        spoil(a_part(store, table))
    code, out, err = do("verify", store, capfd)
    assert code == 1
    assert err == ""
    for name in ("tuned.json", copy.name, "tables/members", "tables/experiments", "tables/specs"):
        assert sum(name in line for line in out.splitlines()) == 1, name


def test_verify_says_once_what_was_written_before_there_were_checksums(store: Path, capfd: Capture) -> None:
    shutil.rmtree(store / "index")
    shutil.rmtree(store / "tables" / "starts")
    (store / "format.json").write_text('{"format": 1}')
    for command in ("results", "report"):
        code, _, err = do(command, store, capfd)
        assert (code, err) == (0, "")
    code, out, _ = do("verify", store, capfd)
    assert code == 0
    assert sum("before there were checksums" in line for line in out.splitlines()) == 1


def test_a_report_reads_no_file_outside_the_studies(store: Path, capfd: Capture) -> None:
    code, out, err = do("report", store, capfd, "experiment=../format")
    assert (code, out) == (2, "")
    assert "unknown experiment" in err


def test_a_run_with_a_damaged_checkpoint_begins_again(whole: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    words = [*without_doubles(WORDS), "checkpoint_seconds=0.05"]
    process = start(store, *words)
    wait_until(process, lambda: bool(progress(store)) and min(progress(store).values()) > 0)
    kill(process)
    spoiled = list((store / "checkpoints").iterdir())
    for path in spoiled:
        spoil(path)
    code, _, err = run(store, *words)
    assert code == 0, err
    told = err.replace("\n", "")  # a line as wide as the terminal
    assert any(f"{path} is damaged: " in told for path in spoiled)
    assert "begins again" in told
    assert digests(store) == digests(whole)
    assert verify.main([f"store={store}"]) == 0


def test_sync_removes_no_folder_that_is_not_its_own(store: Path, tmp_path: Path, capfd: Capture) -> None:
    victim = tmp_path / "victim"
    (victim / "scratch").mkdir(parents=True)
    (victim / "scratch" / "thesis.tex").write_text("x")
    run_id = sorted((store / "weights").iterdir())[0].name[:16]
    folder = store / "wandb" / "follower" / "offline"
    folder.mkdir(parents=True)
    lines = [
        {"run_id": run_id, "outcome": "failed x", "is_final": False, "num_rows": 1, "folder": name}
        for name in ("../../victim", str(victim), "..", ".")
    ]
    (folder / "mirrored.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (store / "wandb" / f"offline-run-20260101_000000-{run_id}").symlink_to(victim)
    (folder / "scratch").symlink_to(victim / "scratch")
    code, _, err = do("sync", store, capfd)
    assert code == 0, err
    assert "4 lines of" in err
    assert (victim / "scratch" / "thesis.tex").exists()
    assert not [path for path in (store / "wandb").rglob("*") if path.is_symlink() and not path.exists()]


def test_what_is_written_offline_can_be_copied_with_its_links(store: Path, tmp_path: Path, capfd: Capture) -> None:
    assert do("sync", store, capfd)[0] == 0
    shutil.copytree(store / "wandb", tmp_path / "copy", symlinks=False)  # raises for a dangling link, as `cp -L` does


@pytest.mark.parametrize("count", [12, pytest.param(120, marks=pytest.mark.slow)])
def test_no_flipped_bit_anywhere_ends_in_a_traceback(store: Path, capfd: Capture, count: int) -> None:
    """Of every kind of file that a store has; what the commands print is the same, or something is said."""
    assert do("sync", store, capfd)[0] == 0
    files = sorted(path for path in store.rglob("*") if path.is_file() and "offline-run" not in str(path))
    expected = do("results", store, capfd)
    draw = random.Random(8)
    for _ in range(count):
        path = draw.choice(files)
        content = path.read_bytes()
        if content:
            bit = draw.randrange(8 * len(content))
            path.write_bytes(content[: bit // 8] + bytes([content[bit // 8] ^ 1 << bit % 8]) + content[bit // 8 + 1 :])
        code, out, err = do("results", store, capfd)
        assert (code, out, err) == expected or (code in (1, 2) and err), path
        code, out, err = do("verify", store, capfd)
        assert code in (0, 1, 2), path
        path.write_bytes(content)


@pytest.mark.parametrize("table", ["runs", "diagnostics"])
def test_a_full_output_is_one_line_and_exit_code_4(store: Path, table: str) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    command = [sys.executable, "-m", "rlbench.results", f"store={store}", f"table={table}", "format=csv"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, env=environment(), check=False)
    assert done.returncode == 4
    assert done.stderr.splitlines() == ["python -m rlbench.results: cannot write the output: No space left on device"]


def test_a_full_disk_exits_with_4(tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk: it is met by the first checkpoint."""
    command = [sys.executable, "-m", "rlbench.run", f"store={tmp_path / 's'}", *without_doubles(WORDS), "workers=1"]
    command.append("checkpoint_seconds=0.05")
    done = subprocess.run(
        [*command, "wandb.mode=disabled", "report=false"],
        capture_output=True,
        text=True,
        env=environment(),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (12_000, 12_000)),
        check=False,
    )
    assert done.returncode == 4, done.stderr
    assert "File too large; what was published before stays readable" in done.stderr.splitlines()[-1]


def test_from_python_damage_is_a_warning(store: Path) -> None:
    spoil(a_part(store, "episodes"))
    with pytest.warns(UserWarning, match="is damaged"):
        found = run_module("soft_huber", seeds=1, store=store, name="again", **_settings())
    assert list(found.runs["status"]) == ["done"]


def _settings() -> dict[str, object]:
    pairs = (word.split("=") for word in without_doubles(WORDS)[2:])
    return {key.replace(".", "__"): json.loads(value) for key, value in pairs if key not in ("steps",)} | {
        "steps": 801,
        "workers": 1,
        "report": False,
    }
