"""Released checkpoints to folders that `from_pretrained` reads, and back; every tensor is accounted for.

A released checkpoint is a Lightning file whose `state_dict` names the layers after the reference
implementation. The architecture is read off the shapes of its tensors; only the dilations leave no trace in
them, and are taken from the caller, from the checkpoint's own settings, or else from the released schedule.

Source: names and shapes of github.com/aim-uofa/ConvNova, commit c606027; no code used.
"""

import re
import shutil
import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from transformers import PreTrainedModel
from transformers.utils import SAFE_WEIGHTS_NAME as WEIGHTS_NAME

from convnova.errors import InputError
from convnova.model.configuration_convnova import ConvNovaConfig, released_dilations
from convnova.model.modeling_convnova import (
    ConvNovaForMaskedLM,
    ConvNovaForSequenceClassification,
    ConvNovaModel,
)
from convnova.model.tokenization_convnova import ConvNovaTokenizer

LM_HEAD, DECODER = "model.out_linear", "decoder.0.output_transform"
RELEASED_BASE, RELEASED_STACKS, RELEASED_EPS = 4, 1, 1e-5

_BLOCK_LAYERS = {
    "norms.{}": "feature_norm",
    "convs.{}": "feature_conv",
    "rc_norms.{}": "gate_norm",
    "gates.{}": "gate_conv",
}
_FFN_LAYERS = {"mlpgroup2.{}.0": "ffn.linear", "mlpgroup2.{}.2": "ffn.norm"}
_STEMS = {"linear": "stem", "rc_linear": "complement_stem"}
_OUTPUT_MLP = {
    "milinear.0": "output_mlp.expand",
    "milinear.2": "output_mlp.mix",
    "milinear.3": "output_mlp.mix_norm",
    "milinear.4": "output_mlp.second_mix",
    "milinear.6": "output_mlp.project",
    "milinear.7": "output_mlp.project_norm",
}
_FINAL_CONV = {"final_conv.0": "final_conv.first", "final_conv.2": "final_conv.second"}
_MODELS: dict[str, type[PreTrainedModel]] = {
    kind.__name__: kind for kind in (ConvNovaModel, ConvNovaForMaskedLM, ConvNovaForSequenceClassification)
}

State = dict[str, Tensor]


class TensorRow(NamedTuple):
    """One tensor, under both of its names."""

    released: str
    ours: str
    shape: tuple[int, ...]
    """Shape in the released checkpoint."""


class Conversion(NamedTuple):
    """What was written, and where each tensor of it came from."""

    output: Path
    model: str
    """Class of the model."""
    dilations: tuple[int, ...]
    dilations_from: str
    """Where the dilations come from, which the weights do not hold."""
    tensors: tuple[TensorRow, ...]

    def __str__(self) -> str:
        """Return one line a tensor, and a summary."""
        columns = [(row.released, row.ours, " x ".join(map(str, row.shape))) for row in self.tensors]
        wide = [max(map(len, column)) for column in zip(*columns, strict=True)]
        lines = [f"{a:<{wide[0]}}  {b:<{wide[1]}}  {shape}" for a, b, shape in columns]
        schedule = ",".join(map(str, self.dilations))
        return "\n".join(
            [
                *lines,
                f"dilations {schedule}: {self.dilations_from}",
                f"{len(self.tensors)} tensors, all accounted for: {self.model} in {self.output}",
            ]
        )


def convert(
    source: Path,
    output: Path,
    dilation_base: int | None = None,
    stacks: int | None = None,
    dilations: Sequence[int] | None = None,
) -> Conversion:
    """Write a released checkpoint as a folder of ours, or a folder of ours as a released checkpoint.

    Args:
        source: released checkpoint (a file), or folder of a model of this package.
        output: folder or file to write; must not exist yet.
        dilation_base: d of the released schedule 1, 1, 1, d, d^2, ...; default 4.
        stacks: how many blocks in a row share each dilation of the schedule; default 1.
        dilations: one dilation a block, in place of a schedule.

    Raises:
        InputError: when anything of the source is unexplained; nothing is written then.
    """
    source, output = Path(source), Path(output)
    if not source.exists():
        raise InputError(f"{source}: no such file or folder; give a released checkpoint or a model's folder")
    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        raise InputError(f"{output} already exists; give a new name, nothing is overwritten")
    if source.is_dir():
        if not (dilation_base is None and stacks is None and dilations is None):
            raise InputError(f"{source}: a folder holds its own dilations; leave the dilation settings out")
        return _to_released(source, output)
    return _from_released(source, output, dilation_base, stacks, dilations)


