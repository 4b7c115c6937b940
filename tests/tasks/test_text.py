"""Windows of text as examples: what is masked, what follows, what is held out; probes and training on them."""

import hashlib
import json
import math
import os
import shutil
import string
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import nn

from pdtutor import AdamW, Transformer, ngram_closeness, ngram_robustness, train
from pdtutor.seeds import generator
from pdtutor.tasks.build import build_task
from pdtutor.tasks.masking import mask_rows
from pdtutor.tasks.stream import Stream
from pdtutor.tasks.task import IGNORED, Fingerprinted
from pdtutor.tasks.text import CausalText, MaskedText
from pdtutor.text.tokenizers import train_tokenizer
from pdtutor.training.evaluate import held_out

TRAINING, HELD_OUT = "abcdefgh", "stuvwxyz"  # the letters of either's words


def made_up(seed, n, letters, *, validation):
    """Return n documents of this split, of words that there are none of, with a character that is unknown."""
    rng = np.random.default_rng(seed)
    lexicon = ["".join(rng.choice(list(letters), rng.integers(2, 6))) for _ in range(12)]
    found = []
    while len(found) < n:
        text = " ".join(rng.choice(lexicon, 40)) + "§."
        digest = hashlib.sha256(text.encode()).digest()
        found += [text] if (int.from_bytes(digest[:4], "big") % 20 == 0) == validation else []
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a corpus, whose training and validation documents share no letters, and a tokenizer of letters."""
    folder = tmp_path_factory.mktemp("text")
    texts = made_up(0, 300, TRAINING, validation=False) + made_up(1, 30, HELD_OUT, validation=True)
    (folder / "corpus").mkdir()
    rows = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    (folder / "corpus" / "a.jsonl").write_text(rows, encoding="utf-8")
    train_tokenizer("characters", [f"{string.ascii_lowercase} ."] * 100).save(str(folder / "letters.json"))
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PDTUTOR_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield folder


@pytest.fixture(scope="module")
def text(folder):
    """Return a task on the corpus."""

    def make(task, **settings):
        return task(folder / "corpus", **{"tokenizer": folder / "letters.json", "length": 24} | settings)

    return make


def letters_of(task, ids):
    """Return which characters there are among ids."""
    return {task.tokens.tokenizer.id_to_token(int(i)) for i in np.unique(ids[ids >= 0])}


@pytest.mark.parametrize("kind", [MaskedText, CausalText])
def test_examples_have_the_task_s_shape_and_are_those_of_the_generator(text, kind):
    task = text(kind)
    assert task.classes == task.vocabulary == 5 + 28
    assert task.longest == 24
    assert task.padding is None
    for draw in (task.sample, task.sample_held_out):
        inputs, labels = draw(generator(0, "x"), 50)
        assert inputs.shape == labels.shape == (50, 24)
        assert inputs.dtype == labels.dtype == np.int64
        assert inputs.min() >= 0
        assert inputs.max() < task.classes
        again = draw(generator(0, "x"), 50)
        np.testing.assert_array_equal(inputs, again[0])
        np.testing.assert_array_equal(labels, again[1])
        assert (draw(generator(1, "x"), 50)[0] != inputs).any()


def test_selected_tokens_are_masked_replaced_or_kept_in_bert_s_shares(text):
    task = text(MaskedText, length=66, rate=0.2)
    special = task.tokens.special
    assert sorted(task.alphabet) == sorted(set(range(task.classes)) - set(special.values()))
    rng = generator(0, "x")
    windows = task.sentences(rng, 4000)
    rows = task.rows(windows)
    assert windows.ids.shape == (4000, 64)
    assert windows.lengths.tolist() == [64] * 4000
    assert (rows[:, 0] == special["start"]).all()
    assert (rows[:, -1] == special["end"]).all()
    np.testing.assert_array_equal(rows[:, 1:-1], windows.ids)
    tokens = task.is_token(rows)
    assert not tokens[:, [0, -1]].any()
    inside = {role: (windows.ids == special[role]).any() for role in special}
    assert inside == {"padding": False, "unknown": True, "start": False, "end": True, "mask": False}
    assert (tokens == (rows > max(special.values()))).all()
    inputs, labels = mask_rows(rng, rows, tokens, rate=0.2, mask=task.mask, alphabet=task.alphabet)
    selected = labels != IGNORED
    assert not selected[~tokens].any()
    assert (labels[selected] == rows[selected]).all()
    assert (inputs[~selected] == rows[~selected]).all()
    assert abs(selected[tokens].mean() - 0.2) < 5 * 0.4 / np.sqrt(tokens.sum())
    shown, true = inputs[selected], rows[selected]
    bound = 5 * 0.5 / np.sqrt(len(shown))
    replaced = (shown != task.mask) & (shown != true)
    assert abs((shown == task.mask).mean() - 0.8) < bound
    assert abs((shown == true).mean() - (0.1 + 0.1 / 28)) < bound
    assert abs(replaced.mean() - 0.1 * 27 / 28) < bound
    assert set(np.unique(shown[replaced])) == set(task.alphabet)  # every ordinary token, and no other id


def test_examples_are_rows_masked_at_the_task_s_rate(text):
    for rate in (0.1, 0.5):
        task = text(MaskedText, rate=rate)
        inputs, labels = task.sample(generator(0, "x"), 3000)
        assert (inputs[:, 0] == task.tokens.special["start"]).all()
        assert (inputs[:, -1] == task.tokens.special["end"]).all()
        assert (labels[:, [0, -1]] == IGNORED).all()
        assert set(np.unique(labels)) <= {IGNORED, *task.alphabet}
        ids = np.where(labels == IGNORED, inputs, labels)
        share = (labels != IGNORED).sum() / task.is_token(ids).sum()
        assert share == pytest.approx(rate + (1 - rate) ** 22 / 22, abs=0.01)  # one of 22 where chance selects none
        assert ((labels != IGNORED).sum(1) >= 1).all()


@pytest.mark.parametrize("rate", [0.15, 0.5])
def test_all_that_is_scored_in_held_out_rows_is_masked_and_training_rows_are_bert_s(text, rate):
    task = text(MaskedText, rate=rate)
    shares = {}
    for draw in (task.sample, task.sample_held_out):
        inputs, labels = draw(generator(0, "x"), 3000)
        scored, special = labels != IGNORED, ~task.is_token(np.where(labels == IGNORED, inputs, labels))
        assert not scored[special].any()
        assert not (inputs[~scored] == task.mask).any()
        shown, true = inputs[scored], labels[scored]
        shares[draw] = [(shown == task.mask).mean(), ((shown != task.mask) & (shown != true)).mean()]
        bound = 5 * 0.5 / np.sqrt(len(shown))
    assert shares[task.sample_held_out] == [1, 0]
    assert shares[task.sample] == pytest.approx([0.8, 0.1 * 27 / 28], abs=bound)
    inputs, labels = held_out(task, 200)  # what accuracy is measured on
    assert ((labels != IGNORED) == (inputs == task.mask)).all()


def test_hiding_all_selects_and_draws_as_usual(text):
    task = text(MaskedText, rate=0.3)
    rows = task.rows(task.sentences(generator(0, "x"), 500))
    tokens = task.is_token(rows)
    given = {"rate": 0.3, "mask": task.mask, "alphabet": task.alphabet}
    rngs = generator(1, "x"), generator(1, "x")
    inputs, labels = mask_rows(rngs[0], rows, tokens, **given)
    hidden, same = mask_rows(rngs[1], rows, tokens, **given, hide_all=True)
    np.testing.assert_array_equal(same, labels)
    np.testing.assert_array_equal(hidden, np.where(labels == IGNORED, rows, task.mask))
    assert (inputs != hidden).any()
    assert rngs[0].random() == rngs[1].random()  # what is drawn next is the same


def test_a_row_without_tokens_has_nothing_selected():
    rows = np.array([[0, 1, 0], [0, 5, 0]])
    for seed in range(20):
        inputs, labels = mask_rows(generator(seed, "x"), rows, rows == 5, rate=0.01, mask=9, alphabet=np.arange(5, 8))
        assert labels.tolist() == [[IGNORED] * 3, [IGNORED, 5, IGNORED]]
        assert inputs[0].tolist() == [0, 1, 0]


def test_labels_of_autoregression_are_the_inputs_shifted_and_what_is_unknown_is_not_scored(text):
    task = text(CausalText)
    inputs, labels = task.sample(generator(0, "x"), 2000)
    scored = labels != IGNORED
    following, scored_before = inputs[:, 1:], scored[:, :-1]
    assert (labels[:, :-1] == following)[scored_before].all()
    unknown = task.tokens.special["unknown"]
    assert ((following == unknown) == ~scored_before).all()
    assert (~scored).any()
    assert (labels == task.tokens.special["end"]).any()  # documents end


@pytest.mark.parametrize("kind", [MaskedText, CausalText])
def test_training_and_evaluation_share_no_document(text, kind):
    task = text(kind)
    ends = set(". ") | {"[UNK]", "[CLS]", "[SEP]", "[MASK]"}
    inputs, labels = task.sample(generator(0, "x"), 3000)
    ids = np.where(labels == IGNORED, inputs, labels) if kind is MaskedText else inputs
    random = set(string.ascii_lowercase) if kind is MaskedText else set()  # that replace tokens
    assert letters_of(task, labels) - ends == set(TRAINING)
    assert letters_of(task, ids) - ends == set(TRAINING)
    assert letters_of(task, inputs) - ends == set(TRAINING) | random
    inputs, labels = (part.numpy() for part in held_out(task, 1000))
    assert letters_of(task, labels) - ends == set(HELD_OUT)
    if kind is MaskedText:
        assert letters_of(task, task.sentences(generator(0, "x"), 500).ids) - ends == set(HELD_OUT)


def test_held_out_examples_depend_on_the_seed_alone(text):
    task = text(MaskedText)
    first, again, other = held_out(task, 40), held_out(task, 40), held_out(task, 40, seed=1)
    wanted = task.sample_held_out(generator(0, "evaluation"), 40)
    for part in range(2):
        torch.testing.assert_close(first[part], again[part])
        np.testing.assert_array_equal(first[part].numpy(), wanted[part])
    assert (first[0] != other[0]).any()


def test_every_place_of_a_split_is_drawn_alike(text):
    task = text(CausalText)
    ids = task.tokens.split("validation")
    drawn = task.windows(generator(0, "x"), 2000, split="validation", length=len(ids) - 3)
    starts = {tuple(ids[i : i + len(ids) - 3].astype(int)): i for i in range(4)}
    counts = np.bincount([starts[tuple(row)] for row in drawn], minlength=4)
    assert abs(counts - 500).max() < 5 * math.sqrt(2000 * 3 / 16)
    assert drawn.dtype == np.int64


@pytest.mark.parametrize("kind", [MaskedText, CausalText])
def test_a_text_task_is_rebuilt_from_its_config(text, folder, kind):
    settings = {"limit": 320} | ({"rate": 0.3} if kind is MaskedText else {})
    task = text(kind, **settings)
    config = json.loads(json.dumps(task.config()))
    assert config == {
        "class": kind.__name__,
        "corpus": [str(folder / "corpus")],
        "tokenizer": str(folder / "letters.json"),
        "length": 24,
        **settings,
    }
    rebuilt = build_task(config)
    assert rebuilt == task
    assert rebuilt.config() == task.config()
    for mine, theirs in zip(task.sample(generator(3, "x"), 20), rebuilt.sample(generator(3, "x"), 20), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_a_corpus_is_one_or_several_names_or_folders():
    one = MaskedText("some/folder")
    assert one == MaskedText(Path("some/folder")) == MaskedText(["some/folder"]) == MaskedText((Path("some/folder"),))
    assert one != MaskedText(["some/folder", "shakespeare"])
    assert MaskedText("x", Path("t.json")) == MaskedText("x", "t.json")
    assert hash(one) == hash(MaskedText(["some/folder"]))


@pytest.mark.parametrize("kind", ["characters", "bpe-60", "wordpiece-80"])
def test_tokenizers_trained_on_the_corpus_serve_both_objectives(text, kind):
    for task in (text(MaskedText, tokenizer=kind), text(CausalText, tokenizer=kind)):
        inputs, labels = task.sample(generator(0, "x"), 20)
        assert task.classes == task.tokens.tokenizer.get_vocab_size()
        assert inputs.max() < task.classes
        assert (labels != IGNORED).any()


@pytest.fixture(scope="module")
def words(folder):
    """A tokenizer of words without any special token, with gaps in its ids."""
    found = sorted(set(made_up_words(folder)))
    tokenizer = Tokenizer(models.WordLevel({word: 3 * i for i, word in enumerate(found)}, unk_token="none"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "words.json"))
    return folder / "words.json"


def made_up_words(folder):
    for line in (folder / "corpus" / "a.jsonl").read_text(encoding="utf-8").splitlines():
        yield from json.loads(line)["text"].replace("§.", " §.").split()


def test_masking_needs_a_tokenizer_with_a_mask_and_ends_and_autoregression_none(text, words):
    with pytest.raises(
        ValueError, match=r"the tokenizer '\S+words.json' has no start token, which masked prediction needs"
    ):
        text(MaskedText, tokenizer=words).sample(generator(0, "x"), 3)
    with pytest.raises(ValueError, match="has no mask token"):
        text(MaskedText, tokenizer=words).mask  # noqa: B018
    task = text(CausalText, tokenizer=words, length=10)
    inputs, labels = task.sample(generator(0, "x"), 200)
    assert (inputs[:, 1:] == labels[:, :-1]).all()
    assert labels.min() == 0  # no id is left out
    assert inputs.max() < task.classes == 1 + 3 * (len(task.alphabet) - 1)  # one more than the highest id
    assert (task.alphabet % 3 == 0).all()


def test_a_fingerprint_is_that_of_the_texts_as_they_are_used(text, folder, tmp_path):
    task = text(CausalText, tokenizer="characters", limit=320)
    assert isinstance(task, Fingerprinted)
    copies = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        shutil.copy(folder / "corpus" / "a.jsonl", tmp_path / name)
        copies.append(CausalText(tmp_path / name, "characters", 24, 320))
    same = [copy.fingerprint() for copy in (*copies, text(MaskedText, tokenizer="characters", limit=320))]
    assert same == [task.fingerprint()] * 3  # wherever they are, and whatever is asked about them
    file = tmp_path / "two" / "a.jsonl"
    before, content = file.stat(), file.read_text(encoding="utf-8")
    file.write_text(content.replace("a", "~").replace("b", "a").replace("~", "b"), encoding="utf-8")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_size == before.st_size
    edited = build_task(copies[1].config())
    assert edited.config() == copies[1].config()
    assert edited.fingerprint() != task.fingerprint() == copies[1].fingerprint()  # in use, it stays what it was
    others = [text(CausalText, limit=320), text(CausalText, tokenizer="characters", limit=319)]
    assert len({task.fingerprint(), *(other.fingerprint() for other in others)}) == 3


class Often:
    """A generator that draws the same place most of the time."""

    def __init__(self, rng, place, share):
        self.rng, self.place, self.share = rng, place, share

    def integers(self, low, high, n):
        return np.where(self.rng.random(n) < self.share, self.place, self.rng.integers(low, high, n))


@pytest.mark.parametrize("kind", [MaskedText, CausalText])
def test_windows_have_something_to_predict_or_it_is_said_that_there_is_none(kind, folder, tmp_path):
    gap = "§" * 100  # unknown, longer than a window
    texts = made_up(0, 60, TRAINING, validation=False) + made_up(1, 10, HELD_OUT, validation=True)
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"text": gap + text}) + "\n" for text in texts))
    task = kind(tmp_path, folder / "letters.json", length=12)
    with pytest.warns(UserWarning, match=r"\d\d% of the tokens in the train split of \S+ are unknown to the tokenizer"):
        assert task.tokens.split("train")[:100].tolist() == [task.tokens.special["unknown"]] * 100
    for draw in (task.sample, task.sample_held_out):
        assert (draw(generator(0, "x"), 300)[1] != IGNORED).any(axis=1).all()
    task.windows(Often(generator(0, "x"), 0, 0.5), 50, split="train", length=10)
    with pytest.raises(
        ValueError, match=r"hardly any window of 10 tokens in the train split of \S+ has a token to pred"
    ):
        task.windows(Often(generator(0, "x"), 0, 1), 50, split="train", length=10)


def test_windows_longer_than_a_split_are_refused(text):
    with pytest.raises(ValueError, match=r"the validation split holds \d+ tokens, fewer than a window of 29998"):
        text(MaskedText, length=30_000).sample_held_out(generator(0, "x"), 1)
    with pytest.raises(ValueError, match=r"the train split holds \d+ tokens, fewer than a window of 10000001"):
        text(CausalText, length=10_000_000).sample(generator(0, "x"), 1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MaskedText("x", length=2), "length must be a whole number of at least 3, got 2"),
        (lambda: CausalText("x", length=8.0), "length must be a whole number"),
        (lambda: CausalText("x", limit=0), "limit must be a whole number of at least 1, got 0"),
        (lambda: MaskedText("x", rate=0.0), r"rate must lie in \(0, 1\), got 0.0"),
        (lambda: MaskedText("x", rate=1), r"rate must lie in \(0, 1\), got 1"),
        (lambda: MaskedText([]), "needs at least one corpus, got none"),
        (lambda: MaskedText("no-such-corpus").classes, "no corpus and no folder is called 'no-such-corpus'"),
        (lambda: MaskedText("x", "words").classes, "no tokenizer can be read from 'words'"),
        (lambda: MaskedText("shakespeare", "bpe-many").classes, "tokenizer must be .*got 'bpe-many'"),
    ],
)
def test_bad_text_tasks_are_refused(make, message, monkeypatch, tmp_path):
    monkeypatch.setenv("PDTUTOR_CACHE", str(tmp_path))
    monkeypatch.setattr("transformers.AutoTokenizer.from_pretrained", no_network)
    with pytest.raises(ValueError, match=message):
        make()


def no_network(*_, **__):
    raise OSError("no network")


class Neighbours(nn.Module):
    """Predicts at every position from the ids on its left and right alone; the second copy from nothing."""

    def __init__(self, vocabulary):
        super().__init__()
        self.seeds, self.padding = [0, 1], None
        self.table = nn.Embedding(vocabulary, vocabulary, _weight=torch.randn(vocabulary, vocabulary))

    def forward(self, ids):
        logits = self.table(ids.roll(1, dims=-1)) + self.table(ids.roll(-1, dims=-1))  # (1, batch, length, vocabulary)
        return torch.cat([logits, torch.zeros_like(logits)])


def test_a_model_of_neighbours_leans_on_3_grams_and_is_explained_by_them(text):
    torch.manual_seed(0)
    task = text(MaskedText)
    model = Neighbours(task.vocabulary)
    settings = {"sentences": 30, "positions": 3}
    robust = {n: ngram_robustness(task, n, **settings)(model) for n in (1, 3)}
    close = {n: ngram_closeness(task, n, **settings)(model) for n in (1, 3, 5)}
    assert robust[3]["mean"][0] > 0.1
    assert robust[1]["mean"].tolist() == [0, 0]
    assert close[1]["mean"][0] > 0.1
    assert close[3]["mean"].tolist() == close[5]["mean"].tolist() == [0, 0]
    assert robust[3]["mean"][1] == 0
    assert robust[3]["pairs"].tolist() == [90, 90]


@pytest.mark.parametrize("probe", [ngram_robustness, ngram_closeness])
def test_probes_of_text_hide_ordinary_tokens_of_held_out_documents_only(text, probe):
    task, seen = text(MaskedText), []

    class Recorder(Neighbours):
        def forward(self, ids):
            seen.append(ids.numpy())
            return super().forward(ids)

    probe(task, 5, sentences=200)(Recorder(task.vocabulary))
    alone, more = np.split(np.concatenate(seen, axis=1)[0], 2)
    assert letters_of(task, alone) <= {*HELD_OUT, " ", ".", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}
    at = alone == task.mask
    assert (at.sum(1) == 1).all()
    for ids in (alone, more):
        assert (ids[:, 0] == task.tokens.special["start"]).all()
        assert (ids[:, -1] == task.tokens.special["end"]).all()
    hidden = (more == task.mask) & ~at
    places = np.arange(24) - at.argmax(1)[:, None]
    if probe is ngram_robustness:
        assert (hidden == ((abs(places) <= 2) & ~at)).all()
    else:
        assert (hidden == ((abs(places) > 2) & task.is_token(alone))).all()


def test_probes_run_on_a_transformer(text):
    task = text(MaskedText)
    model = Transformer(
        task.vocabulary, max_length=task.longest, classes=task.classes, read_out="every", init_std=0.3, seed=[0, 1]
    )
    for probe in (ngram_robustness, ngram_closeness):
        table = probe(task, 3, sentences=20)(model)
        assert table["copy"].tolist() == [0, 1]
        assert (table["mean"] > 0).all()
    with pytest.raises(ValueError, match="n = 23 is longer than each of the 256 sentences, of 22 tokens at most"):
        ngram_robustness(task, 23)


def test_a_stream_of_text_gives_the_same_update_however_it_is_cut(text):
    for task in (text(MaskedText), text(CausalText)):
        whole = Stream(task, batch_size=256, seeds=[0, 1], purpose="x").stretch(0, 12)
        assert whole.inputs.shape == (2, 12, 256, 24)
        assert (whole.inputs[0] != whole.inputs[1]).any()
        parts = Stream(task, batch_size=256, seeds=[0, 1], purpose="x")
        parts.stretch(32, 33)
        for start, stop in ((0, 5), (5, 12)):
            mine = parts.stretch(start, stop)
            torch.testing.assert_close(mine.inputs, whole.inputs[:, start:stop])
            torch.testing.assert_close(mine.labels, whole.labels[:, start:stop])


@pytest.mark.parametrize("kind", [MaskedText, CausalText])
def test_training_on_text_learns_its_words(folder, kind):
    texts = folder / f"alike-{kind.__name__}"
    texts.mkdir()
    either = [*made_up(5, 300, TRAINING, validation=False), *made_up(5, 20, TRAINING, validation=True)]
    (texts / "a.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in either), encoding="utf-8")
    task = kind(texts, length=16)
    model = Transformer(
        task.vocabulary,
        max_length=task.longest,
        classes=task.classes,
        layers=1,
        heads=4,
        head_dim=8,
        causal=kind is CausalText,
        read_out="every",
        init_std=0.1,
        seed=[0, 1],
    )
    settings = {"batch_size": 32, "optimizer": AdamW(lr=3e-3), "eval_every": 200, "eval_examples": 256}
    history = train(model, task, steps=200, progress=False, **settings).history
    before, after = (history[history["step"] == step].set_index("copy") for step in (0, 200))
    shares = np.unique(task.tokens.split("train"), return_counts=True)[1] / len(task.tokens.split("train"))
    entropy = -(shares * np.log(shares)).sum()  # what it is to know how frequent the characters are, and no more
    assert (before["loss"] > math.log(task.classes) - 0.1).all()  # all ids alike
    assert (after["loss"] < entropy - 0.4).all()
    assert (after["accuracy"] > shares.max() + 0.1).all()
