"""The port of conditional writes: what every place in which a store lies must do. An implementation's class inherits the tests."""

import threading
from abc import ABC, abstractmethod
from pathlib import Path

import pytest

from rlbench.errors import StoreError, WriteError
from rlbench.places import Url
from rlbench.store import files
from rlbench.store.conditional import STAGED, ConditionalStore, FolderStore


class ConditionalStoreContract(ABC):
    """The tests; `new_objects` opens the same place again and again, as other processes would."""

    @abstractmethod
    def new_objects(self, path: Path) -> ConditionalStore: ...

    @pytest.fixture
    def objects(self, tmp_path: Path) -> ConditionalStore:
        return self.new_objects(tmp_path)

    def test_a_name_is_given_once_and_keeps_what_it_names(self, objects: ConditionalStore, tmp_path: Path) -> None:
        assert objects.put("leases/a", b"first")
        assert not objects.put("leases/a", b"second")
        assert not self.new_objects(tmp_path).put("leases/a", b"first")
        assert objects.read("leases/a") == b"first"

    def test_names_are_those_of_a_folder_in_order(self, objects: ConditionalStore) -> None:
        for name in ("leases/b-2", "leases/a", "leases/b-10", "index/1"):
            assert objects.put(name, b"")
        assert objects.names("leases") == ["a", "b-10", "b-2"]
        assert objects.names("nothing") == []

    def test_names_are_seen_as_soon_as_they_are_given_and_taken_back(
        self, objects: ConditionalStore, tmp_path: Path
    ) -> None:
        other = self.new_objects(tmp_path)
        for count in range(3):
            assert other.names("leases") == objects.names("leases") == [f"{one}" for one in range(count)]
            objects.put(f"leases/{count}", b"x")
        other.delete("leases/1")
        assert objects.names("leases") == ["0", "2"]

    def test_what_is_not_there_is_none_and_may_be_deleted(self, objects: ConditionalStore) -> None:
        assert objects.read("leases/a") is objects.stat("leases/a") is None
        assert not objects.local("leases/a").exists()
        objects.delete("leases/a")
        assert objects.put("leases/a", b"x")
        objects.delete("leases/a")
        assert objects.names("leases") == []
        assert objects.put("leases/a", b"again")

    def test_what_is_written_is_read_whole_in_part_and_as_a_file(self, objects: ConditionalStore) -> None:
        objects.write("index/a.x", [b"first ", memoryview(b"second")])
        objects.flush("index")
        assert objects.read("index/a.x") == objects.local("index/a.x").read_bytes() == b"first second"
        assert objects.read("index/a.x", 5) == b"first"
        assert objects.stat("index/a.x").size == 12
        assert objects.local("index/a.x").name == "a.x"

    def test_the_file_is_of_what_has_the_name_now(self, objects: ConditionalStore, tmp_path: Path) -> None:
        objects.put("format.json", b"1")
        before, version = objects.local("format.json").read_bytes(), objects.stat("format.json")
        self.new_objects(tmp_path).replace("format.json", b"2")
        assert (before, objects.local("format.json").read_bytes()) == (b"1", b"2")
        assert objects.stat("format.json") != version

    def test_what_moves_takes_the_place_of_what_was_there_unless_it_has_gone(self, objects: ConditionalStore) -> None:
        objects.write(f"{STAGED}/a", [b"new"])
        objects.put("index/a", b"old")
        objects.move(f"{STAGED}/a", "index/a")
        assert objects.read("index/a") == b"new"
        with pytest.raises(WriteError, match="index/a"):
            objects.move(f"{STAGED}/a", "index/a")
        assert objects.read("index/a") == b"new"
        assert objects.names(STAGED) == []

    def test_looking_whether_it_can_be_written_leaves_nothing(self, objects: ConditionalStore) -> None:
        objects.check()
        objects.check_writable()
        assert objects.names(STAGED) == []

    def test_of_many_at_once_one_is_given_the_name(self, tmp_path: Path) -> None:
        all_there, given = threading.Barrier(8), list[int]()

        def put(number: int) -> None:
            own = self.new_objects(tmp_path)
            for name in range(20):
                all_there.wait()
                if own.put(f"index/{name}", f"{number}".encode() * 1000):
                    given.append(number)
                    assert own.read(f"index/{name}") == f"{number}".encode() * 1000

        threads = [threading.Thread(target=put, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(given) == 20


class TestFolder(ConditionalStoreContract):
    def new_objects(self, path: Path) -> ConditionalStore:
        for folder in (STAGED, "leases", "index"):
            (path / folder).mkdir(exist_ok=True)
        return FolderStore(path)

    def test_a_refused_name_leaves_nothing_behind(self, objects: ConditionalStore, tmp_path: Path) -> None:
        objects.put("leases/a", b"first")
        objects.put("leases/a", b"second")
        with pytest.raises(WriteError, match="cannot write"):
            objects.put("nowhere/a", b"x")
        assert list((tmp_path / STAGED).iterdir()) == []

    def test_a_link_whose_answer_was_lost_is_given(self, objects: ConditionalStore, tmp_path: Path) -> None:
        """As NFS does where the kernel asks again: the name is there, and it is ours."""
        source = tmp_path / STAGED / "on-its-way"
        source.write_bytes(b"mine")
        assert files.link(source, tmp_path / "leases" / "a")
        assert files.link(source, tmp_path / "leases" / "a")


class TestS3(ConditionalStoreContract):
    @pytest.fixture(autouse=True)
    def _in_a_bucket(self, bucket: str) -> None:
        self._bucket = bucket

    def new_objects(self, path: Path) -> ConditionalStore:
        from rlbench.store.object_store import ObjectStore

        return ObjectStore(Url(f"{self._bucket}/store"))

    def test_what_was_fetched_is_not_fetched_again(
        self, objects: ConditionalStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        objects.put("weights/a", b"x")
        path = objects.local("weights/a")
        monkeypatch.setattr(objects, "read", lambda name: pytest.fail("fetched again"))
        assert objects.local("weights/a") == path
        objects.delete("weights/a")
        assert not path.exists()

    def test_a_server_that_gives_a_name_twice_is_refused(
        self, objects: ConditionalStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(objects, "put", lambda name, data: True)
        with pytest.raises(StoreError, match="gives a name twice"):
            objects.check_writable()