def _from_released(
    source: Path, output: Path, base: int | None, stacks: int | None, dilations: Sequence[int] | None
) -> Conversion:
    checkpoint = read_checkpoint(source)
    state = checkpoint["state_dict"]
    try:
        blocks = sum(re.fullmatch(r"model\.convs\.\d+\.weight", name) is not None for name in state)
        schedule, origin = _dilations(blocks, checkpoint, base, stacks, dilations)
        model_class, config = _architecture(state, schedule)
        model = model_class(config)
        tensors = _account(state, model)
    except ValueError as error:  # also of the configuration, whose errors are no InputError
        raise InputError(f"{source}: {error}") from None
    own = model.state_dict()
    model.to(next(iter(state.values())).dtype)
    model.load_state_dict({row.ours: state[row.released].view_as(own[row.ours]) for row in tensors})
    with whole_or_not_at_all(output) as staging:
        staging.mkdir()
        model.save_pretrained(staging)
        ConvNovaTokenizer().save_pretrained(staging)
    return Conversion(output, model_class.__name__, schedule, origin, tensors)


def _to_released(source: Path, output: Path) -> Conversion:
    weights = source / WEIGHTS_NAME
    if not weights.is_file():
        raise InputError(f"{source}: there is no {WEIGHTS_NAME} in it; give the folder of a model")
    try:
        config = ConvNovaConfig.from_pretrained(source, local_files_only=True)
        if config.model_type != "convnova":
            raise ValueError(f"its model is a {config.model_type}")
        own = load_file(weights)
    except Exception as error:  # config.json and the weights fail in many ways when they are not ours
        raise InputError(f"{source}: no ConvNova model in it ({str(error).splitlines()[0]})") from None
    model_class = _MODELS.get((config.architectures or [""])[0])
    if model_class is None:
        raise InputError(f"{source}: the released layout has no place for {config.architectures}")
    if config.layer_norm_eps != RELEASED_EPS or config.pooling != "mean":
        raise InputError(
            f"{source}: the released model has layer_norm_eps {RELEASED_EPS} and pooling mean, this one "
            f"{config.layer_norm_eps} and {config.pooling}; it would compute something else"
        )
    model = model_class(config)
    names = {ours: released for released, ours in layer_names(model).items()}
    unnamed = [name for name in own if name not in names]
    if unnamed:
        raise InputError(f"{weights}: {_shown(unnamed)}: not in a {model_class.__name__}")
    state = {names[name]: tensor for name, tensor in own.items()}
    state |= {name: tensor.unsqueeze(-1) for name, tensor in state.items() if _is_released_1x1(name)}
    try:
        tensors = _account(state, model)
    except ValueError as error:
        raise InputError(f"{weights}: {error}") from None
    checkpoint = {
        "state_dict": state,
        "epoch": 0,
        "global_step": 0,
        "pytorch-lightning_version": "1.8.6",
        "hyper_parameters": {"dilations": list(config.dilations)},
    }
    with whole_or_not_at_all(output) as staging:
        torch.save(checkpoint, staging)
    return Conversion(output, model_class.__name__, config.dilations, f"of {source}", tensors)


def layer_names(model: PreTrainedModel) -> dict[str, str]:
    """Return the released name of every tensor of a model, and ours."""
    config, prefix = model.config, "" if isinstance(model, ConvNovaModel) else "convnova."
    layers = _STEMS | _OUTPUT_MLP | (_FINAL_CONV if config.use_final_conv else {})
    per_block = _BLOCK_LAYERS | (_FFN_LAYERS if config.use_ffn else {})
    for block in range(config.num_hidden_layers):
        layers |= {name.format(block): f"blocks.{block}.{ours}" for name, ours in per_block.items()}
    full = {f"model.{name}": prefix + ours for name, ours in layers.items()}
    if isinstance(model, ConvNovaForMaskedLM):
        full[LM_HEAD] = "lm_head"
    if isinstance(model, ConvNovaForSequenceClassification):
        full[DECODER] = "classifier"
    return {f"{name}.{part}": f"{ours}.{part}" for name, ours in full.items() for part in ("weight", "bias")}


