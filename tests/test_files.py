from pathlib import Path

import pytest

from hiddenstates.core.files import whole_folder


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
    (tmp_path / ".index.partial").mkdir()
    (tmp_path / ".index.partial" / "rubbish").touch()  # of a killed run
    with whole_folder(target) as folder:
        (folder / "whole").touch()
    with pytest.raises(ZeroDivisionError), whole_folder(target) as folder:
        (folder / "half").touch()
        1 / 0  # noqa: B018
    assert [path.name for path in target.iterdir()] == ["whole"]
    assert list(tmp_path.iterdir()) == [target]
