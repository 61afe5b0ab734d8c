"""The lab's one kind of error: it names the thing that is wrong and the way out."""


class LabError(Exception):
    """Bad input. The message says what was wrong, where, and what to do about it."""
