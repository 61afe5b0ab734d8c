"""Several runs made one, and the systems that answer a question with an image that way."""

from hiddenstates.retrieval.fusion.lists import Lists, Looked
from hiddenstates.retrieval.fusion.runs import otherwise
from hiddenstates.retrieval.fusion.shown import Shown
from hiddenstates.retrieval.fusion.systems import answers, oracles, read_joint, tune

__all__ = ["Lists", "Looked", "Shown", "answers", "oracles", "otherwise", "read_joint", "tune"]
