import pytest

from convnova.model import ConvNovaTokenizer
from convnova.sequence import encode


@pytest.fixture(scope="module")
def tokenizer():
    return ConvNovaTokenizer()


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("ACGTN", [0, 1, 2, 3, 4]),
        ("acgtn", [0, 1, 2, 3, 4]),
        ("ACGUu", [0, 1, 2, 3, 3]),
        ("ARYx-", [0, 4, 4, 4, 4]),
        ("NNNA", [4, 4, 4, 0]),
        ("", []),
    ],
)
def test_one_token_a_letter(tokenizer, text, ids):
    assert tokenizer(text)["input_ids"] == ids


def test_it_agrees_with_the_alphabet_of_the_package(tokenizer):
    text = "ACGTUNRYSWKMBDHVacgtunryswkmbdhv"
    assert tokenizer(text)["input_ids"] == encode(text).tolist()


@pytest.mark.parametrize("side", ["left", "right"])
def test_batches_are_padded_and_masked(tokenizer, side):
    batch = tokenizer(["ACGT", "GT"], padding=True, padding_side=side, return_tensors="pt")
    assert batch["input_ids"].tolist() == [[0, 1, 2, 3], [2, 3, 4, 4] if side == "right" else [4, 4, 2, 3]]
    assert batch["attention_mask"][1].tolist() == ([1, 1, 0, 0] if side == "right" else [0, 0, 1, 1])
    assert set(batch) == {"input_ids", "attention_mask"}


def test_ids_decode_to_letters_without_blanks(tokenizer):
    assert tokenizer.decode([0, 1, 2, 3, 4, 0]) == "ACGTNA"


def test_special_tokens_are_all_n(tokenizer):
    assert tokenizer.mask_token_id == tokenizer.pad_token_id == tokenizer.unk_token_id == 4
    assert len(tokenizer) == 5
