"""Tokenizers of the `tokenizers` library: trained on a corpus, or read from a file, a folder or the hub."""

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from pdtutor.files import user_path

SPECIAL = {"padding": "[PAD]", "unknown": "[UNK]", "start": "[CLS]", "end": "[SEP]", "mask": "[MASK]"}
# their names in the tokenizers of published models
ALIASES = {
    "padding": ("[PAD]", "<pad>", "<|padding|>"),
    "unknown": ("[UNK]", "<unk>"),
    "start": ("[CLS]", "<s>"),
    "end": ("[SEP]", "</s>", "<|endoftext|>"),
    "mask": ("[MASK]", "<mask>"),
}
RARE = 100  # with "characters", a character that occurs less often is unknown
ALPHABET = 64  # with the other kinds, only this many of the most frequent characters are known
PREFIX = "##"  # marks a word piece that does not begin a word


def train_tokenizer(kind: str, texts: Iterable[str]) -> Tokenizer:
    """Return a tokenizer trained on texts. The same texts always give the same one.

    All kinds turn texts into lower case and remove accents, as BERT's tokenizer does.

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
    normalizer = normalizers.BertNormalizer(lowercase=True)
    if method is None:
        tokenizer = Tokenizer(models.WordLevel({}, unk_token=unknown))
        tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
        tokenizer.decoder = decoders.Fuse()
        trainer = trainers.WordLevelTrainer(special_tokens=special, min_frequency=RARE, show_progress=False)
    else:
        texts = list(texts) if isinstance(texts, Iterator) else texts
        alphabet = _alphabet(texts, normalizer, space="▁" if method == "bpe" else "")
        settings = {"vocab_size": size, "initial_alphabet": alphabet, "limit_alphabet": ALPHABET}
        # Left alone, the library numbers these in an arbitrary order, by which it then breaks ties between equally
        # frequent pairs. As special tokens they have a fixed order.
        inner = [f"{PREFIX}{c}" for c in alphabet if not _punctuation(c)] if method == "wordpiece" else []
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


def _alphabet(texts: Iterable[str], normalizer: normalizers.Normalizer, *, space: str) -> list[str]:
    """Return the ALPHABET most frequent characters, with ties in a fixed order; the library's would be arbitrary."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(normalizer.normalize_str(text).replace(" ", space))
    return sorted(counts, key=lambda character: (-counts[character], character))[:ALPHABET]


def _punctuation(character: str) -> bool:
    return character in string.punctuation or unicodedata.category(character).startswith("P")


def load_tokenizer(source: str | Path) -> Tokenizer:
    """Return the tokenizer of a tokenizer.json, or of a model's folder or hub repository (with `transformers`).

    It neither truncates nor pads texts, whatever its file says.

    Raises ValueError, naming the source, if no tokenizer can be read from it, and ImportError if transformers is
    needed but not installed.
    """
    source = path = user_path(source)
    try:
        if path.is_file():
            tokenizer = Tokenizer.from_file(str(path))
        else:
            from transformers import AutoTokenizer

            tokenizer = AutoTokenizer.from_pretrained(str(source), use_fast=True).backend_tokenizer
    except ImportError as error:
        raise ImportError("reading a model's tokenizer needs transformers: pip install 'pdtutor[hub]'") from error
    except Exception as error:  # the library raises bare Exceptions
        raise ValueError(f"no tokenizer can be read from {str(source)!r} ({error})") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def special_ids(tokenizer: Tokenizer) -> dict[str, int]:
    """Return the ids of the special tokens that the tokenizer has, by role: padding, unknown, start, end, mask."""
    found = {
        role: next((i for name in names if (i := tokenizer.token_to_id(name)) is not None), None)
        for role, names in ALIASES.items()
    }
    return {role: i for role, i in found.items() if i is not None}
