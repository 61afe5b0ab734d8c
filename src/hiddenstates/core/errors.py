"""The lab's one kind of error: it names the thing that is wrong and the way out."""

import textwrap


class LabError(Exception):
    """Bad input. The message says what was wrong, where, and what to do about it."""


def shortened(message: str, width: int = 200) -> str:
    """Somebody else's message in one line of that many characters at most, cut between two words."""
    return textwrap.shorten(message, width, placeholder=" …")
