"""Three tokenizers trained from texts, each as its model's authors made theirs. The same texts give the same files.

All are a plain `PreTrainedTokenizerFast`, so that AutoTokenizer gives back what was trained: the classes that bear the
models' names would put normalizers of their own around the vocabulary.
"""

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from hiddenstates.core.errors import LabError

EXTRA_IDS = 100  # T5's sentinels (Raffel et al. 2020); and as many for visual objects (Cho et al. 2021)
SMALLEST = 600  # pieces; CLIP's has 512 before the first that was learned
ROUNDS = 5  # of counting; the fourth changes nearly nothing
LONGEST = {"t5": 256, "bart": 256, "clip": 77}  # tokens a text; CLIP's is its authors'
BYTES = sorted(pre_tokenizers.ByteLevel.alphabet())
CLIP_ENDS = ("<|startoftext|>", "<|endoftext|>")
CLIP_WORDS = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def train_tokenizer(kind: str, texts: Sequence[str], pieces: int) -> PreTrainedTokenizerFast:
    """One of `TOKENIZERS`, with at most this many entries; T5's and BART's have `extra_tokens` besides."""
    if kind not in TOKENIZERS:
        raise LabError(f"tokenizer {kind!r} is not one of {', '.join(TOKENIZERS)}.")
    if pieces < SMALLEST:
        raise LabError(f"a vocabulary of {pieces} pieces is too small: ask for {SMALLEST} or more.")
    if not any(text.strip() for text in texts):
        raise LabError(f"tokenizer {kind!r}: there is no text to train it on. Give it some passages.")
    return TOKENIZERS[kind](texts, pieces)


def extra_tokens() -> list[str]:
    """<extra_id_99> … <extra_id_0>, <vis_extra_id_99> … <vis_extra_id_0>.

    So the authors of VL-T5 have it: visual object k's row is the k-th from the end of the table.
    """
    return [f"<{kind}_{k}>" for kind in ("extra_id", "vis_extra_id") for k in reversed(range(EXTRA_IDS))]


