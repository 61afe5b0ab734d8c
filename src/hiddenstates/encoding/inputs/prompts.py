"""`Reading`: how texts of each side are read. What stands before them, and whether that is pooled, too."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from hiddenstates.encoding.inputs.readers import Input, TextImage

Side = Literal["query", "passage", "alike"]
"""Which prompt a text has. alike: texts that are compared with their like, as the sentences of pairs are"""


@dataclass(frozen=True)
class Reading:
    """How texts are read, as a model's folder or params.yaml says.

    query, passage, alike: the prompt of each side; "" is none
    pool_prompt:           whether the prompt's tokens are pooled, too
    max_tokens:            a longer text is cut there; None is the tokenizer's own limit
    lower_case:            whether the tokenizer gets texts in lower case
    """

    query: str = ""
    passage: str = ""
    alike: str = ""
    pool_prompt: bool = True
    max_tokens: int | None = None
    lower_case: bool = False

    def prompt(self, side: Side) -> str:
        """What stands before each text of this side."""
        prompts: Mapping[Side, str] = {"query": self.query, "passage": self.passage, "alike": self.alike}
        return prompts[side]

    def asked(self, query: str | None, passage: str | None, pool_prompt: bool | None) -> "Reading":
        """The same but for what is not None. Where a query's prompt is given, texts that are alike have it, too."""
        return replace(
            self,
            query=self.query if query is None else query,
            passage=self.passage if passage is None else passage,
            alike=self.alike if query is None else query,
            pool_prompt=self.pool_prompt if pool_prompt is None else pool_prompt,
        )


PLAIN = Reading()
"""Without prompts."""


def prompted(inputs: Sequence[Input], prompt: str) -> list[Input]:
    """The inputs with the prompt before their texts; images as they are."""
    return [_prompted(value, prompt) for value in inputs]


def _prompted(value: Input, prompt: str) -> Input:
    if isinstance(value, TextImage):
        return replace(value, text=prompt + value.text)
    return prompt + value if isinstance(value, str) else value


def sides(measure: str) -> tuple[Side, Side]:
    """The sides of a task's passages and of its queries; the sentences of pairs are read alike."""
    return ("alike", "alike") if measure == "similarity" else ("passage", "query")
