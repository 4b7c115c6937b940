"""Tokenizers of the `tokenizers` library: trained on a corpus, or read from a file, a folder or the hub."""

import json
import re
import string
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from pdtutor.validate import user_path

SPECIAL = {"padding": "[PAD]", "unknown": "[UNK]", "start": "[CLS]", "end": "[SEP]", "mask": "[MASK]"}
# their keys in a published model's tokenizer_config.json: the first that it has counts
DECLARED = {
    "padding": ("pad_token",),
    "unknown": ("unk_token",),
    "start": ("cls_token", "bos_token"),
    "end": ("eos_token", "sep_token"),
    "mask": ("mask_token",),
}
# their names in the tokenizers of published models, for those that declare none
ALIASES = {
    "padding": ("[PAD]", "<pad>", "<|padding|>", "<|pad|>"),
    "unknown": ("[UNK]", "<unk>", "<|unk|>"),
    "start": ("[CLS]", "<s>", "<cls>", "<bos>", "<|begin_of_text|>", "<|startoftext|>", "<｜begin▁of▁sentence｜>"),
    "end": (
        "[SEP]", "</s>", "<|endoftext|>", "<|end_of_text|>", "<eos>", "[EOS]", "<|eos|>", "<｜end▁of▁sentence｜>",
        "<|end_of_document|>", "<|endofdocument|>", "<|end_of_sentence|>", "<end_of_text>", "<sep>", "<|im_end|>",
    ),
    "mask": ("[MASK]", "<mask>", "<|mask|>"),
}  # fmt: skip
RARE = 100  # with "characters", a character that occurs so often is known,
SHARE = 50_000  # and in a small corpus, one that is at least one in so many
ALPHABET = 64  # with the other kinds, this many of the most frequent characters are known at least,
COVERAGE = 0.999  # and more until this share of the text is known, as long as they take up at most half the vocabulary
CHINESE = 0.01  # from this share of the text on, Chinese characters are a script of the corpus, not names in it
PREFIX = "##"  # marks a word piece that does not begin a word
SPACE = "▁"  # stands for a space in the pieces of "bpe-N"


