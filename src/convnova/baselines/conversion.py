"""Published weights of other systems, as their authors put them on the hub, to a folder of ours.

config.json                                  read for the sizes, checked against the tensors
model.safetensors or pytorch_model.bin       or in parts, with their index.json; or a Lightning checkpoint,
                                             weights.ckpt, as HyenaDNA's first ones
tokenizer.json                               DNABERT-2's, kept in the configuration
"""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from transformers.utils import logging as transformers_logging

from convnova.baselines import caduceus, dnabert, dnabert2, hyenadna, nucleotide_transformer
from convnova.baselines.backbone import BaselineConfig
from convnova.baselines.byte_pairs import read_byte_pairs
from convnova.baselines.published import fill
from convnova.baselines.systems import backbone_of
from convnova.errors import InputError
from convnova.model.conversion import whole_or_not_at_all

WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin", "weights.ckpt")

State = dict[str, Tensor]
Sizes = Mapping[str, Any]


class SystemConversion(NamedTuple):
    """What was written."""

    output: Path
    system: str
    tensors: int
    """That were read, all of them accounted for."""
    parameters: int

    def __str__(self) -> str:
        """Return one line for people."""
        return (
            f"{self.tensors} tensors, all accounted for: {self.system} with {self.parameters:,} parameters "
            f"in {self.output}"
        )


def convert_system(system: str, source: str | Path, output: str | Path) -> SystemConversion:
    """Write published weights of another system as a folder that ``--model`` takes.

    Args:
        system: name of it, a key of `READERS`.
        source: folder as it is published.
        output: folder to write; must not exist yet, or be empty.

    Raises:
        InputError: when a file is missing or of another architecture, or a tensor is not explained; nothing
            is written then.
    """
    source, output = Path(source), Path(output)
    if system not in READERS:
        raise InputError(f"there is no system {system!r} to convert from; use one of {', '.join(READERS)}")
    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        raise InputError(f"{output} already exists; give a new name, nothing is overwritten")
    transformers_logging.disable_progress_bar()
    sizes, state = _read_sizes(source / "config.json"), _read_state(source)
    try:
        config, tensors = READERS[system](source, sizes, _norms(state))
        model = backbone_of(config)
        fill(model, tensors)
    except InputError as error:
        raise InputError(f"{source}: {error}") from None
    except KeyError as error:
        raise InputError(
            f"{source}: no {error.args[0]!r} in config.json or the weights; "
            f"give a folder of {system} as it is published"
        ) from None
    except (ValueError, TypeError, AttributeError, IndexError, StrictDataclassError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{source}: config.json and the weights are not of a {system} ({reason}); download them again"
        ) from None
    with whole_or_not_at_all(output) as staging:
        staging.mkdir()
        model.save_pretrained(staging)
    return SystemConversion(output, system, len(state), model.num_parameters())


def _read_sizes(path: Path) -> Sizes:
    try:
        sizes = json.loads(path.read_text())
    except OSError:
        raise InputError(f"{path}: no such file; give the folder with config.json and weights") from None
    except ValueError as error:
        raise InputError(f"{path}: is no JSON ({error}); download it again") from None
    if not isinstance(sizes, dict):
        raise InputError(f"{path}: is no configuration; download it again")
    return sizes


def _read_state(source: Path) -> State:
    """Return the tensors of a folder; nothing that a file holds is run."""
    path = next((source / name for name in WEIGHT_FILES if (source / name).exists()), None)
    if path is not None:
        return _read_file(path)
    index = next((one for name in WEIGHT_FILES if (one := source / f"{name}.index.json").exists()), None)
    if index is None:
        raise InputError(f"{source}: there are no weights in it; download one of {', '.join(WEIGHT_FILES)}")
    try:
        shards = sorted(set(json.loads(index.read_text())["weight_map"].values()))
    except (ValueError, KeyError, AttributeError, TypeError):
        raise InputError(f"{index}: is no index of weights; download it again") from None
    missing = [name for name in shards if not (source / name).is_file()]
    if missing:
        raise InputError(f"{index}: {missing[0]} is not there; download all {len(shards)} parts")
    return {name: one for shard in shards for name, one in _read_file(source / shard).items()}


def _read_file(path: Path) -> State:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: cannot be read ({error}); download it again") from None
    except Exception:  # torch.load fails in many ways
        raise InputError(f"{path}: is cut short, or holds more than weights; download it again") from None
    state = state.get("state_dict", state) if isinstance(state, dict) else {}
    if not state or not all(isinstance(one, Tensor) for one in state.values()):
        raise InputError(f"{path}: there are no tensors in it; download it again")
    return state


