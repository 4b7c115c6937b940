"""Tokenizers of the `tokenizers` library: trained on a corpus, or read from a file, a folder or the hub."""

import re
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

SPECIAL = {"padding": "[PAD]", "unknown": "[UNK]", "start": "[CLS]", "end": "[SEP]", "mask": "[MASK]"}
# what the tokenizers of published models call them
ALIASES = {
    "padding": ("[PAD]", "<pad>", "<|padding|>"),
    "unknown": ("[UNK]", "<unk>"),
    "start": ("[CLS]", "<s>"),
    "end": ("[SEP]", "</s>", "<|endoftext|>"),
    "mask": ("[MASK]", "<mask>"),
}
RARE = 100  # a character seen less often is unknown


def train_tokenizer(kind: str, texts: Iterable[str]) -> Tokenizer:
    """Return a tokenizer trained on texts; all are lower-case, without accents, as BERT's "uncased".

    Args:
        kind: "characters", "bpe-N" or "wordpiece-N", N being the size of the vocabulary with its five special tokens.

    Raises ValueError for any other kind.
    """
    matched = re.fullmatch(r"characters|(bpe|wordpiece)-(\d+)", kind)
    if not matched:
        raise ValueError(f"tokenizer must be 'characters', 'bpe-N', 'wordpiece-N', a file or a folder; got {kind!r}")
    method, size = matched[1], matched[2] and int(matched[2])
    special, unknown = list(SPECIAL.values()), SPECIAL["unknown"]
    if method is None:
        tokenizer = Tokenizer(models.WordLevel({}, unk_token=unknown))
        tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
        tokenizer.decoder = decoders.Fuse()
        trainer = trainers.WordLevelTrainer(special_tokens=special, min_frequency=RARE, show_progress=False)
    elif method == "bpe":
        tokenizer = Tokenizer(models.BPE(unk_token=unknown))
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        tokenizer.decoder = decoders.Metaspace()
        trainer = trainers.BpeTrainer(
            vocab_size=size, special_tokens=special, limit_alphabet=64, show_progress=False
        )
    else:
        tokenizer = Tokenizer(models.WordPiece(unk_token=unknown))
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.decoder = decoders.WordPiece()
        trainer = trainers.WordPieceTrainer(
            vocab_size=size, special_tokens=special, limit_alphabet=64, show_progress=False
        )
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def load_tokenizer(source: str | Path) -> Tokenizer:
    """Return the tokenizer of a tokenizer.json, or of a model's folder or hub repository (with `transformers`).

    Raises ValueError, naming the source, if there is none.
    """
    path = Path(source)
    try:
        if path.is_file():
            return Tokenizer.from_file(str(path))
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(str(source), use_fast=True).backend_tokenizer
    except ImportError as error:
        raise ImportError("tokenizers of models are read with transformers: pip install 'pdtutor[hub]'") from error
    except Exception as error:  # the library raises bare Exceptions
        raise ValueError(f"no tokenizer can be read from {str(source)!r} ({error})") from error


def special_ids(tokenizer: Tokenizer) -> dict[str, int]:
    """Return the ids of those of padding, unknown, start, end and mask that the tokenizer has."""
    found = {
        role: next((i for name in names if (i := tokenizer.token_to_id(name)) is not None), None)
        for role, names in ALIASES.items()
    }
    return {role: i for role, i in found.items() if i is not None}
