"""The explorer, and its widgets without a browser, on a tiny encoder of texts and one of images."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
from exploring import explorer_in, pooled, ranked
from numpy.testing import assert_allclose
from PIL import Image
from tiny import save_tiny

from hiddenstates.core.data import PASSAGE_COLUMNS, QUERY_COLUMNS, table
from hiddenstates.core.errors import LabError
from hiddenstates.core.joined import Fused
from hiddenstates.core.strategy import Strategy
from hiddenstates.encoding.choice import Choice
from hiddenstates.encoding.embeddings.fitting import fitted
from hiddenstates.encoding.encoder import load_encoder
from hiddenstates.explorer import opening
from hiddenstates.explorer.encoders import EncoderView
from hiddenstates.explorer.examples import example_images, example_questions
from hiddenstates.explorer.grid import curves
from hiddenstates.explorer.page import message, picture, row, told
from hiddenstates.explorer.pictures import CLASS_TOKEN, pictures_of
from hiddenstates.explorer.search import Explorer, Question
from hiddenstates.explorer.view import ExplorerView
from hiddenstates.images.features import embed_images

LAST_MEAN = Strategy.parse("3/mean")


@pytest.fixture(scope="module")
def explorer(tmp_path_factory: pytest.TempPathFactory) -> Explorer:
    return explorer_in(tmp_path_factory.mktemp("explorer"))


AT_HAND = {
    "all": [],
    "nothing": ["fr.png", "it.png"],
    "another model's": ["fr.png", "it.png"],
    "another pooling": ["fr.png", "it.png"],
    "a pool": ["it.png"],
}
"""What is embedded where these features are stored."""


@pytest.mark.parametrize("at_hand", AT_HAND)
def test_the_stored_features_are_taken_where_they_fit_and_what_they_lack_is_made(
    at_hand: str, explorer: Explorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert explorer.pictures is not None
    vision, kb = explorer.pictures.encoder, explorer.task.kb
    drawn = replace(kb, passages=kb.passages.select([0, 3])) if at_hand == "a pool" else kb
    made = embed_images(vision, drawn, ["mean" if at_hand == "another pooling" else "first"], tmp_path / "shards")
    if at_hand == "another model's":
        made = replace(made, states=replace(made.states, fingerprint="other"))
    if at_hand != "nothing":
        made.save(tmp_path / "features")
    embedded: list[str] = []
    made_now = opening.embed_files
    monkeypatch.setattr(opening, "embed_files", lambda *given: embedded.extend(given[2]) or made_now(*given))
    found = opening._features(kb, vision, tmp_path / "features")
    assert found.states.ids == ["fr.png", "it.png"]
    assert_allclose(found.states.embed(CLASS_TOKEN).vectors, explorer.pictures.embeddings.vectors, atol=1e-6)
    assert found.names == {"fr.png": "fr.png", "it.png": "it.png"}
    assert embedded == AT_HAND[at_hand]
    shown = pictures_of(kb, found, vision, Choice(CLASS_TOKEN, vision.fingerprint, {}))
    assert shown is not None
    assert shown.shown == explorer.pictures.shown


@pytest.mark.parametrize("written", ["3/mean", "0/first", "sum(0,2,3)/mean", "concat(0..3)/mean+ln"])
def test_the_text_ranks_by_the_cosine_of_the_embeddings(explorer: Explorer, written: str) -> None:
    strategy = Strategy.parse(written)
    found = explorer.rank(Question("the capital of italy"), strategy)
    passages = explorer.states.embed(strategy)
    query = explorer.encoder.encode(["the capital of italy"], strategy).vectors[0]
    cosines = dict(zip(passages.ids, passages.vectors @ query, strict=True))
    assert dict(found["by_text"]) == pytest.approx(cosines, abs=1e-6)
    assert list(found["score"]) == sorted(found["by_text"], reverse=True)
    assert found["by_image"].isna().all()


def test_ranks_count_from_one_and_are_compared_with_the_default(explorer: Explorer) -> None:
    question = Question("the capital of italy")
    default = explorer.rank(question, LAST_MEAN)
    assert list(default["rank"]) == list(default["before"]) == [1, 2, 3, 4]
    other = explorer.rank(question, Strategy.parse("0/first"))
    assert dict(other["before"]) == dict(default["rank"])


def test_what_tells_no_passage_from_another_ranks_them_all_last(explorer: Explorer) -> None:
    found = explorer.rank(Question("rome"), Strategy.parse("0/first"))  # the same token at the same place, no attention
    assert list(found["rank"]) == [4, 4, 4, 4]
    assert found["tied"].all()
    assert "<b>Every passage has the same score:</b>" in told(found, 4, 0.01, "3/mean")


def test_the_image_alone_puts_its_own_passages_first(explorer: Explorer) -> None:
    flag = explorer.task.kb.images / "it.png"
    found = explorer.rank(Question("paris", flag, weight=1.0), LAST_MEAN)
    assert found.index[0] == "it0"
    assert found["by_image"]["it0"] == 1.0
    assert found["rank"]["fr0"] == found["rank"]["fr1"]  # of one flag
    assert found["by_image"].isna()["x0"]


def test_without_weight_the_image_moves_nothing(explorer: Explorer) -> None:
    question = Question("the capital of italy", explorer.task.kb.images / "fr.png", weight=0.0)
    found = explorer.rank(question, LAST_MEAN)
    assert list(found["rank"]) == list(found["before"])


def test_the_right_passage_is_known_and_always_shown(explorer: Explorer) -> None:
    question = example_questions(explorer.task)["visual: the flag"]
    found = explorer.rank(question, LAST_MEAN, depth=1)
    assert "fr1" in found.index
    assert list(found.index[found["right"]]) == ["fr1"]
    assert len(found) == (1 if found.index[0] == "fr1" else 2)
    assert not explorer.rank(Question("the flag"), LAST_MEAN)["right"].any()  # without its image another question
    at, before = found.loc["fr1", ["rank", "before"]]
    assert f"at rank <b>{at}</b>; by 3/mean at {before}." in told(found, 4, 0.01, "3/mean")


def test_what_there_is_to_start_from(explorer: Explorer) -> None:
    folder = explorer.task.kb.images
    assert example_questions(explorer.task) == {
        "named: the capital of italy": Question("the capital of italy"),
        "visual: the flag": Question("the flag", folder / "view.png"),
    }
    assert example_images(explorer.task) == {"France, view 4": folder / "view.png"}


def test_images_of_one_name_are_told_apart(explorer: Explorer) -> None:
    rows = [{"id": str(i), "entity": "fr", "view": "4", "image": image} for i, image in enumerate("abba")]
    folder = explorer.task.kb.images
    task = replace(explorer.task, queries=table(rows, QUERY_COLUMNS))
    assert example_images(task) == {"France, view 4": folder / "a", "France, view 4 (b)": folder / "b"}


def test_an_empty_question_and_a_broken_image_are_refused(explorer: Explorer, tmp_path: Path) -> None:
    with pytest.raises(LabError, match="There is no question: type one"):
        explorer.rank(Question("  "), LAST_MEAN)
    (tmp_path / "bad.png").write_text("no image")
    with pytest.raises(LabError, match="a broken image"):
        explorer.rank(Question("rome", tmp_path / "bad.png"), LAST_MEAN)


def test_states_of_another_model_are_refused(explorer: Explorer, tmp_path: Path) -> None:
    other = load_encoder(str(save_tiny(tmp_path, "bert", hidden_size=16)))
    with pytest.raises(LabError, match="Run the stage `states` again"):
        Explorer(explorer.task, pooled(explorer.encoder, explorer.task), other)


def test_the_page_runs_nothing_from_outside(explorer: Explorer) -> None:
    found = explorer.rank(Question("rome"), LAST_MEAN)
    page = "".join(row(passage, explorer.task.kb.images) for passage in found.itertuples())
    assert "<b>Bern</b>" not in page.replace("<b>&lt;b&gt;Bern", "")
    assert "&lt;b&gt;Bern&lt;/b&gt;" in page
    assert page.count('src="data:image/png;base64,') == 3
    assert message("<script>") == '<p class="hs-message" role="alert">&lt;script&gt;</p>'


def test_a_picture_is_made_small_and_a_broken_one_left_out(tmp_path: Path) -> None:
    Image.new("RGB", (400, 300), "red").save(tmp_path / "large.png")
    assert len(picture(tmp_path / "large.png")) < 1000
    assert picture(tmp_path / "none.png") == ""


@pytest.fixture
def view(explorer: Explorer) -> ExplorerView:
    return ExplorerView(explorer)


def upload(view: ExplorerView, name: str, content: bytes) -> None:
    file = {"name": name, "type": "", "size": len(content), "content": memoryview(content)}
    file["last_modified"] = datetime.now(UTC)
    view.question.upload.value = (file,)


def test_it_opens_with_an_answer(view: ExplorerView) -> None:
    assert view.question.text.value == "the capital of italy"
    assert view.strategy.typed.value == view.strategy.against.value == "3/mean"
    assert [button.value for button in view.strategy.layers] == [False, False, False, True]
    assert ranked(view).count("<tr data-passage=") == 4
    assert "Ranked 4 passages in " in view.findings.told.value


def test_another_question_other_layers_and_another_pooling_rank_anew(view: ExplorerView) -> None:
    seen = [ranked(view)]
    changes = [(view.question.text, "bern"), (view.strategy.layers[0], True), (view.strategy.pool, "first")]
    for control, value in changes:
        control.value = value
        assert ranked(view) != seen[-1]
        seen.append(ranked(view))
    view.strategy.combine.value = "concat"
    view.strategy.layer_norm.value = True
    assert view.strategy.typed.value == "concat(0,3)/first+ln"


def test_the_weight_counts_with_an_image_only(view: ExplorerView) -> None:
    assert view.question.weight.disabled
    view.question.example.value = "visual: the flag"
    assert view.question.image.value == view.explorer.task.kb.images / "view.png"
    assert not view.question.weight.disabled
    view.question.example.value = "named: the capital of italy"
    assert view.question.image.label == "none"  # and not an empty field
    view.question.example.value = "visual: the flag"
    before = ranked(view)
    view.question.weight.value = 0.1
    assert ranked(view) != before


def test_no_layer_and_no_question_are_told(view: ExplorerView) -> None:
    view.strategy.layers[3].value = False
    assert "No layer is chosen: switch at least one on." in view.message.value
    assert ranked(view) == view.strategy.typed.value == ""
    view.strategy.layers[1].value = True
    assert view.message.value == ""
    view.question.text.value = ""
    assert "There is no question: type one and press Enter." in view.message.value


def shown(view: ExplorerView) -> tuple[list[int], object, object, object]:
    """What the buttons say."""
    controls = view.strategy
    layers = [i for i, button in enumerate(controls.layers) if button.value]
    return layers, controls.combine.value, controls.pool.value, controls.layer_norm.value


def test_what_is_typed_ranks_and_moves_the_buttons_as_far_as_they_can_say_it(view: ExplorerView) -> None:
    seen = ranked(view)
    view.strategy.typed.value = "concat(-1,0)/first+ln"
    assert ranked(view) != seen
    assert shown(view) == ([0, 3], "concat", "first", True)
    view.strategy.typed.value = "0.25*2/mean & 0.75*sum(0,1)/first"
    assert shown(view) == ([0, 1, 2], "concat", "first", True)  # of a joined one the layers
    assert view.message.value == ""
    view.strategy.layers[1].value = False  # from here on the buttons say it all
    assert view.strategy.typed.value == "concat(0,2)/first+ln"


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("", "There is no strategy: type one, such as concat(0,6)/mean+ln, or bm25."),
        ("nothing", "strategy &#x27;nothing&#x27; is not understood"),
        ("9/mean", "there is no state 9; this model has 0 to 3"),
        ("3/max", "only first, mean were pooled"),
        ("0.5*(3/mean) & 0.6*bm25", "the weights add up to 1"),
        ("3/mean+each.5", "1 vector(s) that do not differ say nothing. Fit it on more passages."),
    ],
)
def test_what_cannot_rank_is_told(view: ExplorerView, typed: str, said: str) -> None:
    view.strategy.typed.value = typed
    assert said in view.message.value
    assert ranked(view) == ""
    view.strategy.typed.value = "3/mean"
    assert view.message.value == ""
    assert ranked(view)


def test_words_count_beside_the_vectors_and_alone(explorer: Explorer) -> None:
    question = Question("rome italy")
    words = explorer.rank(question, "bm25")
    assert words.index[0] == "it0"
    assert words["score"].iloc[0] == 1.0  # of the best
    assert words["score"]["fr1"] == 0.0
    both = explorer.rank(question, Fused(LAST_MEAN, 0.75), "bm25")
    cosines = explorer.rank(question, LAST_MEAN)["by_text"]
    assert dict(both["by_text"]) == pytest.approx(dict(0.75 * cosines + 0.25 * words["by_text"]), abs=1e-6)
    assert dict(both["before"]) == dict(words["rank"])


def test_a_whitened_strategy_ranks_as_the_stage_strategies_whitens(explorer: Explorer) -> None:
    rows = [{"id": f"t{i}", "title": t, "text": f"{t} is red"} for i, t in enumerate(["bern", "rome", "paris", "flag"])]
    passages = [dict(zip(explorer.task.kb.passages.features, row.values(), strict=True)) for row in
                explorer.task.kb.passages.to_pandas().to_dict("index").values()]  # fmt: skip
    kb = replace(explorer.task.kb, passages=table([*passages, *rows], PASSAGE_COLUMNS))
    task = replace(explorer.task, kb=kb)
    whitening = Explorer(task, pooled(explorer.encoder, task), explorer.encoder)
    strategy = Strategy.parse("3/mean+each.5")
    found = whitening.rank(Question("the capital of italy"), strategy, depth=8)
    fitting = whitening.states.select(["x0", *(f"t{i}" for i in range(4))])  # nobody asks about them
    steps = fitted(strategy, fitting)
    embedded = whitening.states.embed(strategy, steps)
    query = whitening.encoder.encode(["the capital of italy"], strategy, whitening=steps).vectors[0]
    assert dict(found["by_text"]) == pytest.approx(
        dict(zip(embedded.ids, embedded.vectors @ query, strict=True)), abs=1e-6
    )


def test_where_every_passage_is_judged_nothing_is_whitened(explorer: Explorer) -> None:
    task = explorer.task.within(["fr0", "fr1", "it0"], explorer.task.queries["id"][:])
    judged = Explorer(task, pooled(explorer.encoder, task), explorer.encoder)
    with pytest.raises(LabError, match="every passage is judged for dev or test, so no whitening can be fitted"):
        judged.rank(Question("rome"), Strategy.parse("3/mean+each.5"))


def test_what_the_stage_chose_is_a_click_away(explorer: Explorer, tmp_path: Path) -> None:
    states = pooled(explorer.encoder, explorer.task)
    assert opening._ready(states, tmp_path / "choice") == {"conventional": "3/mean", "words alone": "bm25"}
    Choice(Strategy.parse("concat(0,3)/first"), states.passages.fingerprint, {}, weight=0.8).save(tmp_path / "choice")
    ready = opening._ready(states, tmp_path / "choice")
    assert ready["chosen"] == "0.8*(concat(0,3)/first) & 0.2*bm25"
    view = ExplorerView(Explorer(explorer.task, states, explorer.encoder, ready=ready))
    view.strategy.ready.value = ready["chosen"]
    assert view.strategy.typed.value == ready["chosen"]
    assert view.strategy.ready.value == ""
    assert shown(view)[0] == [0, 3]
    assert ranked(view)
    Choice(LAST_MEAN, "another model", {}).save(tmp_path / "choice")
    assert "chosen" not in opening._ready(states, tmp_path / "choice")


def test_an_upload_is_chosen_at_once(view: ExplorerView) -> None:
    upload(view, "mine.png", (view.explorer.task.kb.images / "it.png").read_bytes())
    assert view.question.image.label == "uploaded: mine.png"
    assert 'data-passage="it0"' in ranked(view).split("</tr>")[0]
    assert '<td class="hs-image">1.000</td></tr>' in ranked(view)
    upload(view, "mine.png", (view.explorer.task.kb.images / "fr.png").read_bytes())  # the same name, another image
    assert len({path for _, path in view.question.image.options}) == 4


def test_an_upload_that_is_no_image_is_told_by_its_name(view: ExplorerView) -> None:
    before = ranked(view)
    upload(view, "<i>.png", b"no image")
    assert "&lt;i&gt;.png: a broken image (no such format). Replace it with" in view.message.value
    assert ranked(view) == before
    assert view.question.image.label == "none"
    view.strategy.pool.value = "first"
    assert view.message.value == ""


def test_an_upload_that_is_too_large_is_told(view: ExplorerView, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hiddenstates.core.images.MAX_PIXELS", 100)
    upload(view, "huge.png", (view.explorer.task.kb.images / "it.png").read_bytes())
    assert "huge.png: an image of more than 0.0001 megapixels. Make it smaller." in view.message.value


def test_without_images_there_is_none_to_choose(explorer: Explorer) -> None:
    bare = Explorer(explorer.task, pooled(explorer.encoder, explorer.task), explorer.encoder)
    view = ExplorerView(bare)
    assert len(view.question.rows) == 2
    assert ("hs-image" in ranked(view), "hs-image" in view.findings.ranking.heading.value) == (False, False)
    assert bare.rank(Question("rome", explorer.task.kb.images / "it.png"), LAST_MEAN)["by_image"].isna().all()


def test_the_encoder_is_chosen_among_those_that_are_there(explorer: Explorer) -> None:
    def opened(name: str) -> Explorer:
        if name == "gone":
            raise LabError("explorer: no states of an encoder 'gone'.")
        return explorer

    view = EncoderView(["tiny", "gone"], opened)
    assert view.encoder.value == "tiny"
    (first,) = view.place.children
    view.encoder.value = "gone"
    assert view.place.children == ()
    assert "no states of an encoder" in view.message.value
    view.encoder.value = "tiny"
    assert view.message.value == ""
    assert view.place.children != (first,)
    assert view.encoder not in EncoderView(["tiny"], opened).box.children  # nothing to choose


def test_known_encoders_are_those_with_states(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIDDENSTATES_OUT", str(tmp_path))
    assert opening.known_encoders() == ["minilm"]
    for name in ("clip_text", "minilm", "unknown"):
        (tmp_path / "states" / "pooled" / name).mkdir(parents=True)
    assert opening.known_encoders() == ["minilm", "clip_text"]


def test_the_grid_has_the_rank_that_each_state_alone_gives(explorer: Explorer) -> None:
    question = Question("the capital of italy")
    ranks = explorer.ranks(question)
    assert list(ranks.index) == list(explorer.states.values)
    assert list(ranks.columns) == [0, 1, 2, 3]
    for pool in ranks.index:
        for layer in ranks.columns:
            found = explorer.rank(question, Strategy.parse(f"{layer}/{pool}"), depth=4)
            assert ranks.loc[pool, layer] == found.loc[found["right"], "rank"].min()
    assert ranks.loc["first", 0] == 4, "it tells no passage from another"


def test_a_question_without_a_known_answer_has_no_grid(explorer: Explorer) -> None:
    assert explorer.ranks(Question("who is the mayor of bern")).empty


def test_a_click_on_a_cell_chooses_its_state(explorer: Explorer) -> None:
    view = ExplorerView(explorer)
    assert view.findings.grid.cells.children == ()
    view.findings.grid.shown.value = True
    view.question.text.value = "the capital of italy"
    (_, *rows) = view.findings.grid.cells.children
    ranks = explorer.ranks(Question("the capital of italy"))
    assert [[cell.description for cell in row.children[1:]] for row in rows] == ranks.astype(str).values.tolist()
    rows[1].children[1 + 2].click()
    assert view.strategy.typed.value == f"2/{ranks.index[1]}"
    assert "The right passage is at rank" in view.findings.told.value
    assert view.findings.grid.curves.value.count("<polyline") == len(ranks)
    view.question.text.value = "something else"
    assert "No answer is known" in view.findings.grid.told.value
    view.findings.grid.shown.value = False
    assert (view.findings.grid.told.value, view.findings.grid.cells.children) == ("", ())


def test_curves_that_end_side_by_side_share_a_name() -> None:
    ranks = pd.DataFrame({0: [5, 50, 9], 1: [1, 1, 1000]}, index=["mean", "max", "<first>"])
    drawn = curves(ranks)
    assert drawn.count("<polyline") == 3
    assert ">mean, max</text>" in drawn
    assert ">&lt;first&gt;</text>" in drawn
    assert [f">{rank}</text>" in drawn for rank in ("1", "10", "100", "1,000", "10,000")] == [True] * 4 + [False]
    points = [line.split('"')[0].split() for line in drawn.split('points="')[1:]]
    assert [line[0].split(",")[0] for line in points] == ["107"] * 3
    assert [float(line[1].split(",")[1]) for line in points] == [10.0, 10.0, 130.0]
