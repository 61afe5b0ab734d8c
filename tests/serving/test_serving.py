"""`hiddenstates index` and `search`: passages in, a folder that answers, in other libraries' hands, too."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from datasets import Dataset, load_from_disk
from exporting import TEXTS, WORDS, chosen, tiny
from sentence_transformers import SentenceTransformer

from hiddenstates.cli import main
from hiddenstates.core.data import Task
from hiddenstates.core.errors import LabError
from hiddenstates.core.paths import ROOT
from hiddenstates.corpora.passages import read_passages
from hiddenstates.encoding.choice import Choice
from hiddenstates.encoding.embeddings.pooled import Embeddings
from hiddenstates.encoding.encoder import Encoder
from hiddenstates.export.folder import export
from hiddenstates.retrieval.index import IndexBundle, build_index, large
from hiddenstates.serving import collection
from hiddenstates.serving.collection import Collection
from hiddenstates.serving.embedding import Exported

PASSAGES = ["the capital of france is paris", "bern", "a red flag of italy", "the blue river of rome", "rome"]
QUESTIONS = ["the river is blue", "paris", "flag of italy"]


def run(*arguments: object, given: str | None = None) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], input=given)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return tiny(tmp_path_factory.mktemp("model"), "bert")


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A folder in BEIR's layout, without queries."""
    folder = tmp_path / "mine"
    folder.mkdir()
    rows = [{"_id": f"p{i}", "title": "", "text": text} for i, text in enumerate(PASSAGES)]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return folder


def embedding(encoder: Encoder, folder: Path, strategy: str, weight: float = 1.0) -> tuple[Path, Choice]:
    made = chosen(encoder, strategy)
    choice = Choice(made.strategy, made.fingerprint, {}, made.whitening, weight)
    export(encoder, choice, folder)
    return folder, choice


@pytest.mark.parametrize("strategy", ["1/mean", "0.3*-1/mean & 0.7*concat(0,1)/max+each.5"])
@pytest.mark.parametrize("weight", [1.0, 0.6])
def test_search_finds_what_the_lab_finds(
    encoder: Encoder, corpus: Path, tmp_path: Path, strategy: str, weight: float
) -> None:
    folder, choice = embedding(encoder, tmp_path / "embedding", strategy, weight)
    made = run("index", tmp_path / "index", corpus, "--embedding", folder)
    assert made.exit_code == 0, made.output
    assert "5 passages" in made.output
    assert "none of 5 texts is longer than" in made.output
    found = run("search", tmp_path / "index", *QUESTIONS, "--depth", 3, "--json")
    kb = read_passages(corpus)
    bundle = build_index(choice.encode(encoder, kb.texts(), kb.ids), kb=kb)
    bundle = bundle.with_words(kb, weight) if weight < 1 else bundle
    asked = choice.encode(encoder, QUESTIONS, side="query")
    expected = bundle.search(asked, 3, QUESTIONS if weight < 1 else None)
    for line, question, query in zip(found.output.splitlines(), QUESTIONS, asked.ids, strict=True):
        said = json.loads(line)
        assert said["question"] == question
        assert [hit["id"] for hit in said["found"]] == list(expected.rows[query])
        scores = [hit["score"] for hit in said["found"]]
        np.testing.assert_allclose(scores, list(expected.rows[query].values()), atol=1e-5)
        assert said["found"][0]["text"] == PASSAGES[int(said["found"][0]["id"][1:])]


