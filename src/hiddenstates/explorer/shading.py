"""A `Why` as HTML: the words of both sides, each shaded by what it adds, with the number for whoever points at it."""

from html import escape

from hiddenstates.explorer.why import Text, Why, Word

STRONGEST = 0.45  # of the shade's opacity: the letters on it are read in a light page and in a dark one
NAMED = 3
PLUS, MINUS = "var(--hs-plus)", "var(--hs-minus)"  # of page.css: others in a dark page


def shaded(why: Why) -> str:
    """The panel that stands below a passage."""
    pairs = "; ".join(f"{_name(one)} × {_name(other)} {added:+.3f}" for one, other, added in why.pairs)
    lines = [
        f"<p>The question’s words add up to the text’s score, <b>{why.score:.3f}</b>; so do the passage’s.</p>",
        _side("question", why.question),
        _side("passage", why.passage),
        f"<p>Most by pairs: {pairs}.</p>" if pairs else "",
        f"<p>{' '.join(escape(note) for note in why.notes)}</p>",
    ]
    return f'<div class="hs-why">{"".join(lines)}</div>'


def _side(name: str, side: Text) -> str:
    most = max((abs(word.adds) for word in side.words), default=0.0)
    best = sorted(side.words, key=lambda word: -abs(word.adds))[:NAMED]
    named = ", ".join(f"{_name(side.called(word))} {word.adds:+.3f}" for word in best)
    return (
        f'<div class="hs-side"><b>{name}</b> {_legend(most)} <span class="hs-most">most: {named}</span>'
        f'<p class="hs-words">{_words(side, most)}</p></div>'
    )


def _legend(most: float) -> str:
    """From the word that takes as much away as the strongest one adds, to that."""
    ends = f"rgba({MINUS}, {STRONGEST}), transparent, rgba({PLUS}, {STRONGEST})"
    bar = f'<span class="hs-bar" style="background: linear-gradient(to right, {ends})"></span>'
    return f'<span class="hs-legend">−{most:.3f} {bar} +{most:.3f}</span>'


def _words(side: Text, most: float) -> str:
    drawn, at = [], 0
    for word in side.words:
        drawn += [_plain(side, at, word.start), _word(side, word, most)]
        at = max(at, word.end)
    return "".join([*drawn, _plain(side, at, len(side.text))])


def _plain(side: Text, start: int, end: int) -> str:
    """Letters that add nothing: between words, or after what the encoder reads."""
    between = side.text[start : max(start, min(end, side.read))]
    unread = side.text[max(start, side.read) : max(start, end)]
    cut = f'<span class="hs-unread" title="not read: the text is cut here">{escape(unread)}</span>' if unread else ""
    return escape(between) + cut


def _word(side: Text, word: Word, most: float) -> str:
    opacity = STRONGEST * abs(word.adds) / most if most else 0.0
    colour = PLUS if word.adds >= 0 else MINUS
    kinds = ["hs-word", *(["hs-minus"] if word.adds < 0 else []), *(["hs-bare"] if word.start == word.end else [])]
    pieces = ", ".join(f"{label} {added:+.4f}" for label, added in word.pieces[:12])
    told = f"{word.adds:+.4f}" + (f" = {pieces}" if len(word.pieces) > 1 else "")
    style = f"background: rgba({colour}, {opacity:.3f})"
    name = escape(side.called(word))
    return f'<span class="{" ".join(kinds)}" style="{style}" title="{escape(told)}">{name}</span>'


def _name(label: str) -> str:
    return f"<i>{escape(label)}</i>"
