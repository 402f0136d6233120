"""The port of conditional writes: what every place in which a store lies must do. An implementation's class inherits the tests."""

import threading
from abc import ABC, abstractmethod
from pathlib import Path

import pytest

from rlbench.errors import WriteError
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

    def test_what_is_not_there_is_none_and_may_be_deleted(self, objects: ConditionalStore) -> None:
        assert objects.read("leases/a") is None
        objects.delete("leases/a")
        assert objects.put("leases/a", b"x")
        objects.delete("leases/a")
        assert objects.names("leases") == []
        assert objects.put("leases/a", b"again")

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
