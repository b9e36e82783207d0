"""What requests have in common: the prefix of a whole task, and the contexts of its items."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

Ids: TypeAlias = tuple[int, ...]

# A pass of its own for a prefix pays only if it is long and several contexts follow it.
_STEP = 64
_LEAST = 4


class Request(NamedTuple):
    """Ids to be scored and the ids before them."""

    context: Ids
    continuation: Ids


class Tree:
    """A context and the continuations behind it as a tree; the last id of each is never fed.

    Attributes:
        context: what all of them follow.
        ids: the context, then the tree, every id behind the one that it follows.
        parents: of each id of the tree, the place in `ids` of the one before it.
        requests: their numbers.
        places: of each request, where in `ids` the ids of its continuation are predicted.
    """

    def __init__(self, context: Ids) -> None:
        self.context = context
        self.ids = list(context)
        self.parents = list[int]()
        self.requests = list[int]()
        self.places = list[list[int]]()
        self._after: dict[tuple[int, int], int] = {}

    def __len__(self) -> int:
        return len(self.ids)

    def add(self, request: int, continuation: Ids) -> None:
        """Let a continuation branch off where it leaves those that are there."""
        places = [len(self.context) - 1]
        for one in continuation[:-1]:
            step = places[-1], one
            if step not in self._after:
                self._after[step] = len(self.ids)
                self.ids.append(one)
                self.parents.append(places[-1])
            places.append(self._after[step])
        self.requests.append(request)
        self.places.append(places)


class Group(NamedTuple):
    """Rows that all follow one prefix, such as the examples before every item of a task."""

    prefix: Ids
    rows: list[Tree]


def branched(context: Ids, texts: Sequence[Ids]) -> list[Request]:
    """Requests that score texts from where the ids of any of them leave those of their context.

    A tokenizer may merge the start of what follows into the last token of the context: "hello wor"
    and "ld" are "hello" and " world", so that "ld" has no token of its own. The ids of the whole
    text are those of training, so a shared token is scored with what follows, and for all texts
    alike, so that the choices of an item pay for the same characters.

    Args:
        context: ids of what every text begins with.
        texts: ids of each whole text.

    Returns:
        A request for each; its continuation is empty where a text adds no id to its context.
    """
    shared = [_common(context, text) for text in texts]
    border = min(shared, default=0)
    return [
        Request(text[:border], text[border:] if own < len(text) else ())
        for text, own in zip(texts, shared, strict=True)
    ]


def grouped(requests: Sequence[Request], *, row_tokens: int, shared: bool = True) -> list[Group]:
    """Arrange requests so that what they share is computed once.

    Args:
        requests: none has an empty context.
        row_tokens: a row of several branches is closed when it would grow beyond this, or beyond
            twice its context, whichever is more.
        shared: whether the model can share at all; if not, each request is a row of its own.
    """
    if not shared:
        rows = [Tree(one.context) for one in requests]
        for index, row in enumerate(rows):
            row.add(index, requests[index].continuation)
        return [Group((), rows)]
    members: dict[Ids, list[int]] = defaultdict(list)
    for index, request in enumerate(requests):
        members[request.context].append(index)
    groups = list[Group]()
    for prefix, contexts in _prefixes(list(members), 0):
        rows = list[Tree]()
        for context in contexts:
            # A long context is a prefix of its own: causal attention over it needs no mask.
            own = not prefix and 2 * len(context) > row_tokens and len(members[context]) > 1
            before = context[:-1] if own else prefix
            found = _rows(context[len(before) :], members[context], requests, row_tokens)
            if own:
                groups.append(Group(before, found))
            else:
                rows += found
        if rows:
            groups.append(Group(prefix, rows))
    return groups


def _rows(
    context: Ids, members: Sequence[int], requests: Sequence[Request], row_tokens: int
) -> list[Tree]:
    rows, row = list[Tree](), Tree(context)
    for index in members:
        continuation = requests[index].continuation
        fed = len(continuation) - 1
        full = len(row) + fed > max(row_tokens, 2 * len(context))
        # Attention over the other branches is wasted: a short context is not worth it.
        if row.requests and (full or 2 * len(context) < fed):
            rows.append(row)
            row = Tree(context)
        row.add(index, continuation)
    return [*rows, row]


def _prefixes(contexts: list[Ids], depth: int) -> list[tuple[Ids, list[Ids]]]:
    """Contexts by the prefix that saves most ids; the prefix is () for those that share too little.

    Every prefix is shorter than its contexts, so that something follows it.
    """
    buckets: dict[Ids, list[Ids]] = defaultdict(list)
    for context in contexts:
        buckets[context[depth : depth + _STEP]].append(context)
    alone, found = list[Ids](), list[tuple[Ids, list[Ids]]]()
    for members in buckets.values():
        length = min(_common(min(members), max(members)), min(map(len, members)) - 1)
        if len(members) < _LEAST or length < depth + _STEP:
            alone += members
            continue
        here = members[0][:length]
        deeper = [(prefix or here, some) for prefix, some in _prefixes(members, length)]
        whole = [(here, members)]
        found += whole if _saved(whole) >= _saved(deeper) else deeper
    return [*found, ((), alone)] if alone else found


def _saved(groups: Sequence[tuple[Ids, list[Ids]]]) -> int:
    return sum(len(prefix) * (len(contexts) - 1) for prefix, contexts in groups)


def _common(left: Ids, right: Ids) -> int:
    """How many ids two sequences share from the start."""
    for at, (one, other) in enumerate(zip(left, right, strict=False)):
        if one != other:
            return at
    return min(len(left), len(right))