def _t5(texts: Sequence[str], pieces: int) -> PreTrainedTokenizerFast:
    """A unigram model (Kudo 2018) with <pad> 0, </s> 1, <unk> 2; nothing begins a text."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    tokenizer.decoder = decoders.Metaspace()
    special = ["<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(vocab_size=pieces, special_tokens=special, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.model = _settled(tokenizer, texts, special)
    ends = [("</s>", 1)]
    tokenizer.post_processor = processors.TemplateProcessing("$A </s>", "$A </s> $B </s>", special_tokens=ends)
    named = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    return _wrapped("t5", tokenizer, named, extra_tokens())


def _settled(tokenizer: Tokenizer, texts: Sequence[str], special: Sequence[str]) -> models.Unigram:
    """The same pieces with scores counted anew, each by how often the best segmentation uses it (hard EM).

    The trainer walks a hash map, so the last digits of its sums, and the order of its pieces, are others each time.
    """
    pieces = sorted(tokenizer.get_vocab().keys() - set(special))
    words = Counter(word for text in texts for word in tokenizer.normalizer.normalize_str(text).split())
    scores = dict.fromkeys(pieces, -1.0)  # to begin with, the fewest pieces win
    for _ in range(ROUNDS):
        tokenizer.model = _unigram(special, scores)
        counts: Counter[str] = Counter()
        for said, times in zip(tokenizer.encode_batch(list(words)), words.values(), strict=True):
            counts.update({piece: said.tokens.count(piece) * times for piece in said.tokens})
        total = counts.total()
        scores = {piece: math.log((counts[piece] + 0.5) / total) for piece in pieces}
    return _unigram(special, dict(sorted(scores.items(), key=lambda item: (-item[1], item[0]))))


def _unigram(special: Sequence[str], scores: Mapping[str, float]) -> models.Unigram:
    entries = [*((token, 0.0) for token in special), *scores.items()]
    return models.Unigram(entries, unk_id=special.index("<unk>"), byte_fallback=False)


def _bart(texts: Sequence[str], pieces: int) -> PreTrainedTokenizerFast:
    """Byte-level BPE with <s> 0, <pad> 1, </s> 2, <unk> 3, <mask> 4; no text is unknown to it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trainer = trainers.BpeTrainer(
        vocab_size=pieces, special_tokens=special, initial_alphabet=BYTES, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    named = {"bos_token": "<s>", "cls_token": "<s>", "eos_token": "</s>", "sep_token": "</s>"}
    named |= {"pad_token": "<pad>", "unk_token": "<unk>"}
    # the mask takes the blank before it along, as BART's does
    mask = AddedToken("<mask>", lstrip=True, special=True)
    return _wrapped("bart", tokenizer, named | {"mask_token": mask}, extra_tokens())


def _clip(texts: Sequence[str], pieces: int) -> PreTrainedTokenizerFast:
    """CLIP's BPE (Radford et al. 2021): lower case, `</w>` ends a word, the last two ids begin and end a text.

    The vocabulary is built as its authors built it: every byte, every byte that ends a word, the merges.
    """
    return clip_tokenizer(_clip_merges(texts, pieces)[: pieces - 2 * len(BYTES) - len(CLIP_ENDS)])


def clip_tokenizer(merges: Sequence[tuple[str, str]]) -> PreTrainedTokenizerFast:
    """CLIP's tokenizer of these merges, trained or published; the bytes are numbered as its authors numbered them."""
    entries = [*BYTES, *(f"{byte}</w>" for byte in BYTES), *map("".join, merges), *CLIP_ENDS]
    vocabulary = {entry: i for i, entry in enumerate(dict.fromkeys(entries))}
    tokenizer = _clip_words(models.BPE(vocabulary, list(merges), end_of_word_suffix="</w>", unk_token=CLIP_ENDS[1]))
    first, last = ((token, vocabulary[token]) for token in CLIP_ENDS)
    tokenizer.post_processor = processors.RobertaProcessing(last, first, add_prefix_space=False)
    begins, ends = CLIP_ENDS
    named = {"bos_token": begins, "eos_token": ends, "pad_token": ends, "unk_token": ends}
    return _wrapped("clip", tokenizer, named, [])


def _clip_merges(texts: Sequence[str], pieces: int) -> list[tuple[str, str]]:
    """What is merged, in the order learned.

    The trainer's own way of ending words numbers the ends in the order of a hash map, and breaks ties by those numbers:
    another order each time. So the last byte of a word is a letter of its own while it learns.
    """
    cut = _clip_words(models.BPE())
    ends = {byte: chr(0xE000 + i) for i, byte in enumerate(BYTES)}  # Unicode's private use: no byte is written so
    words = [[word for word, _ in cut.pre_tokenizer.pre_tokenize_str(cut.normalizer.normalize_str(t))] for t in texts]
    lines = [" ".join(word[:-1] + ends[word[-1]] for word in line) for line in words]
    learned = Tokenizer(models.BPE())
    learned.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    alphabet = [*BYTES, *ends.values()]
    learned.train_from_iterator(
        lines, trainers.BpeTrainer(vocab_size=pieces, initial_alphabet=alphabet, show_progress=False)
    )
    spelled = str.maketrans({end: f"{byte}</w>" for byte, end in ends.items()})
    pairs = json.loads(learned.to_str())["model"]["merges"]
    return [(first.translate(spelled), second.translate(spelled)) for first, second in pairs]


def _clip_words(model: models.Model) -> Tokenizer:
    """A tokenizer that cuts a text into words as CLIP does, around this model."""
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    words = pre_tokenizers.Split(Regex(CLIP_WORDS), behavior="removed", invert=True)
    blank = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, blank])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("</w>", "Ġ"), decoders.ByteLevel(), decoders.Strip(" ", 0, 1)]
    )
    return tokenizer


def _wrapped(
    kind: str, tokenizer: Tokenizer, named: Mapping[str, Any], extra: Sequence[str]
) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=LONGEST[kind],
        extra_special_tokens=list(extra),
        model_input_names=["input_ids", "attention_mask"],
        clean_up_tokenization_spaces=False,
        **named,
    )


TOKENIZERS: dict[str, Callable[[Sequence[str], int], PreTrainedTokenizerFast]] = {
    "t5": _t5,
    "bart": _bart,
    "clip": _clip,
}
