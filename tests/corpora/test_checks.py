import struct
import unicodedata
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tasks import make_task

from hiddenstates.core.data import PASSAGE_COLUMNS, QUERY_COLUMNS, Task, pinned, table, tables
from hiddenstates.core.errors import LabError
from hiddenstates.core.images import MAX_PIXELS
from hiddenstates.core.relevance import Qrels
from hiddenstates.corpora import checks
from hiddenstates.corpora.checks import check_passages, checked, counts


def test_a_sound_task_comes_back_as_it_is(tmp_path: Path) -> None:
    task = make_task(tmp_path)
    assert checked(task, "here") is task


def test_counts_say_how_much_there_is_of_everything(tmp_path: Path) -> None:
    task = make_task(tmp_path, passage_image="a.gif", query_image="b.gif")
    assert counts(replace(task, unjudged=3)) == {
        "passages": 2,
        "empty_passages": 1,
        "queries": {"named": {"dev": 1, "test": 1}, "visual": {"dev": 1, "test": 1}},
        "empty_queries": 0,
        "unjudged_queries": 3,
        "judgements": 8,
        "images": 2,
        "missing_images": 0,
        "broken_images": 0,
    }


def test_each_query_set_needs_dev_and_test(tmp_path: Path) -> None:
    task = make_task(tmp_path)
    kept = task.queries.filter(lambda row: row["id"] != "visual-dev")
    with pytest.raises(LabError, match=r"here: query set 'visual' has no dev query"):
        checked(replace(task, queries=kept, qrels=task.qrels.select(kept["id"])), "here")


def test_a_task_without_queries_is_refused(tmp_path: Path) -> None:
    task = replace(make_task(tmp_path), queries=table([], QUERY_COLUMNS), qrels=Qrels({}))
    with pytest.raises(LabError, match=r"here: query set 'here' has no dev query"):
        checked(task, "here")


def test_a_split_where_nothing_is_relevant_is_refused(tmp_path: Path) -> None:
    task = make_task(tmp_path)
    with pytest.raises(LabError, match=r"'named' has no test query with a relevant passage\. Judge some above 0"):
        checked(replace(task, qrels=Qrels({**task.qrels.rows, "named-test": {"p1": 0.0}})), "here")


def test_scores_that_are_all_one_are_refused_for_similarity(tmp_path: Path) -> None:
    task = replace(make_task(tmp_path), measure="similarity")
    assert checked(task, "here") is task  # 1 and 0
    flat = Qrels({query: {"p0": 1.0} for query in task.qrels})
    with pytest.raises(LabError, match=r"'named' has one and the same score all over dev"):
        checked(replace(task, qrels=flat), "here")


def save_flag(path: Path) -> bytes:
    image = Image.effect_noise((16, 11), 80)
    image.save(path)
    return path.read_bytes()


