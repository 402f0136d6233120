"""A store in S3: the same rows, weights and digests as in a folder, whoever stalls or trains beside; and places that cannot be a store's."""

import socket
import sys
from pathlib import Path
from typing import Any

import pytest
import store_toy
from store_toy import LONG, Toy, everything, record, taken_over
from test_earlier_formats import as_of_format_1

from rlbench.config.arguments import parse_arguments
from rlbench.errors import ConfigError, LeaseLostError, UnreachableError, WriteError
from rlbench.places import Url, beside, place_of
from rlbench.report import _stores
from rlbench.store import Store, audit, load, object_store
from rlbench.store.layout import layout_of
from rlbench.store.sweeping import strays
from tests.runner.commands import called

TOY = Toy((20, 30))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("whole")
    TOY.finish(path)
    return everything(path)


def check(url: str, whole: dict[str, Any]) -> None:
    store = Store.open(url)
    store.settle()
    assert everything(url) == whole
    assert audit(load(url)) == []
    assert strays(store.layout, store.index) == []
    assert store.index.read().writers == {}
    for folder in ("staging", "checkpoints", "claims", "leases"):
        assert store.layout.objects.names(folder) == [], folder


def finish(url: str) -> None:
    """Train to the end as somebody who has watched all leases for longer than they last."""
    with taken_over(url).program(TOY.run_ids) as program:
        TOY.train(program)


def test_a_store_is_the_same_as_in_a_folder(bucket: str, whole: dict[str, Any]) -> None:
    TOY.finish(f"{bucket}/a/b")
    check(f"{bucket}/a/b", whole)
    assert not Path("s3").exists()  # nothing lies beside it yet


@pytest.mark.parametrize("verb", ["put", *(pytest.param(verb, marks=pytest.mark.slow) for verb in ("write", "move"))])
def test_who_stalls_at_the_commit_that_ends_a_run_is_fenced(
    bucket: str, whole: dict[str, Any], monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    """Before its staged weights are written, behind its last look and before they are moved, and before the index."""
    url = f"{bucket}/store"
    store = Store.open(url)
    program = store.program(record(store, list(TOY.specs.values())), LONG)
    TOY.train(program, commits=1)
    objects, is_over = store.layout.objects, False
    original = getattr(objects, verb)

    def stalled(name: str, *rest: Any) -> Any:
        nonlocal is_over
        if not is_over and name.partition("/")[0] in ("staging", "index"):
            is_over = True
            finish(url)
        return original(name, *rest)

    monkeypatch.setattr(objects, verb, stalled)
    with pytest.raises(LeaseLostError, match=f"the lease on {url} is lost"):
        TOY.train(program)
    program.close()
    assert is_over
    check(url, whole)


def test_two_programs_at_once_lose_no_commit(bucket: str) -> None:
    url = f"{bucket}/store"
    Store.open(url)
    writers = [store_toy.start("train-own", url, 20, seed) for seed in ("0", "1")]
    assert [writer.wait(timeout=300) for writer in writers] == [0, 0]
    results = load(url)
    assert list(results.runs["status"]) == ["done"] * 2
    assert results.stored_digests(results.runs["run_id"]) == dict(results.runs[["run_id", "digest"]].to_numpy())
    assert len(Store.open(url).read_rows("outcomes")) == 2


def test_damage_is_named_where_it_lies(bucket: str) -> None:
    url = f"{bucket}/store"
    TOY.finish(url)
    store = Store.open(url)
    name = store.layout.part("episodes", store.index.read().of("episodes")[0].name)
    store.layout.objects.replace(name, b"something else")
    results = load(url)
    assert list(results.runs["status"]) == ["failed", "failed"]
    lost = f"{url}/{name} is damaged: it does not give its checksum; its rows are left out"
    assert results.store.damage.lines == [lost]


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("s3://key:secret@bucket/x", "an address holds no user, key or option"),
        ("s3://bucket/x?key=secret", "an address holds no user, key or option"),
        ("s3://bucket/../x", "of plain names"),
        ("s3://", "of plain names"),
        ("'s3://key:secret@bucket/x", "of plain names"),
        ("file:///tmp/x", "give a folder of this machine as a path"),
    ],
)
def test_an_address_holds_no_secret(address: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError, match=told) as raised:
        place_of(address)
    assert "secret" not in str(raised.value)
    for module, words in (("rlbench.run", ["variant=random"]), ("rlbench.results", []), ("rlbench.sync", [])):
        code, out, err = called(module, [f"store={address}", *words])
        assert (code, len(err.splitlines())) == (2, 1)
        assert told in err
        assert "secret" not in out + err


def test_what_lies_beside_a_store_has_a_local_folder(tmp_path: Path) -> None:
    place = place_of("S3://bucket/a/b/")
    assert isinstance(place, Url)
    assert (place, beside(place)) == ("s3://bucket/a/b", Path("s3/bucket/a/b"))
    assert beside(place_of(tmp_path)) == tmp_path