def _architecture(state: State, dilations: tuple[int, ...]) -> tuple[type[PreTrainedModel], ConvNovaConfig]:
    """Return what the shapes of the tensors say."""
    hidden_size, _, kernel_size = _shape(state, "model.convs.0.weight", 3)
    width, _ = _shape(state, "model.milinear.0.weight", 2)
    if width % hidden_size:
        raise InputError(f"the output MLP is {width} wide, no multiple of {hidden_size} channels")
    settings: dict[str, Any] = {
        "hidden_size": hidden_size,
        "kernel_size": kernel_size,
        "dilations": dilations,
        "mlp_expansion": width // hidden_size,
        "use_ffn": any(name.startswith("model.mlpgroup2.") for name in state),
        "use_final_conv": any(name.startswith("model.final_conv.") for name in state),
        "layer_norm_eps": RELEASED_EPS,
    }
    if f"{LM_HEAD}.weight" in state:
        return ConvNovaForMaskedLM, ConvNovaConfig(**settings)
    if f"{DECODER}.weight" in state:
        labels = _shape(state, f"{DECODER}.weight", 2)[0]
        return ConvNovaForSequenceClassification, ConvNovaConfig(**settings, num_labels=labels)
    return ConvNovaModel, ConvNovaConfig(**settings)


def _shape(state: State, name: str, dimensions: int) -> tuple[int, ...]:
    if name not in state or state[name].dim() != dimensions:
        found = f"has shape {tuple(state[name].shape)}" if name in state else "is missing"
        raise InputError(f"{name} {found}; this is no released ConvNova checkpoint")
    return tuple(state[name].shape)


def _dilations(
    blocks: int,
    checkpoint: Mapping[str, Any],
    base: int | None,
    stacks: int | None,
    dilations: Sequence[int] | None,
) -> tuple[tuple[int, ...], str]:
    """Return one dilation a block, and where they come from."""
    origin, is_given = "as given", any(one is not None for one in (dilations, base, stacks))
    if dilations is not None and not (base is None and stacks is None):
        raise InputError("give either dilations, or dilation_base and stacks")
    if not is_given:
        origin = "settings in the checkpoint"
        settings = _find_settings(checkpoint.get("hyper_parameters"))
        dilations, base, stacks = (settings.get(k) for k in ("dilations", "dilation", "num_cnn_stacks"))
        if dilations is None and base is None:
            origin = "assumed, as the weights do not hold them; if they were others, give them"
    if dilations is None:
        base, stacks = RELEASED_BASE if base is None else base, RELEASED_STACKS if stacks is None else stacks
        if not (isinstance(base, int) and isinstance(stacks, int) and base > 0 and stacks > 0):
            raise InputError(f"dilation_base and stacks must be at least 1; got {base} and {stacks}")
        if blocks % stacks:
            raise InputError(f"{blocks} blocks cannot be stacks of {stacks}; give stacks or dilations")
        dilations = released_dilations(blocks // stacks, base, stacks)
        origin += f" (d={base}, stacks={stacks})"
    if not isinstance(dilations, Sequence) or len(dilations) != blocks:
        raise InputError(f"dilations {dilations} for {blocks} blocks; give one for each block")
    if is_given:
        _check_own(blocks, checkpoint, dilations)
    return tuple(dilations), origin


def _check_own(blocks: int, checkpoint: Mapping[str, Any], given: Sequence[int]) -> None:
    """Check that dilations that are given do not contradict those in the checkpoint."""
    if not _find_settings(checkpoint.get("hyper_parameters")):
        return
    own, _ = _dilations(blocks, checkpoint, None, None, None)
    if own != tuple(given):
        raise InputError(
            f"the checkpoint has dilations {','.join(map(str, own))}, and {','.join(map(str, given))} are "
            "given; leave the dilation settings out"
        )


def _find_settings(settings: Any) -> dict[str, Any]:
    """Return the part of nested settings that speaks of dilations, or nothing."""
    settings = _opened(settings)
    if not isinstance(settings, Mapping):
        return {}
    if "dilations" in settings or "dilation" in settings:
        return {name: _opened(value) for name, value in settings.items()}
    return next(filter(None, map(_find_settings, settings.values())), {})


def _opened(value: Any) -> Any:
    """Return the content of an OmegaConf node, and any other value as it is."""
    return value.content if isinstance(value, _OmegaConfNode) else value


def _account(state: State, model: PreTrainedModel) -> tuple[TensorRow, ...]:
    """Return every tensor under both names, or refuse what is foreign, missing or of another shape."""
    own = model.state_dict()
    rows = []
    for released, ours in layer_names(model).items():
        shape = tuple(own[ours].shape)
        rows.append(TensorRow(released, ours, shape + (1,) * _is_released_1x1(released)))
    expected = {row.released: row.shape for row in rows}
    if unexplained := misfits({name: tensor.shape for name, tensor in state.items()}, expected):
        raise InputError(f"{unexplained}; nothing was written")
    types = {tensor.dtype for tensor in state.values()}
    if len(types) > 1 or not next(iter(types)).is_floating_point:
        raise InputError(f"weights must be of one floating type, not {', '.join(sorted(map(str, types)))}")
    return tuple(rows)


def misfits(found: Mapping[str, tuple[int, ...]], wanted: Mapping[str, tuple[int, ...]]) -> str:
    """Return which tensors are left over, missing or of another shape, in words; nothing where all fit.

    Args:
        found: shapes by name.
        wanted: those of the model.
    """
    faults = [f"{name} is not in the model" for name in found if name not in wanted]
    faults += [f"{name} is missing" for name in wanted if name not in found]
    faults += [
        f"{name} is {tuple(found[name])}, not {tuple(wanted[name])}"
        for name in wanted
        if name in found and tuple(found[name]) != tuple(wanted[name])
    ]
    return _shown(faults)


def _is_released_1x1(released: str) -> bool:
    """Return whether this weight is a 1x1 convolution there, (C, C, 1), and a linear layer here, (C, C)."""
    return released.startswith("model.final_conv.") and released.endswith(".weight")


def _shown(names: list[str], most: int = 4) -> str:
    rest = len(names) - most
    return "; ".join(names[:most]) + (f"; and {rest} more" if rest > 0 else "")


class _OmegaConfNode:
    """Stands for OmegaConf's objects, in which the reference implementation saves its settings: no code of
    theirs runs, and only what a node holds is kept."""

    content: Any = None

    def __init__(self, *args: Any, **kwargs: Any):
        pass

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, Mapping):
            self.content = state.get("_content", state.get("_val"))


