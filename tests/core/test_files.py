import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from safetensors import SafetensorError
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_torch

from hiddenstates.core import files
from hiddenstates.core.errors import LabError
from hiddenstates.core.files import (
    DTYPES,
    first_of_content,
    fresh_folder,
    mapped_tensors,
    on_disk,
    replace_folder,
    whole_folder,
    write_tensors,
)


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


def some_tensors() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    kinds = {f"of {kind}": random.integers(0, 2, (3, 2)).astype(kind) for kind in DTYPES}
    return kinds | {
        "mean": random.random((3, 4, 5), dtype=np.float32),
        "none": np.zeros((2, 0, 3), np.float32),
        "één": np.array(3.0),
        "on its side": random.random((4, 6), dtype=np.float32).T,
        "selected": random.random((3, 9, 2), dtype=np.float32)[:, [5, 1]],
    }


@pytest.mark.parametrize("about", [None, json.dumps({"x": 'é\n\x01\x7f\u2028"\\'})])
def test_tensors_are_written_as_safetensors_does(tmp_path: Path, about: str | None) -> None:
    tensors = some_tensors()
    write_tensors(tensors, tmp_path / "ours", about)
    laid_out = {name: np.array(tensor, order="C") for name, tensor in tensors.items()}
    save_file(laid_out, tmp_path / "theirs", metadata=None if about is None else {"about": about})
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()


def test_mapped_tensors_are_those_that_were_written(tmp_path: Path) -> None:
    write_tensors(some_tensors(), tmp_path / "file")
    found = mapped_tensors(tmp_path / "file")
    for name, tensor in some_tensors().items():
        assert found[name].dtype == tensor.dtype
        assert_array_equal(found[name], tensor)
    found["mean"][:] = 7  # of this process alone
    assert_array_equal(mapped_tensors(tmp_path / "file")["mean"], some_tensors()["mean"])


def test_a_file_that_was_cut_short_is_not_mapped(tmp_path: Path) -> None:
    write_tensors(some_tensors(), tmp_path / "file")
    (tmp_path / "file").write_bytes((tmp_path / "file").read_bytes()[:-1])
    with pytest.raises(SafetensorError):
        mapped_tensors(tmp_path / "file")


def test_numbers_that_numpy_does_not_have_are_refused(tmp_path: Path) -> None:
    save_torch({"mean": torch.zeros(2, dtype=torch.bfloat16)}, tmp_path / "file")
    with pytest.raises(ValueError, match=r"it holds numbers of kind BF16; numpy has U64, .*BOOL"):
        mapped_tensors(tmp_path / "file")


def test_an_array_on_disk_leaves_no_file(tmp_path: Path) -> None:
    array = on_disk((2, 3), tmp_path)
    array[1] = 5
    assert array.tolist() == [[0, 0, 0], [5, 5, 5]]
    assert list(tmp_path.iterdir()) == []
