"""Places: the folder of a tokenizer, whatever it is that holds it."""

import base64
import binascii
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from kollama2.errors import BadData
from kollama2.model.bytelevel import as_letters
from kollama2.model.files import FAST, PIECES, has_tokenizer
from kollama2.model.gguf.file import Gguf, is_gguf
from kollama2.model.gguf.splits import SPLITS
from kollama2.model.gguf.tokenizer import write_tokenizer
from kollama2.model.pieces import read_proto, save_fast, write_pieces

_TIKTOKEN = re.compile(rb"[A-Za-z0-9+/]+=* \d+\r?\n")


@contextmanager
def tokenizer_folder(place: Path) -> Iterator[Path]:
    """A folder with the tokenizer that lies at a place, for as long as the block lasts.

    Args:
        place: a model folder, a file of the tokenizers library (.json), a SentencePiece model or
            tiktoken's ranks under any name, or a GGUF file.

    Raises:
        BadData: there is none, or it cannot be read.
    """
    if not place.exists():
        raise BadData(f"nothing lies at {place}; name a folder or file with a tokenizer")
    beside = place / PIECES
    if place.is_dir() and not (beside.is_file() and _is_tiktoken(beside)):
        if not has_tokenizer(place):
            raise BadData(f"{place} holds neither {PIECES} nor {FAST}")
        yield place
        return
    with tempfile.TemporaryDirectory() as name:
        out = Path(name)
        if place.is_dir():
            # Llama 3's ranks stand beside the tokenizer that was made of them.
            known = (place / FAST).is_file()
            _write(place / FAST if known else beside, out)
        else:
            _write(place, out)
        yield out


def _write(file: Path, out: Path) -> None:
    if is_gguf(file):
        write_tokenizer(Gguf(file), out)
    elif file.suffix == ".json":
        shutil.copyfile(file, out / FAST)
    elif _is_tiktoken(file):
        _write_ranks(file, out)
    else:
        write_pieces(read_proto(file), out)


def _is_tiktoken(file: Path) -> bool:
    with file.open("rb") as lines:
        return _TIKTOKEN.fullmatch(lines.readline(1 << 10)) is not None


def _write_ranks(file: Path, out: Path) -> None:
    """Write tiktoken's ranks as a byte-level BPE that cuts words as Llama 3 does.

    The file does not say how words are cut; Llama 3's is the one that is handed out in this form.
    """
    from tokenizers import Tokenizer, decoders, models

    try:
        pairs = [line.split() for line in file.read_bytes().splitlines() if line]
        ranks = {base64.b64decode(token, validate=True): int(rank) for token, rank in pairs}
    except (ValueError, binascii.Error) as error:
        raise BadData(f"{file} is damaged: {error}") from error
    vocab = {as_letters(token): rank for token, rank in ranks.items()}
    split = SPLITS["llama-bpe"]
    fast = Tokenizer(models.BPE(vocab, list(_merges(ranks)), ignore_merges=split.whole))
    fast.pre_tokenizer, fast.decoder = split.pre_tokenizer(), decoders.ByteLevel()
    save_fast(fast, out)


def _merges(ranks: Mapping[bytes, int]) -> Iterator[tuple[str, str]]:
    """Every pair that makes a token, in the order of what they make: tiktoken's rule."""
    for whole in sorted(ranks, key=lambda token: ranks[token]):
        for cut in range(1, len(whole)):
            if whole[:cut] in ranks and whole[cut:] in ranks:
                yield as_letters(whole[:cut]), as_letters(whole[cut:])