def _norms(state: State) -> State:
    """Return tensors with the norms' gamma and beta, as BERT once had them, called weight and bias."""
    names = {"gamma": "weight", "beta": "bias"}
    return {
        f"{before}.{names[last]}" if last in names else name: tensor
        for name, tensor in state.items()
        for before, _, last in [name.rpartition(".")]
    }


def _bert_sizes(sizes: Sizes) -> dict[str, Any]:
    names = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "layer_norm_eps")
    return {name: sizes[name] for name in names}


def _dnabert(source: Path, sizes: Sizes, state: State) -> tuple[BaselineConfig, State]:
    k = round(math.log(sizes["vocab_size"] - dnabert.FIRST_WORD, 4))
    config = dnabert.DNABERTConfig(k=k, max_positions=sizes["max_position_embeddings"], **_bert_sizes(sizes))
    if config.vocab_size != sizes["vocab_size"]:
        raise InputError(
            f"a vocabulary of {sizes['vocab_size']} words, and not {dnabert.FIRST_WORD} and all of k bases"
        )
    return config, dnabert.from_published(state)


def _dnabert2(source: Path, sizes: Sizes, state: State) -> tuple[BaselineConfig, State]:
    words = read_byte_pairs(source / "tokenizer.json")
    config = dnabert2.DNABERT2Config(vocab_size=sizes["vocab_size"], tokenizer=words, **_bert_sizes(sizes))
    return config, dnabert2.from_published(state)


def _nucleotide_transformer(source: Path, sizes: Sizes, state: State) -> tuple[BaselineConfig, State]:
    if sizes.get("emb_layer_norm_before"):
        raise InputError("emb_layer_norm_before is true, which no published Nucleotide Transformer has")
    config = nucleotide_transformer.NucleotideTransformerConfig(
        vocab_size=sizes["vocab_size"],
        max_positions=sizes["max_position_embeddings"],
        is_gated=sizes.get("position_embedding_type") == "rotary",
        token_dropout=bool(sizes.get("token_dropout", False)),
        **_bert_sizes(sizes),
    )
    return config, nucleotide_transformer.from_published(state, config)


def _hyenadna(source: Path, sizes: Sizes, state: State) -> tuple[BaselineConfig, State]:
    tensors = hyenadna.from_published(state)
    filters = "layers.0.mixer.filter"
    positions = next((one for name, one in state.items() if name.endswith("pos_emb.t")), None)
    if positions is None:
        raise KeyError("pos_emb.t")
    order, inputs = tensors[f"{filters}.layers.0.weight"].shape
    words, hidden_size = tensors["embeddings.weight"].shape
    config = hyenadna.HyenaDNAConfig(
        hidden_size=hidden_size,
        num_hidden_layers=1 + max(int(name.split(".")[1]) for name in tensors if name.startswith("layers.")),
        intermediate_size=tensors["layers.0.fc1.weight"].shape[0],
        vocab_size=words,
        max_positions=positions.shape[1],
        short_kernel=tensors["layers.0.mixer.short_filter.weight"].shape[-1],
        filter_emb_dim=inputs,
        filter_order=order,
    )
    if sizes["d_model"] != hidden_size or sizes["n_layer"] != config.num_hidden_layers:
        raise InputError("config.json and the weights have other numbers of channels or layers")
    return config, tensors


def _caduceus(source: Path, sizes: Sizes, state: State) -> tuple[BaselineConfig, State]:
    if sizes.get("bidirectional_strategy", "add") != "add" or not sizes.get("bidirectional_weight_tie", True):
        raise InputError(
            "its directions are not added up with shared projections, as in the published models"
        )
    ssm = sizes.get("ssm_cfg") or {}
    tensors = caduceus.from_published(state)
    config = caduceus.CaduceusConfig(
        hidden_size=sizes["d_model"],
        num_hidden_layers=sizes["n_layer"],
        keeps_strands=bool(sizes.get("rcps", False)),
        vocab_size=tensors["embeddings.weight"].shape[0],
        state_size=ssm.get("d_state", 16),
        conv_kernel=ssm.get("d_conv", 4),
        expand=ssm.get("expand", 2),
        layer_norm_eps=sizes.get("norm_epsilon", 1e-5),
    )
    return config, tensors


READERS: dict[str, Callable[[Path, Sizes, State], tuple[BaselineConfig, State]]] = {
    "dnabert": _dnabert,
    "dnabert2": _dnabert2,
    "nt": _nucleotide_transformer,
    "hyenadna": _hyenadna,
    "caduceus": _caduceus,
}
"""Reads the configuration and the tensors of a published folder, by the name of the system."""
