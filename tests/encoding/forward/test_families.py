from pathlib import Path

import pytest
from tiny import save_tiny, tiny_model

from hiddenstates.core.errors import LabError
from hiddenstates.encoding.encoder import load_encoder
from hiddenstates.encoding.forward import families
from hiddenstates.encoding.forward.families import FAMILIES, Family, State, part_of, parts_of
from hiddenstates.encoding.inspection.small import small_model


@pytest.mark.parametrize(
    ("kind", "parts"),
    [
        ("bert", {"": ("", "text", "hidden_states")}),
        (
            "t5",
            {
                "encoder": ("encoder", "text", "hidden_states"),
                "decoder": ("", "text, shifted", "decoder_hidden_states"),
            },
        ),
        (
            "vlbart",
            {
                "encoder": ("encoder", "text and boxes", "hidden_states"),
                "decoder": ("", "text, shifted", "decoder_hidden_states"),
            },
        ),
        (
            "clip",
            {"text": ("text_model", "text", "hidden_states"), "vision": ("vision_model", "image", "hidden_states")},
        ),
        ("clip_text_model", {"text": ("", "text", "hidden_states")}),
        ("clip_vision_model", {"vision": ("", "image", "hidden_states")}),
    ],
)
def test_parts_are_found(kind: str, parts: dict[str, tuple[str, str, str]]) -> None:
    found = parts_of(tiny_model(kind))
    assert {name: (part.path, part.reads, part.output) for name, part in found.items()} == parts
    assert part_of(tiny_model(kind)) == next(iter(found.values()))


@pytest.mark.parametrize(
    ("kind", "part", "message"),
    [
        ("clip", "encoder", "a model of type 'clip' has no part 'encoder'. Choose 'text' or 'vision'."),
        ("bert", "encoder", "a model of type 'bert' has no part 'encoder'. It is not in parts: leave it out."),
        (
            "whisper",
            None,
            "takes no texts \\(input_ids\\) and no images \\(pixel_values\\)",
        ),
    ],
)
def test_what_is_not_there_is_refused(kind: str, part: str | None, message: str) -> None:
    with pytest.raises(LabError, match=message):
        part_of(small_model(kind) if kind == "whisper" else tiny_model(kind), part)


def test_what_is_left_of_a_family_is_one_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A BERT that pools the first end: said in one line, and every state stays what it was."""
    save_tiny(tmp_path)
    before = load_encoder(str(tmp_path))
    monkeypatch.setitem(families.FAMILIES, ("bert", ""), Family(first_end=True))
    after = load_encoder(str(tmp_path))
    ends = [encoder.states(["bern [SEP] is red"]).eos for encoder in (before, after)]
    assert [end.tolist() for end in ends if end is not None] == [[5], [2]]
    assert after.state_map == before.state_map


def test_entries_stand_only_for_what_no_trace_can_know() -> None:
    assert all(family != Family() for family in FAMILIES.values())
    assert {kind for (kind, _), family in FAMILIES.items() if family.boxes} == {"vlt5", "vlbart"}


def test_a_state_says_whether_a_module_puts_it_out() -> None:
    assert State("layers.0").traced
    assert not State("made in decoder.forward").traced
