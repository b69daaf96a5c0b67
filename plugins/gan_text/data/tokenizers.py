"""Tokenizers that are made of the data: characters, words, or byte pairs, each as JSON of Hugging Face's tokenizers.

What they encode comes back exactly when decoded, as long as no token is unknown. The token that ends a text is in the
vocabulary but not among the special ones, so a text that happens to have its name in it is a text like any other.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from gan_text.data.encoding import Words
from gancore.errors import DataError, UsageError

END = "<end of text>"
"""Its spaces keep it from being a token of a text: no tokenizer makes one with a space between other characters."""
UNKNOWN = "\u2047"
"""What an unknown token is shown as, as SentencePiece does it: one sign, so that it counts as one word."""

Made = Literal["characters", "words", "bpe"]

# Scripts that put no space between words: a character, with the marks on it, is a word.
_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_LETTER = rf"[[\p{{L}}\p{{M}}\p{{N}}_]&&[^{_UNSPACED}]]"
# An apostrophe or a joiner between letters belongs to the word.
_WORD = rf"{_LETTER}+(?:['\u2019\u200c\u200d\u00ad]{_LETTER}+)*"
# Else a grapheme cluster: a sign, an emoji with all that is joined to it. Some format characters would be joined to a space
# that follows, so they stand alone.
_PIECE = rf" ?(?:{_WORD}|\p{{Cf}}|(?=\S)\X)"
# Of other white space, the one plain space before a word is left to it.
_PIECES = rf"{_PIECE}|\s{{1,16}}(?= \S)|\s{{1,16}}"
# Where a text or a line begins, a word gets the plain space before it that it has elsewhere.
_LINE_BEGINS = r"(?<=\A|[^\S ])"
_WORD_FOLLOWS = rf"(?= *[^\s{_UNSPACED}])"


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """A tokenizer as JSON, the id that ends a text, and the one for unknown tokens, None where nothing is unknown."""

    tokenizer: str
    end: int = 0
    unknown: int | None = 1


def make(
    kind: Made,
    batches: Iterable[Sequence[str]],
    *,
    most: int = 8192,
    min_count: int = 1,
    lowercase: bool = False,
) -> Vocabulary:
    """A tokenizer of a kind for texts, which come in batches, with at most `most` tokens, `end` and unknown among them.

    Characters and words are numbered from the most frequent, equally frequent ones by their code points; those that are
    there fewer than `min_count` times are unknown. For byte pairs `min_count` is the least count of a pair that is merged.
    """
    if kind == "characters":
        return characters(batches, most=most, min_count=min_count, lowercase=lowercase)
    if kind == "words":
        return words(batches, most=most, min_count=min_count, lowercase=lowercase)
    return bpe(batches, most=most, min_count=min_count, lowercase=lowercase)


def characters(
    batches: Iterable[Sequence[str]], *, most: int = 8192, min_count: int = 1, lowercase: bool = False
) -> Vocabulary:
    """One token for each code point, white space included."""
    tokenizer = Tokenizer(models.WordLevel({END: 0, UNKNOWN: 1}, unk_token=UNKNOWN))
    tokenizer.normalizer = _normalizer(lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.FixedLength(length=1)
    tokenizer.decoder = decoders.Fuse()
    count: Counter[str] = Counter()
    for texts in batches:
        for text in texts:
            count.update(tokenizer.normalizer.normalize_str(text) if lowercase else text)
    return _numbered(tokenizer, count, most, min_count)


def words(
    batches: Iterable[Sequence[str]], *, most: int = 8192, min_count: int = 1, lowercase: bool = False
) -> Vocabulary:
    """One token for each word and each sign; a token's name begins with a space unless it is glued to what is before it.

    The space before the first word of a text or of a line is there by default too and costs nothing; other white space
    makes tokens of its own. In scripts without spaces each character is a word, and each emoji is one.
    """
    tokenizer = Tokenizer(models.WordLevel({END: 0, UNKNOWN: 1}, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(_PIECES), behavior="isolated")
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace(UNKNOWN, f" {UNKNOWN}"),
            decoders.Fuse(),
            decoders.Replace(Regex(f"{_LINE_BEGINS} {_WORD_FOLLOWS}"), ""),
        ]
    )
    tokenizer.normalizer = _normalizer(lowercase, normalizers.Replace(Regex(f"{_LINE_BEGINS}{_WORD_FOLLOWS}"), " "))
    counting = Words(tokenizer)
    for texts in batches:
        counting.add(texts)
    return _numbered(tokenizer, counting.finish(), most, min_count)


def bpe(
    batches: Iterable[Sequence[str]], *, most: int = 8192, min_count: int = 1, lowercase: bool = False
) -> Vocabulary:
    """Byte-level byte pair encoding (Sennrich et al. 2016, Radford et al. 2019): 256 bytes, and merges of the data.

    Raises:
        UsageError: `most` leaves no room for the bytes.
    """
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    if most < len(alphabet) + 1:
        raise UsageError(
            f"a bpe vocabulary has at least {len(alphabet) + 1} tokens (all bytes and the end), not {most}"
        )
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = _normalizer(lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=most,
        min_frequency=min_count,
        initial_alphabet=alphabet,
        special_tokens=[END],
        show_progress=False,
    )
    tokenizer.train_from_iterator(batches, trainer)
    return Vocabulary(_plain(tokenizer), unknown=None)


def pretrained(folder: Path, *, lowercase: bool = False) -> Vocabulary:
    """The tokenizer that is stored in a folder, as transformers' AutoTokenizer reads it; nothing is downloaded.

    Raises:
        UsageError: there is no such folder.
        DataError: it holds no tokenizer, one that is not a fast one, or one without a token that ends a text.
    """
    place = Path(folder).expanduser()
    if not place.is_dir():
        raise UsageError(f"tokenizer '{folder}': there is no such folder; give one with a tokenizer.json in it")
    from transformers import AutoTokenizer  # slow to import

    try:
        found: Any = AutoTokenizer.from_pretrained(str(place), local_files_only=True, trust_remote_code=False)
    except Exception as error:
        first = str(error).strip().split("\n")[0] or type(error).__name__
        raise DataError(
            f"tokenizer '{folder}': no tokenizer could be read there ({first}); give a folder with the files that "
            "save_pretrained of a transformers tokenizer writes: tokenizer.json and tokenizer_config.json"
        ) from error
    backend = getattr(found, "backend_tokenizer", None)
    if backend is None:
        raise DataError(
            f"tokenizer '{folder}': {type(found).__name__} is not a fast tokenizer, so it cannot be stored with "
            "checkpoints; give one whose folder has a tokenizer.json"
        )
    if found.eos_token_id is None:
        raise DataError(
            f"tokenizer '{folder}': it has no eos_token, which ends a text; name one of its tokens as eos_token in "
            f"{place / 'tokenizer_config.json'}, for example its separator or padding token"
        )
    text = backend.to_str()
    if lowercase:
        tokenizer = Tokenizer.from_str(text)
        tokenizer.normalizer = _normalizer(True, *([tokenizer.normalizer] if tokenizer.normalizer else []))
        text = tokenizer.to_str()
    unknown = found.unk_token_id
    return Vocabulary(text, int(found.eos_token_id), None if unknown in (None, found.eos_token_id) else int(unknown))


def _normalizer(lowercase: bool, *more: Any) -> Any:
    parts = [*([normalizers.Lowercase()] if lowercase else []), *more]
    if len(parts) < 2:
        return parts[0] if parts else None
    return normalizers.Sequence(parts)


def _numbered(tokenizer: Tokenizer, count: Counter[str], most: int, min_count: int) -> Vocabulary:
    """The tokenizer with the most frequent tokens as its vocabulary."""
    known = (token for token, times in count.items() if times >= min_count and token not in (END, UNKNOWN))
    often = sorted(known, key=lambda t: (-count[t], t))
    names = [END, UNKNOWN, *often[: max(0, most - 2)]]
    vocabulary = {name: number for number, name in enumerate(names)}
    tokenizer.model = models.WordLevel(vocabulary, unk_token=UNKNOWN)
    return Vocabulary(tokenizer.to_str())


def _plain(tokenizer: Tokenizer) -> str:
    """JSON of the tokenizer, its special tokens being tokens like others: their names are not looked for in texts."""
    content = json.loads(tokenizer.to_str())
    content["added_tokens"] = []
    return json.dumps(content, ensure_ascii=False)