_SETTINGS_LIBRARIES = ("omegaconf.", "typing.")


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return a Lightning checkpoint as it was saved; nothing in it is run.

    Raises:
        InputError: when the file is no checkpoint, is cut short, or would run code.
    """
    path.open("rb").close()  # a file that may not be read is an OSError, and no broken checkpoint
    try:
        unsafe = torch.serialization.get_unsafe_globals_in_checkpoint(path)
        closed = [(_OmegaConfNode, name) for name in unsafe if name.startswith(_SETTINGS_LIBRARIES)]
        kinds = (dict, list, int, float, str, bool, defaultdict)
        plain = [(kind, f"{kind.__module__}.{kind.__name__}") for kind in kinds]
        with torch.serialization.safe_globals([*closed, *plain]):
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a file that is no checkpoint can fail in any way
        if found := re.search(r"GLOBAL ([\w.]+)", str(error)):
            raise InputError(
                f"{path}: reading it would run {found[1]}, which no weights need; nothing was run, and the "
                "file is not to be trusted"
            ) from None
        raise InputError(f"{path}: this is no PyTorch checkpoint, or it is cut short") from None
    state = checkpoint.get("state_dict") if isinstance(checkpoint, dict) else None
    if not (isinstance(state, dict) and state and all(isinstance(t, Tensor) for t in state.values())):
        raise InputError(f"{path}: there is no state_dict of tensors in it; give a Lightning checkpoint")
    return checkpoint


@contextmanager
def whole_or_not_at_all(output: Path) -> Iterator[Path]:
    """Give a name beside `output` to write to; it becomes `output` once all is written."""
    output.parent.mkdir(parents=True, exist_ok=True)
    staging = output.with_name(f".{output.name}.{uuid.uuid4().hex[:8]}")
    try:
        yield staging
        staging.replace(output)
    except (OSError, RuntimeError, SafetensorError) as error:
        # A full disk is an OSError to Python, a RuntimeError to torch.save, a SafetensorError to safetensors.
        reason = str(error).strip().splitlines()[0]
        raise InputError(
            f"{output} could not be written ({reason}); free some space, or choose another place"
        ) from error
    finally:
        if staging.is_dir():
            shutil.rmtree(staging, ignore_errors=True)
        staging.unlink(missing_ok=True)
