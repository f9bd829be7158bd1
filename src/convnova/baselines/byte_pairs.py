"""Byte-pair words of DNA: frequent stretches of 1 to some tens of bases, by the tokenizers library."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from torch import Tensor

from convnova.baselines.backbone import Tokens
from convnova.errors import InputError
from convnova.sequence import decode

SPECIAL = ("[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]")


def train_byte_pairs(sequences: Iterable[str], vocab_size: int) -> str:
    """Return a tokenizer, as JSON, whose words are the most frequent in some sequences.

    Args:
        sequences: letters.
        vocab_size: most words, special ones included.
    """
    tokenizer = Tokenizer(BPE(unk_token=SPECIAL[0]))
    trainer = BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIAL),
        initial_alphabet=list("ACGTN"),
        show_progress=False,
    )
    tokenizer.train_from_iterator(sequences, trainer)
    return tokenizer.to_str()


def read_byte_pairs(path: Path) -> str:
    """Return the tokenizer of a file, as JSON.

    Raises:
        InputError: when it is missing or cannot be read.
    """
    if not path.exists():
        raise InputError(
            f"{path}: no such file; DNABERT-2 needs the tokenizer.json that is published with its weights"
        )
    try:
        return Tokenizer.from_file(str(path)).to_str()
    except Exception as error:  # the library raises nothing narrower
        raise InputError(f"{path}: is no tokenizer ({error}); download it again") from None


class BytePairs:
    """Cuts batches of sequences into words."""

    def __init__(self, tokenizer: str | None):
        """Take a tokenizer as JSON; None until there is one."""
        self._tokenizer = None if tokenizer is None else Tokenizer.from_str(tokenizer)

    def __call__(self, ids: Tensor, mask: Tensor | None, cls_id: int, sep_id: int, pad_id: int) -> Tokens:
        """Return the words of sequences (B, L) between two special ones.

        Raises:
            InputError: when there is no tokenizer, or it leaves out what it does not know.
        """
        if self._tokenizer is None:
            raise InputError(
                "the model has no tokenizer; train one with train_byte_pairs, or convert published weights, "
                "whose tokenizer.json is kept"
            )
        lengths = [ids.shape[1]] * len(ids) if mask is None else mask.sum(dim=1).tolist()
        rows = ids.cpu().numpy().astype(np.uint8)
        texts = [decode(row[:length]) for row, length in zip(rows, lengths, strict=True)]
        encodings = self._tokenizer.encode_batch(texts, add_special_tokens=False)
        width = 2 + max(len(one.ids) for one in encodings)
        words = np.full((len(rows), width), pad_id, dtype=np.int64)
        is_word, of_base = np.zeros_like(words), np.zeros(rows.shape, dtype=np.int64)
        for row, one in enumerate(encodings):
            count = len(one.ids)
            words[row, : count + 2] = [cls_id, *one.ids, sep_id]
            is_word[row, : count + 2] = 1
            sizes = [end - start for start, end in one.offsets]
            if sum(sizes) != lengths[row]:
                raise InputError(
                    "the tokenizer passes over letters that it has no word for; give one with an unknown word"
                )
            of_base[row, : lengths[row]] = np.repeat(np.arange(1, count + 1), sizes)
        return Tokens(*(torch.from_numpy(array).to(ids.device) for array in (words, is_word, of_base)))