def png_header(width: int, height: int) -> bytes:
    """A PNG that says how large it is and holds no pixels: decoding it would fail, reading its header does not."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">II4s", zlib.crc32(header), 9, b"IDAT")


def test_whole_images_pass_also_in_subfolders_and_through_links_inside(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    save_flag(tmp_path / "sub" / "a.gif")
    save_flag(tmp_path / "b.jpeg")
    (tmp_path / "link.gif").symlink_to(tmp_path / "sub" / "a.gif")
    for name in ("sub/a.gif", "sub/../b.jpeg", "link.gif"):
        checked(make_task(tmp_path, passage_image=name), "here")


@pytest.mark.parametrize("side", ["passage_image", "query_image"])
@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "sub/../../x.gif", "link.gif", "linked/x.gif", ".."]
)
def test_an_image_name_that_leaves_the_folder_is_refused(tmp_path: Path, side: str, name: str) -> None:
    images = tmp_path / "images"
    images.mkdir()
    save_flag(tmp_path / "x.gif")
    (images / "link.gif").symlink_to(tmp_path / "x.gif")
    (images / "linked").symlink_to(tmp_path)
    with pytest.raises(LabError, match=rf"image '{name}' leaves the images folder\. Put the file inside"):
        checked(make_task(images, **{side: name}), "here")


@pytest.mark.parametrize("name", ["none.gif", ".", "loop.gif"])
def test_a_task_goes_on_without_an_image_that_is_no_file(tmp_path: Path, name: str) -> None:
    save_flag(tmp_path / "a.gif")
    (tmp_path / "loop.gif").symlink_to(tmp_path / "loop.gif")
    task = checked(make_task(tmp_path, passage_image=name, query_image="a.gif"), "here")
    assert task.kb.passages["image"][:] == ["", ""]
    assert set(task.queries["image"][:]) == {"a.gif"}
    assert task.faults == {name: "no such file"}
    assert [counts(task)[key] for key in ("images", "missing_images", "broken_images")] == [1, 1, 0]
    assert task.notes == (
        f"{tmp_path}: 1 of 2 images cannot be read, and their passages and queries go without. 1 missing: {name!r}",
    )


def test_a_task_goes_on_without_a_broken_image_and_is_pinned_anew(tmp_path: Path) -> None:
    save_flag(tmp_path / "a.gif")
    (tmp_path / "b.png").write_bytes(png_header(4, 4))
    before = make_task(tmp_path, passage_image="b.png", query_image="a.gif")
    task = checked(before, "here")
    assert [counts(task)[key] for key in ("images", "missing_images", "broken_images")] == [1, 0, 1]
    assert task.faults["b.png"].startswith("a broken image (")
    assert "1 broken: 'b.png (a broken image (" in task.notes[0]
    assert task.kb.revision == pinned("made", task.kb.passages) != pinned("made", before.kb.passages)
    task.save(tmp_path / "task")
    again = Task.load(tmp_path / "task")
    assert (again.notes, again.faults) == (task.notes, task.faults)


def test_where_no_image_can_be_read_the_folder_is_the_wrong_one(tmp_path: Path) -> None:
    with pytest.raises(
        LabError, match=r"none of the 2 images can be read, first 'a.gif' \(no such file\)\. Check that"
    ):
        checked(make_task(tmp_path, passage_image="a.gif", query_image="b.gif"), "here")


@pytest.mark.parametrize(("written", "named"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_accents_of_a_file_name_may_be_composed_or_not(tmp_path: Path, written: str, named: str) -> None:
    there, asked = (unicodedata.normalize(form, "Curaçao/Côté.gif") for form in (written, named))
    (tmp_path / there).parent.mkdir()
    save_flag(tmp_path / there)
    task = checked(make_task(tmp_path, passage_image=asked), "here")
    assert task.kb.passages["image"][0] == there
    assert not task.faults


@pytest.mark.parametrize("name", ["a\0.gif", "a" * 300])
def test_what_cannot_be_a_file_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(LabError, match=r"cannot be the name of an image .* Rename it"):
        checked(make_task(tmp_path, passage_image=name), "here")


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.6, 0.9])
@pytest.mark.parametrize("suffix", ["gif", "png", "jpeg", "webp"])
def test_a_cut_image_is_refused(tmp_path: Path, suffix: str, kept: float) -> None:
    whole = save_flag(tmp_path / f"a.{suffix}")
    (tmp_path / f"a.{suffix}").write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(LabError, match=rf"a.{suffix}' \(a broken image \(.*\)\. Replace it with an intact file: GIF"):
        checked(make_task(tmp_path, passage_image=f"a.{suffix}"), "here")


def test_a_document_is_no_image(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n")
    with pytest.raises(LabError, match=r"a.png' \(a broken image \(no such format\)"):
        checked(make_task(tmp_path, query_image="a.png"), "here")


@pytest.mark.parametrize("side", [MAX_PIXELS // 1000 + 1, 10_000_000])
def test_an_image_of_too_many_pixels_is_refused_by_its_header(tmp_path: Path, side: int) -> None:
    (tmp_path / "a.png").write_bytes(png_header(1000, side))
    with pytest.raises(LabError, match=r"a.png' \(an image of more than 50 megapixels\. Make it smaller"):
        checked(make_task(tmp_path, passage_image="a.png"), "here")


def test_each_image_is_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_flag(tmp_path / "a.gif")
    opened = []
    monkeypatch.setattr(Image, "open", lambda path, formats, real=Image.open: opened.append(path) or real(path))
    checked(make_task(tmp_path, passage_image="a.gif", query_image="a.gif"), "here")
    assert len(opened) == 1


@pytest.mark.parametrize("all_alike", [False, True], ids=["hashed", "one hash for all"])
def test_an_id_that_comes_again_in_a_later_part_is_found(monkeypatch: pytest.MonkeyPatch, all_alike: bool) -> None:
    monkeypatch.setattr(tables, "ROWS_AT_ONCE", 3)
    if all_alike:
        monkeypatch.setattr(checks, "hash_array", lambda ids, **_: np.zeros(len(ids), np.uint64))
    ids = [f"p{i}" for i in range(8)]
    check_passages(table([{"id": id} for id in ids], PASSAGE_COLUMNS), "own")
    with pytest.raises(LabError, match=r"own: passage ids that occur more than once: 'p1', 'p7'\. Make each unique"):
        check_passages(table([{"id": id} for id in [*ids, "p7", "p1", "p7"]], PASSAGE_COLUMNS), "own")