@pytest.mark.parametrize("weight", [1.0, 0.6])
@pytest.mark.parametrize("factory", ["Flat", "IVF{cells},Flat nprobe=2"])
def test_of_many_passages_a_shard_is_in_memory_at_a_time(
    encoder: Encoder, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, factory: str, weight: float
) -> None:
    folder, _ = embedding(encoder, tmp_path / "embedding", "1/mean", weight)
    run("index", tmp_path / "whole", corpus, "--embedding", folder, "--factory", factory)
    held: list[int] = []
    encode, load = Exported.encode, large.load_embeddings

    def encoded(exported: Exported, texts: list[str], *more: Any) -> Embeddings:
        held.append(len(texts))
        return encode(exported, texts, *more)

    def loaded(path: Path) -> Embeddings:
        found = load(path)
        held.append(len(found.ids))
        return found

    monkeypatch.setattr(collection, "SHARD", 2)
    monkeypatch.setattr(collection, "IN_MEMORY", 4)
    monkeypatch.setattr(large, "SHARDS_A_PART", 1)
    monkeypatch.setattr(Exported, "encode", encoded)
    monkeypatch.setattr(large, "load_embeddings", loaded)
    for alone in ("whole_embeddings", "build_index"):  # what takes all at once
        monkeypatch.setattr(collection, alone, None)
    made = run("index", tmp_path / "index", corpus, "--embedding", folder, "--factory", factory)
    assert made.exit_code == 0, made.output
    assert "5 passages, 32 dimensions; none of 5 texts is longer than" in made.output
    assert set(held) == {1, 2}
    assert {path.name for path in (tmp_path / "index").iterdir()} == {
        "README.md", "embedding.json", "index", "passages"
    }  # fmt: skip
    found, expected = (Collection.open(tmp_path / name).search(QUESTIONS, 3) for name in ("index", "whole"))
    for some, others in zip(found, expected, strict=True):
        assert [(hit.id, hit.text) for hit in some] == [(hit.id, hit.text) for hit in others]
        np.testing.assert_allclose([hit.score for hit in some], [hit.score for hit in others], atol=1e-6)
    rows = [load_from_disk(tmp_path / name / "passages") for name in ("index", "whole")]
    assert rows[0].features == rows[1].features
    np.testing.assert_allclose(rows[0]["vector"][:], rows[1]["vector"][:], atol=1e-6)
    card = (tmp_path / "index" / "README.md").read_text("utf-8")
    assert "`index/ids.arrow`" in card
    assert "load_faiss_index" not in card
    assert ("`index/words-*.safetensors`" in card) == (weight < 1)


def test_passages_that_were_changed_are_refused(encoder: Encoder, corpus: Path, tmp_path: Path) -> None:
    folder, _ = embedding(encoder, tmp_path / "embedding", "1/mean")
    run("index", tmp_path / "index", corpus, "--embedding", folder)
    passages = load_from_disk(tmp_path / "index" / "passages")
    passages.select([0, 1, 2, 4, 3]).save_to_disk(tmp_path / "others")
    shutil.rmtree(tmp_path / "index" / "passages")
    shutil.move(tmp_path / "others", tmp_path / "index" / "passages")
    with pytest.raises(
        LabError, match=r"passages: these are not the passages that were indexed\. Build the index again"
    ):
        Collection.open(tmp_path / "index")


def test_other_libraries_read_it_by_the_lines_of_its_card(encoder: Encoder, corpus: Path, tmp_path: Path) -> None:
    folder, _ = embedding(encoder, tmp_path / "embedding", "1/mean")
    assert run("index", tmp_path / "index", corpus, "--embedding", folder).exit_code == 0
    passages = load_from_disk(tmp_path / "index" / "passages")
    assert passages["id"][:] == [f"p{i}" for i in range(5)]
    passages.load_faiss_index("vector", tmp_path / "index" / "index" / "index.faiss")
    question = SentenceTransformer(str(folder), device="cpu").encode_query("bern")
    _, rows = passages.get_nearest_examples("vector", question, k=1)
    assert rows["text"] == ["bern"]
    vectors = np.array(load_from_disk(tmp_path / "index" / "passages")["vector"][:], dtype=np.float32)
    bundle = IndexBundle.load(tmp_path / "index" / "index")
    np.testing.assert_array_equal(bundle.index.reconstruct_n(0, 5), vectors)
    card = (tmp_path / "index" / "README.md").read_text("utf-8")
    assert 'load_from_disk("index/passages")' in card
    assert 'SentenceTransformer("embedding")' in card
    assert "5 passages, one vector of 32 dimensions each" in card


def test_questions_come_from_files_and_standard_input(encoder: Encoder, corpus: Path, tmp_path: Path) -> None:
    folder, _ = embedding(encoder, tmp_path / "embedding", "1/mean")
    run("index", tmp_path / "index", corpus, "--embedding", folder)
    (tmp_path / "asked.txt").write_text("bern\nrome\n", "utf-8")
    by_file = run("search", tmp_path / "index", "--texts", tmp_path / "asked.txt")
    assert by_file.output == run("search", tmp_path / "index", "--texts", "-", given="bern\nrome\n").output
    assert "bern\n" in by_file.output
    assert " 1.0000  p1  bern" in by_file.output
    assert "give questions, or a file" in run("search", tmp_path / "index").output


def test_both_folders_can_be_moved_together_and_nothing_else_answers(
    encoder: Encoder, corpus: Path, tmp_path: Path
) -> None:
    (tmp_path / "here").mkdir()
    folder, _ = embedding(encoder, tmp_path / "here" / "embedding", "1/mean")
    run("index", tmp_path / "here" / "index", corpus, "--embedding", folder)
    shutil.move(tmp_path / "here", tmp_path / "there")
    index = tmp_path / "there" / "index"
    assert Collection.open(index).search(["bern"], 1)[0][0].id == "p1"
    shutil.move(tmp_path / "there" / "embedding", tmp_path / "elsewhere")
    lost = run("search", index, "bern")
    assert (lost.exit_code, "Say where its embedding is by --embedding" in lost.output) == (2, True)
    assert run("search", index, "bern", "--embedding", tmp_path / "elsewhere").exit_code == 0
    other, _ = embedding(encoder, tmp_path / "other", "0/mean")
    refused = run("search", index, "bern", "--embedding", other)
    assert (refused.exit_code, "are not of the embedding in" in refused.output) == (2, True)


