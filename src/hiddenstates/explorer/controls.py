"""The widgets that ask: one group for the question, one for the strategy."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import ipywidgets as widgets

from hiddenstates.core.errors import LabError
from hiddenstates.core.images import read_image
from hiddenstates.core.strategy import COMBINES, Strategy
from hiddenstates.encoding.forward.families import StateMap
from hiddenstates.explorer.page import picture
from hiddenstates.explorer.search import Question
from hiddenstates.explorer.systems import System, plain, read_system, vector_of

WIDE = widgets.Layout(width="99%")
SHORT = widgets.Layout(width="170px")
NAMED = {"description_width": "70px"}
NO_IMAGE = ""  # a drop-down whose value is None shows nothing at all


class QuestionControls:
    """A text, an image of the task's or one's own, and how much the image weighs.

    examples: by what they are called, questions to start from; the first one stands there already
    images:   by what they are called; none where the passages have none, and then there is nothing to choose
    """

    def __init__(self, examples: Mapping[str, Question], images: Mapping[str, Path]) -> None:
        self._uploads = TemporaryDirectory(prefix="hiddenstates-")
        self._examples = examples
        self.example = widgets.Dropdown(options=list(examples), description="example", layout=WIDE, style=NAMED)
        self.text = widgets.Text(description="question", continuous_update=False, layout=WIDE, style=NAMED)
        self.image = widgets.Dropdown(options=[("none", NO_IMAGE), *images.items()], description="image", style=NAMED)
        self.upload = widgets.FileUpload(description="upload", layout=widgets.Layout(width="110px"))
        self.weight = widgets.FloatSlider(Question("").weight, min=0, max=1, step=0.05, readout_format=".2f")
        self.seen = widgets.HTML().add_class("hs-asked")
        pictured = [self.image, self.upload, widgets.Label("its weight"), self.weight, self.seen]
        self.inputs = [self.text, self.image, self.weight]
        self.rows = [self.example, self.text, *([widgets.HBox(pictured)] if images else [])]
        self.follow_example()

    def question(self) -> Question:
        """What the widgets say now."""
        image: Path | None = self.image.value or None
        self.weight.disabled = image is None
        self.seen.value = picture(image, "the question's image") if image else ""
        return Question(self.text.value, image, self.weight.value)

    def follow_example(self) -> None:
        """Take over the text and the image of the example."""
        if example := self._examples.get(self.example.value):
            self.text.value, self.image.value = example.text, example.image or NO_IMAGE

    def take_upload(self) -> None:
        """Add the uploaded image to those to choose from, and choose it. LabError if it is none, or too large."""
        for file in self.upload.value:
            path = Path(self._uploads.name, str(len(self.image.options)))  # its own name may be anything
            path.write_bytes(file["content"])
            self.upload.value = ()
            try:
                read_image(path)
            except LabError as error:
                raise LabError(str(error).replace(str(path), file["name"])) from None
            self.image.options = [*self.image.options, (f"uploaded: {file['name']}", path)]
            self.image.value = path


class StrategyControls:
    """Which hidden states, combined and pooled how: by buttons, or as a string, which can say more.

    The string rules. What a button changes is written there; what is written there moves the buttons as far as they can
    say it.

    poolings: those to choose from
    default:  what stands there first, and what is compared with; its layers counted from 0
    ready:    strings to start from, by what they are called
    """

    def __init__(
        self, state_map: StateMap, poolings: Sequence[str], default: Strategy, ready: Mapping[str, str]
    ) -> None:
        self.layers = [
            widgets.ToggleButton(False, description=str(i), tooltip=state.module).add_class("hs-layer")
            for i, state in enumerate(state_map)
        ]
        several = [combine for combine in COMBINES if combine != "single"]
        self.combine = widgets.Dropdown(options=several, description="combine", layout=SHORT, style=NAMED)
        self.pool = widgets.Dropdown(options=poolings, description="pool", layout=SHORT)
        self.layer_norm = widgets.Checkbox(False, description="layer norm", indent=False, layout=SHORT)
        self.inputs = [*self.layers, self.combine, self.pool, self.layer_norm]
        self.typed, self.against = (
            widgets.Text(str(default), description=name, continuous_update=False, layout=WIDE, style=NAMED)
            for name in ("strategy", "against")
        )
        named = {f"{name}: {text}": text for name, text in ready.items()}
        self.ready = widgets.Dropdown(options=[("…", ""), *named.items()], description="take", layout=WIDE, style=NAMED)
        self.following = False
        states = widgets.HBox([widgets.Label("layers").add_class("hs-name"), *self.layers])
        states.layout.flex_flow = "row wrap"
        self.rows = [states, widgets.HBox([self.combine, self.pool, self.layer_norm])]
        self.rows += [*([self.ready] if ready else []), self.typed, self.against]

    def write(self) -> None:
        """What the buttons say, as a string. LabError when no layer is on."""
        layers = tuple(i for i, button in enumerate(self.layers) if button.value)
        self.combine.disabled = len(layers) < 2
        if not layers:
            self.typed.value = ""
            raise LabError("No layer is chosen: switch at least one on.")
        combine = "single" if len(layers) == 1 else self.combine.value
        self.typed.value = str(Strategy(layers, combine, self.pool.value, layer_norm=self.layer_norm.value))

    def take(self) -> None:
        """Take over what was chosen among the strings that are ready."""
        if taken := self.ready.value:
            self.ready.value = ""  # so that the same can be taken again
            self.typed.value = taken

    def system(self) -> System:
        """What the string says now. LabError where it says nothing that can rank."""
        found = read_system(self.typed.value, len(self.layers))
        self._follow(found)
        return found

    def compared(self) -> System:
        """What the ranking is compared with."""
        return read_system(self.against.value, len(self.layers))

    def _follow(self, system: System) -> None:
        """Let the buttons say what they can: the layers that are used, and all of a plain strategy."""
        strategy, simple = vector_of(system), plain(system)
        self.following = True
        try:
            used = set() if strategy is None else set(strategy.layers)
            for i, button in enumerate(self.layers):
                button.value = i in used
            self.combine.disabled = len(used) < 2
            if simple and simple.pool in self.pool.options:
                self.pool.value, self.layer_norm.value = simple.pool, simple.layer_norm
                if simple.combine != "single":
                    self.combine.value = simple.combine
        finally:
            self.following = False
