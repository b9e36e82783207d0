"""Llama: the reference's class, with its signatures and results, on transformers' Llama.

What the reference does wrong is right here; docs/llama2.md lists the differences.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import torch

from kollama2.errors import BadData
from kollama2.llama import convert, dialog, parallel
from kollama2.llama.dialog import ChatPrediction, CompletionPrediction, Dialog
from kollama2.llama.faults import Unmet
from kollama2.llama.generation import Decoder, Settings, read_logprobs, stream
from kollama2.llama.tokenizer import Tokenizer
from kollama2.model.chat import ChatEncoder, TextEncoder
from kollama2.model.find import find_folder
from kollama2.model.folder import ModelFolder
from kollama2.model.load import check, load_model, load_parallel, root
from kollama2.model.tokenizer import check_matches

Tokens = tuple[list[list[int]], list[list[float]] | None]
P = TypeVar("P", CompletionPrediction, ChatPrediction)


class Llama:
    """A model with its tokenizer, ready to complete texts and dialogs.

    Attributes:
        encoder: of chats, and of texts.
        length: most tokens of a prompt with its answer.
        model: the transformers model.
    """

    @staticmethod
    def build(
        ckpt_dir: str | Path,
        tokenizer_path: str | Path | None,
        max_seq_len: int,
        max_batch_size: int,
        model_parallel_size: int | None = None,
        seed: int = 1,
    ) -> "Llama":
        """Load a checkpoint and allocate its KV cache.

        Args:
            ckpt_dir: a folder in Meta's form (in any number of shards), a Hugging Face folder, an
                adapter, or a hub id `hf:owner/name`.
            tokenizer_path: the `tokenizer.model`; None for the one in a Hugging Face folder.
            max_seq_len: most tokens of a prompt with its answer.
            max_batch_size: most prompts at once.
            model_parallel_size: processes that share the model; by default as many as torchrun
                started.
            seed: of sampling, the same in every process.

        Raises:
            Unmet: there is no checkpoint, or the processes do not fit `model_parallel_size`.
            BadData: a file is damaged, or model and tokenizer do not belong together.
            BadUsage: the model cannot be divided so, or was not made for that length.
        """
        degree = parallel.start(model_parallel_size)
        torch.manual_seed(seed)
        started = time.monotonic()
        folder = parallel.once(lambda: _hugging_face(ckpt_dir))
        config = check(root(folder))
        if degree > 1:
            parallel.check(config, degree)
        tokenizer = Tokenizer(folder if tokenizer_path is None else tokenizer_path)
        if tokenizer_path and folder != Path(ckpt_dir) and tokenizer.n_words != config.vocab_size:
            raise BadData(
                f"{tokenizer_path} has {tokenizer.n_words} tokens but the checkpoint "
                f"{config.vocab_size} embeddings; give the tokenizer.model that belongs to it"
            )
        check_matches(tokenizer.contents, config.vocab_size)
        network = load_parallel(folder, degree) if degree > 1 else load_model(folder)
        decoder = Decoder(network, max_batch_size, max_seq_len, parallel.agree)
        print(f"Loaded in {time.monotonic() - started:.2f} seconds", file=sys.stderr)
        if tokenizer_path is None:
            read = ModelFolder.read(folder)
            # A model that was taught running text only goes on with it.
            otherwise = "plain" if read.card.template == "plain" else "llama2"
            return Llama(decoder, tokenizer, read.encoder(otherwise=otherwise))
        return Llama(decoder, tokenizer)

    def __init__(
        self, decoder: Decoder, tokenizer: Tokenizer, encoder: ChatEncoder | None = None
    ) -> None:
        self.decoder = decoder
        self.tokenizer = tokenizer
        self.encoder = encoder or TextEncoder(tokenizer.contents, "llama2")
        self.length, self.model = decoder.length, decoder.model

    def generate(
        self,
        prompt_tokens: Sequence[Sequence[int]],
        max_gen_len: int,
        temperature: float = 0.6,
        top_p: float = 0.9,
        logprobs: bool = False,
        echo: bool = False,
    ) -> Tokens:
        """Continue prompts that are given as ids.

        Args:
            prompt_tokens: at most `max_batch_size` prompts.
            max_gen_len: most new tokens of each.
            temperature: 0 or less is greedy.
            top_p: mass of the nucleus that is sampled from.
            logprobs: also return the natural log-probability of each returned token by the raw
                logits; 0 for a first token.
            echo: return the prompts too.

        Returns:
            The ids of each row without EOS, and their log-probabilities or None.

        Raises:
            Unmet: the prompts are none, too many, empty, too long, or `top_p` is negative.
        """
        self.decoder.check(prompt_tokens)
        settings = self._settings(max_gen_len, temperature, top_p, logprobs)
        last, every = self.decoder.read(prompt_tokens, every=logprobs and echo)
        tokens = [list(prompt) if echo else [] for prompt in prompt_tokens]
        scores = read_logprobs(every, prompt_tokens) if every is not None else [[] for _ in tokens]
        for step in stream(self.decoder, last, [len(p) for p in prompt_tokens], settings):
            for row, token in enumerate(step.tokens):
                if token is not None:
                    tokens[row].append(token)
                    scores[row] += step.logprobs[row : row + 1]
        return tokens, scores if logprobs else None

    def stream(
        self,
        prompt_tokens: Sequence[int],
        max_gen_len: int | None = None,
        temperature: float = 0.6,
        top_p: float = 0.9,
    ) -> Iterator[int]:
        """Yield the ids of one continuation as they are chosen; arguments as in `generate`.

        What the prompt has in common with the text before it is not computed again: a turn of a
        dialog reads only what is new in it.
        """
        self.decoder.check([prompt_tokens])
        settings = self._settings(self._most(max_gen_len), temperature, top_p, logprobs=False)
        last, _ = self.decoder.read([prompt_tokens], kept=self.decoder.known(prompt_tokens))
        for step in stream(self.decoder, last, [len(prompt_tokens)], settings):
            for token in step.tokens:
                if token is not None:
                    yield token

    def text_completion(
        self,
        prompts: Sequence[str],
        temperature: float = 0.6,
        top_p: float = 0.9,
        max_gen_len: int | None = None,
        logprobs: bool = False,
        echo: bool = False,
    ) -> list[CompletionPrediction]:
        """Continue texts; more than `max_batch_size` of them are continued in turn.

        Args:
            prompts: texts; BOS is put before each.
            temperature: 0 or less is greedy.
            top_p: mass of the nucleus that is sampled from.
            max_gen_len: most new tokens; None for `max_seq_len` - 1.
            logprobs: also return tokens and their log-probabilities.
            echo: return the prompts too.

        Returns:
            For each prompt its `generation`, with `logprobs` also `tokens` and `logprobs`.

        Raises:
            Unmet: as `generate`.
        """
        ids = [self.tokenizer.encode(prompt, bos=True, eos=False) for prompt in prompts]
        found = self._in_turn(ids, max_gen_len, temperature, top_p, logprobs, echo)
        predictions: list[CompletionPrediction] = []
        for tokens, scores in found:
            text: CompletionPrediction = {"generation": self.tokenizer.decode(tokens)}
            predictions.append(self._detailed(text, tokens, scores))
        return predictions

    def chat_completion(
        self,
        dialogs: Sequence[Dialog],
        temperature: float = 0.6,
        top_p: float = 0.9,
        max_gen_len: int | None = None,
        logprobs: bool = False,
    ) -> list[ChatPrediction]:
        """Answer dialogs; more than `max_batch_size` of them are answered in turn.

        Args:
            dialogs: an optional system message, then user and assistant in turn, the user last.
            temperature: 0 or less is greedy.
            top_p: mass of the nucleus that is sampled from.
            max_gen_len: most new tokens; None for `max_seq_len` - 1.
            logprobs: also return tokens and their log-probabilities.

        Returns:
            For each dialog its `generation`, with `logprobs` also `tokens` and `logprobs`. A
            dialog with a tag of the chat format in a content is not computed; its answer says so.

        Raises:
            Outside: a dialog is empty.
            Unmet: roles are not in turn, or as `generate`.
        """
        for one in dialogs:
            dialog.check(one)
        if not dialogs:
            raise Unmet("there are no dialogs; give at least one")
        tagged = self.encoder.template == "llama2"
        safe = [i for i, one in enumerate(dialogs) if not (tagged and dialog.has_tags(one))]
        ids = [dialog.encode(self.encoder, dialogs[i]) for i in safe]
        unsafe = dialog.UNSAFE_ERROR
        answers = [self._detailed(_said(unsafe), [], [] if logprobs else None) for _ in dialogs]
        found = self._in_turn(ids, max_gen_len, temperature, top_p, logprobs, echo=False)
        for i, (tokens, scores) in zip(safe, found, strict=True):
            answers[i] = self._detailed(_said(self.tokenizer.decode(tokens)), tokens, scores)
        return answers

    def _in_turn(
        self,
        ids: Sequence[Sequence[int]],
        max_gen_len: int | None,
        temperature: float,
        top_p: float,
        logprobs: bool,
        echo: bool,
    ) -> Iterator[tuple[list[int], list[float] | None]]:
        most, rows = self._most(max_gen_len), self.decoder.rows
        for start in range(0, len(ids), rows):
            self.decoder.check(ids[start : start + rows])  # all of them before the first is run
        for start in range(0, len(ids), rows):
            tokens, scores = self.generate(
                ids[start : start + rows], most, temperature, top_p, logprobs, echo
            )
            nothing: list[None] = [None] * len(tokens)
            yield from zip(tokens, nothing if scores is None else scores, strict=True)

    def _most(self, max_gen_len: int | None) -> int:
        return self.decoder.length - 1 if max_gen_len is None else max_gen_len

    def _settings(
        self, max_gen_len: int, temperature: float, top_p: float, logprobs: bool
    ) -> Settings:
        return Settings(max_gen_len, temperature, top_p, logprobs, self.encoder.stop_ids)

    def _detailed(self, item: P, tokens: list[int], scores: list[float] | None) -> P:
        """Single pieces, as in the reference: joined they lack the spaces of the whole text."""
        if scores is not None:
            item["tokens"] = [self.tokenizer.decode(one) for one in tokens]
            item["logprobs"] = scores
        return item


def _said(content: str) -> ChatPrediction:
    return {"generation": {"role": "assistant", "content": content}}


def _hugging_face(ckpt_dir: str | Path) -> Path:
    """The folder with safetensors that a checkpoint is, or becomes."""
    folder = find_folder(ckpt_dir)
    if not folder.is_dir():
        raise Unmet(f"no checkpoint files found in {ckpt_dir}; there is no such folder")
    if convert.is_meta(folder):
        return convert.cached(folder)
    if not (folder / "config.json").is_file() and not (folder / "adapter_config.json").is_file():
        raise Unmet(
            f"no checkpoint files found in {ckpt_dir}; a folder of Meta's holds consolidated.*.pth "
            "and params.json, one of Hugging Face's config.json and safetensors"
        )
    return folder