def test_what_cannot_be_indexed_is_refused_and_nothing_is_left(encoder: Encoder, corpus: Path, tmp_path: Path) -> None:
    folder, _ = embedding(encoder, tmp_path / "embedding", "1/mean")
    cases = {
        ("index", tmp_path / "index", tmp_path / "nowhere", "--embedding", folder): "no such file or folder",
        ("index", tmp_path / "index", corpus, "--embedding", corpus): "not an embedding that the lab exported",
        ("index", corpus, corpus, "--embedding", folder): "is there already",
        ("index", tmp_path / "index", corpus, "--embedding", folder, "--factory", "Flut"): "faiss cannot make 'Flut'",
        ("index", tmp_path / "index", corpus, "--embedding", folder, "--language", "x"): "language 'x': choose danish",
        ("index", tmp_path / "no" / "index", corpus, "--embedding", folder): "Make it first",
        ("search", corpus, "bern"): "no index to search",
    }
    for arguments, message in cases.items():
        result = run(*arguments)
        assert (result.exit_code, message in " ".join(result.output.split())) == (2, True), result.output
    assert not (tmp_path / "index").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"mine", "embedding"}


def test_passages_are_read_from_what_people_have(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "plain.txt").write_text("one\n\ntwo words\n", "utf-8")
    assert read_passages(tmp_path / "plain.txt").texts() == ["one", "two words"]
    rows = [{"id": 7, "title": "Bern", "text": "a city"}, {"id": 9, "title": None, "text": ""}]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    Dataset.from_list([{"text": "one"}, {"text": "two"}]).save_to_disk(tmp_path / "saved")
    Dataset.from_list([{"text": "one", "id": "a"}]).to_parquet(tmp_path / "rows.parquet")
    found = {name: read_passages(tmp_path / name) for name in ("rows.jsonl", "saved", "rows.parquet", "mine")}
    assert found["rows.jsonl"].ids == ["7", "9"]
    assert found["rows.jsonl"].texts() == ["Bern a city", ""]
    assert (found["saved"].ids, found["saved"].texts()) == (["0", "1"], ["one", "two"])
    assert found["rows.parquet"].ids == ["a"]
    assert found["mine"].texts() == PASSAGES
    with pytest.raises(LabError, match=r'rows\.jsonl:1: no "text" among id'):
        (tmp_path / "rows.jsonl").write_text('{"id": 1}\n', "utf-8")
        read_passages(tmp_path / "rows.jsonl")


def test_a_stage_s_task_is_indexed_too(tmp_path: Path, corpus: Path) -> None:
    kb = read_passages(corpus)
    from hiddenstates.core.data import QUERY_COLUMNS, table
    from hiddenstates.core.relevance import Qrels

    Task(kb, table([], QUERY_COLUMNS), Qrels({})).save(tmp_path / "task")
    assert read_passages(tmp_path / "task").texts() == PASSAGES


def test_mteb_gives_the_lab_s_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a corpus of one's own, with a prompt on each side and a title before the text."""
    pytest.importorskip("mteb")
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.setenv("TQDM_DISABLE", "1")  # as by_mteb does, for all that comes after
    import by_mteb

    encoder = tiny(tmp_path, "bert", query="the flag is ", passage="red ")
    folder, _ = embedding(encoder, tmp_path / "embedding", "concat(0,2)/mean")
    corpus = tmp_path / "mine"
    (corpus / "qrels").mkdir(parents=True)
    passages = [{"_id": f"p{i}", "title": WORDS[i % 7], "text": text} for i, text in enumerate(TEXTS)]
    queries = [{"_id": f"q{i}", "text": f"{TEXTS[i][:9]} {WORDS[-i % 15]}"} for i in range(30)]
    for name, rows in {"corpus": passages, "queries": queries}.items():
        (corpus / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    judged = "".join(f"q{i}\tp{(i + 7 * k) % 40}\t{2 - k}\n" for i in range(30) for k in (0, 1))
    (corpus / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{judged}", "utf-8")
    theirs, ours = by_mteb.main(folder, str(corpus))
    assert 0.1 < ours < 0.9
    assert theirs == pytest.approx(ours, abs=2e-5)
