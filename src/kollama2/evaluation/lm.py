"""The scorer as a model of lm-eval, so that every lm-eval task runs on it unchanged.

Tokens are made as lm-eval's Hugging Face backend makes them, so log-likelihoods can be compared
with it; what differs is that shared contexts are computed once, that log-softmax is in float32,
that nothing is truncated in silence, and that a token over the border of context and continuation
is scored, where lm-eval leaves it out.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeAlias

from lm_eval.api.instance import Instance
from lm_eval.api.model import TemplateLM
from lm_eval.models.utils import (
    handle_stop_sequences,
    has_bos_prefix,
    normalize_gen_kwargs,
    postprocess_generated_text,
)
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window
from torch import nn

from kollama2.errors import BadUsage
from kollama2.evaluation.generate import greedy
from kollama2.evaluation.scorer import Scorer
from kollama2.evaluation.sharing import Ids, Request, branched
from kollama2.evaluation.thoughts import opens, spoken
from kollama2.model.bounded import render
from kollama2.model.rendering import DAY, dated

_ANSWER_TOKENS = 256
# A task and the number of one of its documents.
_Place: TypeAlias = tuple[str | None, int | None]


class SharedContextLM(TemplateLM):  # type: ignore[misc]
    """A causal LM under lm-eval whose shared contexts are computed once.

    Attributes:
        truncated: (task, item) of every request that did not fit and was cut from the left, as
            lm-eval does; who reads the results decides whether to count them.
        unscorable: (task, item) of every request whose continuation has no token of its own. Its
            log-likelihood is -inf: 0, the sum of nothing, would be certainty.
    """

    def __init__(
        self,
        model: nn.Module,
        tokenizer: Any,
        *,
        scorer: Scorer | None = None,
        stop_ids: Collection[int] = (),
        heard: Callable[[float], None] = lambda share: None,
    ) -> None:
        """Args: a transformers or peft model in evaluation mode, and its transformers tokenizer.

        `scorer` is one that exists already for this model; `stop_ids` end an answer, beside the
        tokenizer's own end of text; `heard` is called with the share of the requests that is done.
        """
        super().__init__()
        self.tokenizer = tokenizer
        self._model = model
        self._scorer = scorer or Scorer(model)
        self._heard = heard
        self._stops = sorted({self.eot_token_id, *stop_ids})
        self._device = next(model.parameters()).device
        self.truncated: set[_Place] = set()
        self.unscorable: set[_Place] = set()

    @property
    def eot_token_id(self) -> int:
        """The id that ends a text."""
        return int(self.tokenizer.eos_token_id)

    @property
    def prefix_token_id(self) -> int:
        """The id before a text that has no context: BOS, or EOS where there is none."""
        bos = self.tokenizer.bos_token_id
        return self.eot_token_id if bos is None else int(bos)

    @property
    def max_length(self) -> int:
        """Tokens that the model sees at once."""
        return self._scorer.max_length

    @property
    def tokenizer_name(self) -> str:
        """Names the tokenizer in lm-eval's own caches."""
        return str(self.tokenizer.name_or_path).replace("/", "__")

    def tok_encode(
        self, string: str, add_special_tokens: bool | None = None, **kwargs: Any
    ) -> list[int]:
        """Ids of a text; BOS as the tokenizer adds it, unless the text begins with it."""
        if add_special_tokens is None:
            named = has_bos_prefix(string, self.tokenizer.decode(self.prefix_token_id))
            options = {"add_special_tokens": False} if named else {}
        else:
            options = {"add_special_tokens": add_special_tokens}
        ids: list[int] = self.tokenizer.encode(string, **options)
        return ids

    def apply_chat_template(
        self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True
    ) -> str:
        """A chat as the model's own template writes it, on the day of training and evaluation.

        Raises:
            BadUsage: the tokenizer has no chat template.
            BadData: it refuses the chat, or comes to no end.
        """
        form = self.tokenizer.chat_template
        if form is None or (isinstance(form, str) and not form.strip()):
            raise BadUsage(
                f"{self.tokenizer.name_or_path} has no chat template; leave `chat` out of the task "
                "or add chat_template.jinja to the model's folder"
            )
        text: str = render(
            self.tokenizer,
            chat_history,
            dated(self.tokenizer.get_chat_template(), DAY),
            add_generation_prompt=add_generation_prompt,
            continue_final_message=not add_generation_prompt,
        )
        return text

    def loglikelihood(
        self, requests: list[Instance], disable_tqdm: bool = False
    ) -> list[tuple[float, bool]]:
        """Log-likelihood of each (context, continuation) and whether greedy decoding says it."""
        alike: dict[tuple[_Place, str], list[int]] = defaultdict(list)
        for index, one in enumerate(requests):
            alike[(one.task_name, one.doc_id), one.args[0]].append(index)
        found: dict[int, Request] = {}
        known: dict[str, Ids] = {}
        for (place, context), members in alike.items():
            pairs = self._pairs(context, [requests[one].args[1] for one in members], known)
            for index, pair in zip(members, pairs, strict=True):
                if not pair.continuation:
                    self.unscorable.add(place)
                found[index] = self._fitted(*pair, *place)
        return self._scores([found[index] for index in range(len(requests))])

    def _pairs(
        self, context: str, continuations: Sequence[str], known: dict[str, Ids]
    ) -> list[Request]:
        """Ids of a context and of what may follow it; `known` holds those of contexts before."""
        if not context:
            texts = [tuple(self.tok_encode(one, add_special_tokens=False)) for one in continuations]
            first = (self.prefix_token_id,)
            return [Request(first, ids[1:] if ids[:1] == first else ids) for ids in texts]
        # White space goes to what follows it, as in lm-eval's `_encode_pair`.
        text = context.rstrip()
        if text not in known:
            known[text] = tuple(self.tok_encode(text))
        wholes = [tuple(self.tok_encode(context + one)) for one in continuations]
        pairs = branched(known[text], wholes)
        return [Request(one.context or (self.prefix_token_id,), one.continuation) for one in pairs]

    def _loglikelihood_tokens(
        self,
        requests: list[tuple[tuple[str, str], Sequence[int], Sequence[int]]],
        disable_tqdm: bool = False,
        **kwargs: Any,
    ) -> list[tuple[float, bool]]:
        """Scores of (texts, context, continuation); what lm-eval's own wrappers call."""
        return self._scores([self._fitted(one[1], one[2]) for one in requests])

    def _fitted(
        self,
        context: Sequence[int],
        continuation: Sequence[int],
        task: str | None = None,
        item: int | None = None,
    ) -> Request:
        room = self.max_length + 1 - len(continuation)
        if len(context) > room:
            self.truncated.add((task, item))
            context = context[len(context) - max(room, 0) :]
        if not context:  # the continuation alone is too long: its start becomes the context
            continuation = continuation[-(self.max_length + 1) :]
            context, continuation = continuation[:1], continuation[1:]
        return Request(tuple(context), tuple(continuation))

    def _scores(self, requests: Sequence[Request]) -> list[tuple[float, bool]]:
        some = [one for one in requests if one.continuation]
        values, greedy_too = self._scorer.score_greedy(some, self._heard)
        found = zip(values.tolist(), greedy_too.tolist(), strict=True)
        return [next(found) if one.continuation else (-math.inf, False) for one in requests]

    def loglikelihood_rolling(
        self, requests: list[Instance], disable_tqdm: bool = False
    ) -> list[float]:
        """Log-likelihood of whole texts in windows of the model's length, as lm-eval cuts them."""
        windows: list[Request] = []
        owners: list[int] = []
        for owner, request in enumerate(requests):
            cuts = get_rolling_token_windows(
                token_list=self.tok_encode(request.args[0]),
                prefix_token=self.prefix_token_id,
                max_seq_len=self.max_length,
                context_len=1,
            )
            for context, continuation in map(make_disjoint_window, cuts):
                windows.append(Request(tuple(context), tuple(continuation)))
                owners.append(owner)
        totals = [0.0] * len(requests)
        for owner, (value, _) in zip(owners, self._scores(windows), strict=True):
            totals[owner] += value
        return totals

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """Greedy continuations up to the first of each request's stop texts.

        Raises:
            BadUsage: a task asks for sampling, which would not give the same answer twice.
        """
        answers = [""] * len(requests)
        alike: dict[tuple[tuple[str, ...], int], list[int]] = {}
        for index, request in enumerate(requests):
            wanted = normalize_gen_kwargs(request.args[1], _ANSWER_TOKENS)
            if wanted.get("do_sample") or wanted.get("temperature", 0) > 0:
                raise BadUsage(
                    f"task {request.task_name} samples its answers ({request.args[1]}); set "
                    "do_sample: false in its generation_kwargs"
                )
            eos = self.tokenizer.decode(self.eot_token_id)
            until = tuple(handle_stop_sequences(wanted.get("until"), eos=eos))
            alike.setdefault((until, int(wanted["max_gen_toks"])), []).append(index)
        for (until, size), members in alike.items():
            for index, text in zip(
                members,
                self._answers([requests[one] for one in members], until, size),
                strict=True,
            ):
                answers[index] = text
        return answers

    def _answers(self, requests: Sequence[Instance], until: Sequence[str], size: int) -> list[str]:
        room = self.max_length - size
        if room < 1:
            raise BadUsage(
                f"task {requests[0].task_name} generates {size} tokens and the model sees "
                f"{self.max_length} at once; lower max_gen_toks"
            )
        prompts = []
        for request in requests:
            ids = self.tok_encode(request.args[0])
            if len(ids) > room:
                self.truncated.add((request.task_name, request.doc_id))
            prompts.append(ids[-room:])

        opened = opens(requests[0].args[0])  # they are of one task, so of one template

        def answer(ids: Sequence[int]) -> str:
            return spoken(self.tokenizer.decode(ids, skip_special_tokens=True), opened=opened)

        def said(ids: Sequence[int]) -> bool:
            text = answer(ids)
            return any(stop in text for stop in until if stop)

        found = greedy(
            self._model,
            prompts,
            max_new_tokens=size,
            stop_ids=self._stops,
            batch_tokens=self._scorer.batch_tokens,
            heard=self._heard,
            ended=said,
        )
        return [postprocess_generated_text(answer(ids), list(until), None) for ids, _ in found]
