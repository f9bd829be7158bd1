"""One token a base, for users of Transformers: `AutoTokenizer`, `pipeline("fill-mask")`.

Training and inference in this package encode with `convnova.sequence`, which is faster and names what is
wrong with a sequence; here a letter that is no base becomes N.
"""

from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from .configuration_convnova import VOCABULARY


class ConvNovaTokenizer(PreTrainedTokenizerFast):
    """Letters to ids A 0, C 1, G 2, T 3, N 4; N is also the mask, the padding and the unknown token."""

    model_input_names = ["input_ids", "attention_mask"]  # noqa: RUF012 - Transformers wants a list

    def __init__(self, tokenizer_object: Tokenizer | None = None, **kwargs: Any):
        unknown = VOCABULARY[-1]
        if kwargs.get("tokenizer_file") is None and tokenizer_object is None:
            tokenizer_object = base_tokenizer()
        special = {"unk_token": unknown, "mask_token": unknown, "pad_token": unknown}
        super().__init__(
            tokenizer_object=tokenizer_object, **{**special, "clean_up_tokenization_spaces": False, **kwargs}
        )


def base_tokenizer() -> Tokenizer:
    """Return a tokenizer of one token a letter, either case, U as T."""
    vocabulary = {letter: index for index, letter in enumerate(VOCABULARY)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=VOCABULARY[-1]))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Replace(a, b) for a, b in zip("acgtnUu", "ACGTNTT", strict=True)]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), behavior="isolated")
    tokenizer.decoder = decoders.Fuse()  # no blanks between the letters
    return tokenizer