def train_tokenizer(kind: str, texts: Iterable[str]) -> Tokenizer:
    """Return a tokenizer trained on texts. The same texts always give the same one.

    All kinds turn texts into lower case and remove accents, as BERT's tokenizer does. It also puts spaces around
    Chinese characters; "characters" and "bpe-N" don't, if one in a hundred characters is Chinese or more.

    Which characters are known depends on the texts: see RARE and SHARE, and for "bpe-N" and "wordpiece-N" ALPHABET and
    COVERAGE. A script of thousands of characters needs "characters", or an N of more than twice as many.

    Args:
        kind: "characters", "bpe-N" or "wordpiece-N". N is the largest size of the vocabulary, including the five
            special tokens; few texts may give fewer pieces.
        texts: read twice, so the texts of an iterator are held in memory.

    Raises ValueError for any other kind, and for an N without room for the characters.
    """
    matched = re.fullmatch(r"characters|(bpe|wordpiece)-(\d+)", kind)
    if not matched:
        raise ValueError(f"tokenizer must be 'characters', 'bpe-N', 'wordpiece-N', a file or a folder; got {kind!r}")
    method, size = matched[1], int(matched[2] or 0)
    special, unknown = list(SPECIAL.values()), SPECIAL["unknown"]
    texts = list(texts) if isinstance(texts, Iterator) else texts
    counts = _characters(texts)
    apart = method == "wordpiece" or sum(n for c, n in counts.items() if _chinese(c)) < CHINESE * counts.total()
    normalizer = normalizers.BertNormalizer(lowercase=True, handle_chinese_chars=apart)
    if method is None:
        often = min(RARE, counts.total() / SHARE)
        known = [*special, *(c for c in _by_frequency(counts) if counts[c] >= often)]
        tokenizer = Tokenizer(models.WordLevel({token: i for i, token in enumerate(known)}, unk_token=unknown))
        tokenizer.normalizer = normalizer
        tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
        tokenizer.decoder = decoders.Fuse()
        tokenizer.add_special_tokens(special)
        return tokenizer
    alphabet = _alphabet(counts, size // 2, inner=method == "wordpiece")
    settings = {"vocab_size": size, "initial_alphabet": alphabet, "limit_alphabet": len(alphabet)}
    # Left alone, the library numbers these in an arbitrary order, by which it then breaks ties between equally
    # frequent pairs. As special tokens they have a fixed order.
    inner = [f"{PREFIX}{c}" for c in alphabet if _inside_words(c)] if method == "wordpiece" else []
    if size < (needed := len(special) + len(alphabet) + len(inner)):
        raise ValueError(f"{kind!r} has no room for the characters of these texts: N must be at least {needed}")
    if method == "bpe":
        tokenizer = Tokenizer(models.BPE(unk_token=unknown))
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        tokenizer.decoder = decoders.Metaspace()
        trainer = trainers.BpeTrainer(special_tokens=special, show_progress=False, **settings)
    else:
        tokenizer = Tokenizer(models.WordPiece(unk_token=unknown))
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.decoder = decoders.WordPiece()
        trainer = trainers.WordPieceTrainer(special_tokens=[*special, *inner], show_progress=False, **settings)
    tokenizer.normalizer = normalizer
    tokenizer.train_from_iterator(texts, trainer)
    if method == "wordpiece":  # built again, since a piece such as "##a" would be a special token itself
        parts = tokenizer.normalizer, tokenizer.pre_tokenizer, tokenizer.decoder
        tokenizer = Tokenizer(models.WordPiece(tokenizer.get_vocab(), unk_token=unknown))
        tokenizer.normalizer, tokenizer.pre_tokenizer, tokenizer.decoder = parts
        tokenizer.add_special_tokens(special)
    return tokenizer


def _characters(texts: Iterable[str]) -> Counter[str]:
    """Return how often each character occurs in normalized texts."""
    normalizer = normalizers.BertNormalizer(lowercase=True, handle_chinese_chars=False)
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(normalizer.normalize_str(text))
    return counts


def _by_frequency(counts: Counter[str]) -> list[str]:
    """Return the characters from the most frequent on, with ties in a fixed order; the library's would be arbitrary."""
    return sorted(counts, key=lambda character: (-counts[character], character))


def _alphabet(counts: Counter[str], room: int, *, inner: bool) -> list[str]:
    """Return the most frequent characters: ALPHABET, and more up to COVERAGE while they take up less than the room.

    With `inner`, a character that occurs inside words takes up two places. Otherwise the sign for a space is the first.
    """
    known, covered = [] if inner else [SPACE], 0
    characters = [character for character in _by_frequency(counts) if character not in (" ", SPACE)]
    needed = COVERAGE * sum(counts[character] for character in characters)
    for character in characters:
        if len(known) >= ALPHABET and (covered >= needed or len(known) >= room):
            break
        known.append(character)
        covered += counts[character]
        room -= inner and _inside_words(character)
    return known


def _inside_words(character: str) -> bool:
    """Return whether BERT's rules leave a character in its word: punctuation and Chinese are words of their own."""
    punctuation = character in string.punctuation or unicodedata.category(character).startswith("P")
    return not (punctuation or _chinese(character))


def _chinese(character: str) -> bool:
    return unicodedata.name(character, "").startswith(("CJK UNIFIED", "CJK COMPATIBILITY IDEOGRAPH"))


def load_tokenizer(source: str | Path) -> Tokenizer:
    """Return the tokenizer of a tokenizer.json, or of a model's folder or hub repository (with `transformers`).

    It neither truncates nor pads texts, whatever its file says. Code that comes with a model is never run.

    Raises ValueError, naming the source, if no tokenizer can be read from it, and ImportError if transformers is
    needed but not installed.
    """
    return read_tokenizer(source)[0]


def read_tokenizer(source: str | Path) -> tuple[Tokenizer, dict[str, int]]:
    """Return a tokenizer, as `load_tokenizer` does, and the ids of its special tokens by role; see `special_ids`.

    What they are says the model's tokenizer_config.json, which may also lie beside a tokenizer.json.
    """
    path = user_path(source)
    try:
        if path.is_file():
            tokenizer, declared = Tokenizer.from_file(str(path)), _declared(path.with_name("tokenizer_config.json"))
        else:
            from transformers import AutoTokenizer

            place = str(path) if path.is_dir() else str(source)
            loaded = AutoTokenizer.from_pretrained(place, use_fast=True, trust_remote_code=False)
            tokenizer, declared = loaded.backend_tokenizer, loaded.special_tokens_map
    except ImportError as error:
        raise ImportError("reading a model's tokenizer needs transformers: pip install 'pdtutor[hub]'") from error
    except Exception as error:  # the library raises bare Exceptions
        reason = (str(error) or type(error).__name__).splitlines()[0]
        if "trust_remote_code" in str(error):
            reason = (
                "it needs code that comes with the model, which is never run here; give the path of a tokenizer.json"
            )
        raise ValueError(f"no tokenizer can be read from {str(source)!r} ({reason})") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer, special_ids(tokenizer, declared)


def _declared(path: Path) -> dict[str, str]:
    """Return the special tokens in a tokenizer_config.json by their keys there; none if there is no such file."""
    if not path.is_file():
        return {}
    content = json.loads(path.read_text(encoding="utf-8"))
    keys = [key for role in DECLARED.values() for key in role if content.get(key)]
    return {key: content[key]["content"] if isinstance(content[key], dict) else content[key] for key in keys}


def special_ids(tokenizer: Tokenizer, declared: Mapping[str, str] = {}) -> dict[str, int]:
    """Return the ids of the special tokens that the tokenizer has, by role: padding, unknown, start, end, mask.

    They are known by what the model's tokenizer_config.json declares (its keys and tokens), else by usual names. What
    the tokenizer itself gives for unknown text is unknown in any case, unless it has another role too.
    """
    names = {
        role: (*(declared[key] for key in keys if key in declared), *ALIASES[role]) for role, keys in DECLARED.items()
    }
    names["unknown"] = (*_unknown_token(tokenizer), *names["unknown"])
    ids = {role: [i for name in names[role] if (i := tokenizer.token_to_id(name)) is not None] for role in SPECIAL}
    found = {role: candidates[0] for role, candidates in ids.items() if candidates}
    others = {i for role, i in found.items() if role != "unknown"}
    return {role: i for role, i in found.items() if role != "unknown" or i not in others}


def _unknown_token(tokenizer: Tokenizer) -> tuple[str, ...]:
    """Return the token that the tokenizer gives for what it doesn't know, if there is one."""
    if isinstance(tokenizer.model, models.Unigram):
        model = json.loads(tokenizer.to_str())["model"]
        return () if model["unk_id"] is None else (model["vocab"][model["unk_id"]][0],)
    return () if tokenizer.model.unk_token is None else (tokenizer.model.unk_token,)


def drops_unknown(tokenizer: Tokenizer) -> bool:
    """Return whether the tokenizer leaves out characters that it doesn't know, rather than to give an unknown token."""
    model = tokenizer.model
    return isinstance(model, models.BPE) and model.unk_token is None and not model.byte_fallback
