"""What the page shows as a line of text: copied from one page and put into another, it shows the same there."""

import json
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from hiddenstates.core.errors import LabError
from hiddenstates.core.files import read_as
from hiddenstates.explorer.search import Question

VERSION = 1
SHOWN, MOST = 10, 100
Panel = Literal["grid", "map"]


class PageState(BaseModel):
    """The fields of the line, as JSON has them.

    explorer: the version of the line's form
    encoder:  its name in states.encoders; "" where there is one and no name
    image:    what the field `image` calls it; "" for none
    weight:   of the image's score
    shown:    so many passages
    open:     what is open beside the ranking
    why:      the passage of which is shown why it stands there; "" for none
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    explorer: Literal[1]
    encoder: str = ""
    question: str
    image: str = ""
    weight: float = Field(Question("").weight, ge=0, le=1)
    strategy: str
    against: str
    shown: Annotated[int, Field(ge=1, le=MOST)] = SHOWN
    open: list[Panel] = []
    why: str = ""

    def line(self) -> str:
        """One line of JSON; what is as at the start is left out."""
        return json.dumps(self.model_dump(exclude_defaults=True), ensure_ascii=False)

    @classmethod
    def parse(cls, line: str) -> "PageState":
        """What `line` wrote. LabError that names what is wrong."""
        try:
            return read_as(cls, line)
        except ValueError as error:
            said = (
                f"state: {error}. Copy the whole line of a page of this version ({VERSION}); this page stays as it was."
            )
            raise LabError(said) from None
