"""What a page does when something on it is changed."""

from collections.abc import Callable

import ipywidgets as widgets

from hiddenstates.core.errors import LabError
from hiddenstates.explorer.page import message


def tried(action: Callable[[], None], told: widgets.HTML) -> None:
    """Do it; what it refuses is told in one sentence, never raised."""
    try:
        told.value = ""
        action()
    except LabError as error:
        told.value = message(str(error))