def test_a_report_joins_stores_of_both_kinds() -> None:
    argv = ["store=s3://bucket/a,results"]
    words = parse_arguments(argv, {"store": "results"}, prog="report", doc="")
    assert _stores(words["store"]) == [Url("s3://bucket/a"), Path("results")]


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("gs://bucket/x", "pip install 'gcsfs'"),
        ("memory://x", "memory:// does not give a name once only"),
        ("ftp://host/x", "ftp:// does not give a name once only"),
        ("nosuch://x", "nothing is known that reads nosuch://"),
    ],
)
def test_a_place_that_cannot_be_a_stores_is_one_line(address: str, told: str) -> None:
    if address.startswith("gs:") and "gcsfs" in sys.modules:
        pytest.skip("gcsfs is installed")
    code, _, err = called("rlbench.run", ["variant=random", "seeds=1", f"store={address}"])
    assert (code, len(err.splitlines())) == (2, 1)
    assert told in err


def test_a_bucket_that_is_not_there_is_one_line(bucket: str) -> None:
    code, _, err = called("rlbench.run", ["variant=random", "seeds=1", "store=s3://no-such-bucket/x"])
    assert (code, len(err.splitlines())) == (2, 1)
    assert "cannot write s3://no-such-bucket/x: The specified bucket does not exist" in err
    code, _, err = called("rlbench.results", ["store=s3://no-such-bucket/x"])
    assert (code, len(err.splitlines())) == (2, 1)


def test_an_address_that_does_not_answer_is_one_line(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")  # the client waits between them
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{closed.getsockname()[1]}")
        code, _, err = called("rlbench.run", ["variant=random", "seeds=1", f"store={bucket}/x"])
    assert (code, len(err.splitlines())) == (2, 1)
    assert f"cannot read {bucket}/x/format.json: " in err


def test_a_store_of_format_1_that_was_copied_there_has_nothing_missing(bucket: str, tmp_path: Path) -> None:
    """An object store has no folders that could be."""
    TOY.finish(tmp_path / "folder")
    as_of_format_1(tmp_path / "folder")
    objects = layout_of(f"{bucket}/store").objects
    for path in (tmp_path / "folder").rglob("*"):
        if path.is_file():
            objects.put(path.relative_to(tmp_path / "folder").as_posix(), path.read_bytes())
    store = Store.open(f"{bucket}/store", create=False)
    assert store.num_rows("episodes") == Store.open(tmp_path / "folder", create=False).num_rows("episodes") > 0
    assert store.damage.lines == []


def test_what_needs_a_folder_says_so(bucket: str) -> None:
    code, _, err = called("rlbench.delete", [f"store={bucket}/x", "small"])
    assert (code, len(err.splitlines())) == (2, 1)
    assert "folder" in err


def test_a_late_write_of_a_commit_that_was_given_up_counts_for_nothing(bucket: str, whole: dict[str, Any]) -> None:
    """The client hears nothing in time; the server goes on with what it was asked."""
    url = f"{bucket}/store"
    store = Store.open(url)
    program = store.program(record(store, list(TOY.specs.values())))
    TOY.train(program, commits=1)
    objects, late = store.layout.objects, list[tuple[str, bytes]]()
    put = objects.put

    def given_up(name: str, data: bytes) -> bool:
        if name.startswith("index/") and not late:
            late.append((name, data))
            raise WriteError("cannot write: Read timeout")
        return put(name, data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(objects, "put", given_up)
        with pytest.raises(WriteError, match="Read timeout"):
            TOY.train(program, commits=1)
    assert not put(*late[0])  # its number is another's
    program.close()
    TOY.finish(url)
    assert everything(url) == whole


def _answer(status: int) -> OSError:
    answered = OSError(5, "something")
    cause = Exception()
    cause.response = {"ResponseMetadata": {"HTTPStatusCode": status}}  # type: ignore[attr-defined]
    answered.__cause__ = cause
    return answered


def test_what_a_server_answers_is_taken_for_what_it_is(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_store, "CONFLICT_SECONDS", 0.0)
    objects = Store.open(f"{bucket}/store").layout.objects
    pipe, answers = objects._files.pipe_file, [409, 409]  # type: ignore[attr-defined]

    def answering(*args: Any, **options: Any) -> Any:
        if answers:
            raise _answer(answers.pop())
        return pipe(*args, **options)

    monkeypatch.setattr(objects._files, "pipe_file", answering)  # type: ignore[attr-defined]
    assert objects.put("leases/a", b"x")  # somebody was being given the name, and was not
    answers[:] = [412]
    assert not objects.put("leases/b", b"x")
    for status in (503, 500):
        answers[:] = [status]
        with pytest.raises(WriteError, match=r"cannot write .*leases/c"):
            objects.put("leases/c", b"x")
    assert objects.names("leases") == ["a"]


def test_what_cannot_be_fetched_now_is_no_damage(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"{bucket}/store"
    TOY.finish(url)
    store = Store.open(url, create=False)

    def silent(*_: Any) -> Any:
        raise TimeoutError("Read timeout")

    with monkeypatch.context() as patch:
        patch.setattr(store.layout.objects._files, "info", silent)  # type: ignore[attr-defined]
        with pytest.raises(UnreachableError, match="Read timeout"):
            store.final_runs()
    assert store.damage.lines == []
    assert store.final_runs() == set(TOY.run_ids)


def test_an_empty_folder_of_a_console_is_an_empty_place(bucket: str) -> None:
    Store.open(f"{bucket}/other").layout.objects._files.pipe_file(f"{bucket}/store/", b"")  # type: ignore[attr-defined]
    TOY.finish(f"{bucket}/store")
    store = Store.open(f"{bucket}/store")
    assert store.final_runs() == set(TOY.run_ids)
    assert "store" not in store.layout.objects.names("")
