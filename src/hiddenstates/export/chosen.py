"""The choice that a stage left, and the encoder that it was made for."""

from pathlib import Path

from hiddenstates.core.errors import LabError
from hiddenstates.core.joined import AnyStrategy
from hiddenstates.core.params import EncoderSource, load_params
from hiddenstates.core.paths import params_file
from hiddenstates.encoding.choice import Choice
from hiddenstates.encoding.encoder import Encoder, load_encoder
from hiddenstates.pipeline.settings import encoders


def chosen(folder: Path) -> tuple[Choice, Encoder]:
    """A stage's choice, and its encoder: the line of states.encoders that has its fingerprint.

    folder: `out/strategies/minilm/choice`, say; the line of that name is tried first. LabError where no line fits.
    """
    choice = Choice.load(folder)
    lines = encoders(load_params(params_file()))
    first = folder.absolute().parent.name
    for name in sorted(lines, key=lambda name: name != first):
        encoder = _loaded(lines[name])
        if encoder and encoder.fingerprint == choice.fingerprint:
            return choice, encoder
    raise LabError(
        f"{folder}: it was made for model {choice.fingerprint}, and no line of states.encoders in {params_file()} is "
        f"that model. Name it by --model; the strategy is {choice.strategy}."
    )


def named(encoder: Encoder, wanted: AnyStrategy) -> Choice:
    """A strategy, as a choice. LabError for one that whitens: it must have been fitted to passages."""
    if wanted.whitened:
        raise LabError(f"strategy {wanted}: it whitens, and what by is in a stage's choice. Export that by --choice.")
    wanted.resolve(len(encoder.state_map))
    encoder.check_poolings(wanted.pools)
    return Choice(wanted, encoder.fingerprint, {})


def _loaded(line: EncoderSource) -> Encoder | None:
    """The encoder of a line; None where it cannot be loaded, as one that `pretrain` has not made yet."""
    try:
        return load_encoder(**line.model_dump())
    except LabError:
        return None
