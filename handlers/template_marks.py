"""The tokens that a chat template writes around texts, and texts encoded so that nothing in them becomes one."""

from collections.abc import Collection, Iterator, Sequence
from itertools import count
from typing import NamedTuple

from tokenizers import AddedToken, Encoding, Tokenizer
from transformers import PreTrainedTokenizerBase

from handlers.callers_text import stands_as_it_is

# A noncharacter, which texts for others never hold (Unicode 23.7), and a private one.
_NONCHARACTER, _FIRST_PRIVATE = "\U0010ffff", 0xF0000
_MOST_ATTEMPTS = 4


class TemplateMark(NamedTuple):
    """A token in an encoded text, and the characters that it was made of."""

    token_id: int
    begin: int
    end: int


class PlainTextError(ValueError):
    """The tokenizer makes a mark of a text, whatever is done against it."""


class TemplateMarks:
    """Every special token of a tokenizer, and every added one that `template` writes.

    Not white space, though: Gemma has tokens for several line feeds, which texts hold as templates do.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, template: str = "") -> None:
        added = tokenizer.added_tokens_decoder
        self.ids = {
            token_id
            for token_id, token in added.items()
            if (token.special or token.content in template) and not all(map(stands_as_it_is, token.content))
        }
        self._markless = _MarklessTokenizer(tokenizer, self.ids)

    def find(self, encoding: Encoding) -> list[TemplateMark]:
        """Those that are made of characters, in order: not what the post-processor puts before a text."""
        return list(_tokens(encoding, self.ids))

    def encode(self, text: str, marks: Sequence[TemplateMark], *, add_special_tokens: bool = False) -> list[int]:
        """The ids of `text`, in which `marks` are all the marks that there are. Raises PlainTextError."""
        if _NONCHARACTER in text:
            raise PlainTextError("The text may hold names that tokens have here.")
        return self._markless.encode(text, marks, add_special_tokens=add_special_tokens)


class _MarklessTokenizer:
    """The same tokenizer, sharing its model, but that its marks go by names that no text has."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, mark_ids: Collection[int]) -> None:
        backend: Tokenizer = tokenizer.backend_tokenizer
        self._backend = Tokenizer(backend.model)
        for part in ("normalizer", "pre_tokenizer", "post_processor"):
            if (own := getattr(backend, part)) is not None:
                setattr(self._backend, part, own)
        private = (_NONCHARACTER + chr(code) for code in count(_FIRST_PRIVATE))
        self._names = {token_id: next(private) for token_id in mark_ids}
        self._seam = next(private)
        tokens = {
            token_id: _named(token, self._names.get(token_id, token.content))
            for token_id, token in sorted(tokenizer.added_tokens_decoder.items())
        }
        seam = AddedToken(self._seam, normalized=False)
        fillers = [AddedToken(next(private), normalized=False) for _ in range(_num_holes(self._backend))]
        # All at once: tokenizers prepares its search anew with each call, which takes seconds for thousands of tokens.
        self._backend.add_tokens([*fillers, *tokens.values(), seam])
        self._seam_id = self._id(seam)
        added = {self._id(token): token_id for token_id, token in tokens.items()}
        self._true_ids = added  # of the tokenizer, by those that the same tokens have here
        self._named_ids = {token_id for token_id, true_id in added.items() if true_id in self._names}
        # What the model itself makes of plain text, as Unigram does of a "</s>" in its vocabulary.
        self._made_ids = self._names.keys() - added.keys() - _unknown(tokenizer)

    def encode(self, text: str, marks: Sequence[TemplateMark], *, add_special_tokens: bool) -> list[int]:
        named = self._name(text, marks)
        for _ in range(_MOST_ATTEMPTS):
            encoding = self._backend.encode(named, add_special_tokens=add_special_tokens)
            made = list(_tokens(encoding, self._made_ids))
            if not made:
                break
            named = _insert(named, self._seam, [mark.begin + 1 for mark in made])
        found = [self._true_ids[mark.token_id] for mark in _tokens(encoding, self._named_ids)]
        if made or found != [mark.token_id for mark in marks]:
            raise PlainTextError("The tokenizer makes special tokens of these texts.")
        return [self._true_ids.get(token_id, token_id) for token_id in encoding.ids if token_id != self._seam_id]

    def _name(self, text: str, marks: Sequence[TemplateMark]) -> str:
        """`text` with names in the places of `marks`."""
        pieces, end = [], 0
        for mark in marks:
            pieces += [text[end : mark.begin], self._names[mark.token_id]]
            end = mark.end
        return "".join([*pieces, text[end:]])

    def _id(self, token: AddedToken) -> int:
        token_id = self._backend.token_to_id(token.content)
        if token_id is None:
            raise ValueError(f"{token.content!r} cannot be a token")
        return token_id


def _num_holes(backend: Tokenizer) -> int:
    """Ids below the vocabulary's largest that it leaves out: a new token's id is the number of those that are there."""
    vocabulary = backend.get_vocab(with_added_tokens=False)
    return max(vocabulary.values(), default=-1) + 1 - len(vocabulary)


def _named(token: AddedToken, name: str) -> AddedToken:
    return AddedToken(
        name, single_word=token.single_word, lstrip=token.lstrip, rstrip=token.rstrip, normalized=token.normalized
    )


def _unknown(tokenizer: PreTrainedTokenizerBase) -> set[int]:
    """The token of characters that the model does not know: a special one, and any text may have it."""
    backend: Tokenizer = tokenizer.backend_tokenizer
    name = getattr(backend.model, "unk_token", tokenizer.unk_token)  # Unigram's model does not tell
    token_id = None if name is None else backend.token_to_id(name)
    return set() if token_id is None else {token_id}


def _tokens(encoding: Encoding, ids: Collection[int]) -> Iterator[TemplateMark]:
    for index, token_id in enumerate(encoding.ids):
        if token_id in ids and (characters := encoding.token_to_chars(index)) is not None:
            yield TemplateMark(token_id, *characters)


def _insert(text: str, inserted: str, places: Sequence[int]) -> str:
    pieces = [text[begin:end] for begin, end in zip([0, *places], [*places, len(text)], strict=True)]
    return inserted.join(pieces)
