import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from hiddenstates.core import files
from hiddenstates.core.errors import LabError
from hiddenstates.core.files import first_of_content, fresh_folder, replace_folder, whole_folder


def test_files_of_equal_content_go_by_the_first_one(tmp_path: Path) -> None:
    for name, content in {"b": "same", "a": "other", "copy": "same"}.items():
        (tmp_path / name).write_text(content)
    names = ["b", "a", "gone", "copy", "lost"]
    first = {"b": "b", "a": "a", "gone": "gone", "copy": "b", "lost": "lost"}  # of a missing file nothing is known
    assert first_of_content({name: tmp_path / name for name in names}) == first


def test_a_folder_is_written_whole(tmp_path: Path) -> None:
    target = tmp_path / "index"
    for content in ("old", "new"):
        with whole_folder(target) as folder:
            (folder / content).touch()
            assert not (target / content).exists()
    assert [path.name for path in target.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_that_fails_leaves_the_former_one(tmp_path: Path) -> None:
    target = tmp_path / "index"
    (tmp_path / ".index.1.partial").mkdir()
    (tmp_path / ".index.1.partial" / "rubbish").touch()  # of a killed run
    with whole_folder(target) as folder:
        (folder / "whole").touch()
    with pytest.raises(ZeroDivisionError), whole_folder(target) as folder:
        (folder / "half").touch()
        1 / 0  # noqa: B018
    assert [path.name for path in target.iterdir()] == ["whole"]
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_is_written_by_one_at_a_time(tmp_path: Path) -> None:
    index = tmp_path / "index"
    with (
        whole_folder(tmp_path / "index.v2"),  # another one
        whole_folder(index) as folder,
        pytest.raises(LabError, match=r"index: another process is at it, in .*\.partial\. Wait until it is through"),
        whole_folder(index),
    ):
        pass
    assert not folder.exists()
    assert sorted(tmp_path.iterdir()) == [index, tmp_path / "index.v2"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux swaps two folders in one step")
def test_a_reader_sees_the_old_folder_or_the_new_one_at_every_moment(tmp_path: Path) -> None:
    target = fresh_folder(tmp_path / "index")
    done = Event()

    def look() -> bool:
        seen = True
        while seen and not done.is_set():
            seen = target.is_dir()
        return seen

    with ThreadPoolExecutor() as threads:
        reader = threads.submit(look)
        for _ in range(300):
            replace_folder(fresh_folder(tmp_path / "staging"), target)
        done.set()
        assert reader.result()


@pytest.mark.parametrize("former", [True, False])
def test_where_the_system_cannot_swap_folders_they_are_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, former: bool
) -> None:
    monkeypatch.setattr(files, "_exchanged", lambda *_: False)
    if former:
        (fresh_folder(tmp_path / "index") / "old").touch()
    (fresh_folder(tmp_path / "staging") / "new").touch()
    replace_folder(tmp_path / "staging", tmp_path / "index")
    assert sorted(tmp_path.rglob("*")) == [tmp_path / "index", tmp_path / "index" / "new"]
