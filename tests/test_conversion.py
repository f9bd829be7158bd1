"""Released checkpoints to ours and back, against the outputs of the reference implementation."""

import json
import os
import re
import sys
import types
from collections import defaultdict
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from convnova.cli import main
from convnova.errors import InputError
from convnova.model import (
    ConvNovaConfig,
    ConvNovaForMaskedLM,
    ConvNovaForSequenceClassification,
    ConvNovaForTokenClassification,
    ConvNovaModel,
)
from convnova.model.conversion import convert

GOLDEN = Path(__file__).parent / "golden"
CASES = sorted(path.stem for path in GOLDEN.glob("*.ckpt"))
CASE = GOLDEN / "pretrain_h16.ckpt"


def settings_of(case):
    return json.loads((GOLDEN / f"{case}.json").read_text())


def names_in(folder):
    return [path.name for path in folder.iterdir()]


def weights_of(path):
    return torch.load(path, weights_only=True)["state_dict"]


def changed(tmp_path, edit, **extra):
    """Write a copy of a released checkpoint with an edited state_dict."""
    state = weights_of(CASE)
    edit(state)
    torch.save({"state_dict": state, **extra}, tmp_path / "changed.ckpt")
    return tmp_path / "changed.ckpt"


@pytest.fixture(params=CASES)
def converted(request, tmp_path):
    config = settings_of(request.param)["config"]
    result = convert(
        GOLDEN / f"{request.param}.ckpt", tmp_path / "ours", config["dilation"], config["num_cnn_stacks"]
    )
    return request.param, result


def test_all_three_cases_are_here():
    assert len(CASES) == 3


@torch.no_grad()
def test_agrees_with_the_reference_implementation(converted):
    case, result = converted
    expected = load_file(GOLDEN / f"{case}.safetensors")
    ids = expected["input_ids"]
    if settings_of(case)["config"]["pretrain"]:
        output = ConvNovaForMaskedLM.from_pretrained(result.output).eval()(ids).logits
    else:
        model = ConvNovaForSequenceClassification.from_pretrained(result.output).eval()
        torch.testing.assert_close(model(ids).logits, expected["logits"], rtol=0, atol=1e-5)
        output = model.convnova(ids).last_hidden_state
    torch.testing.assert_close(output, expected["output"], rtol=0, atol=1e-5)


def test_the_architecture_is_read_off_the_shapes(converted):
    case, result = converted
    expected = settings_of(case)
    config, released = ConvNovaConfig.from_pretrained(result.output), expected["config"]
    assert config.dilations == result.dilations == tuple(expected["dilations"])
    for ours, theirs in [
        ("hidden_size", "hidden_dim"),
        ("kernel_size", "kernel_size"),
        ("mlp_expansion", "d_inner"),
        ("use_ffn", "ffn"),
        ("use_final_conv", "final_conv"),
    ]:
        assert getattr(config, ours) == released[theirs]


def test_every_tensor_is_reported_under_both_names(converted):
    case, result = converted
    shapes = {name: tuple(shape) for name, shape in settings_of(case)["state_dict_shapes"].items()}
    assert {row.released: row.shape for row in result.tensors} == shapes
    assert {row.ours for row in result.tensors} == load_file(result.output / "model.safetensors").keys()
    lines = str(result).splitlines()
    assert len(lines) == len(shapes) + 2
    for line, row in zip(lines, result.tensors, strict=False):
        assert line.split(maxsplit=2) == [row.released, row.ours, " x ".join(map(str, row.shape))]


def test_there_and_back_is_bit_exact(converted, tmp_path):
    case, result = converted
    back = convert(result.output, tmp_path / "back.ckpt")
    before, after = weights_of(GOLDEN / f"{case}.ckpt"), weights_of(tmp_path / "back.ckpt")
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert back.tensors == result.tensors

    again = convert(tmp_path / "back.ckpt", tmp_path / "again")  # the dilations come with it
    assert (again.dilations, again.dilations_from) == (result.dilations, "settings in the checkpoint")
    first, second = (load_file(path / "model.safetensors") for path in (result.output, again.output))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(
    "model_class", [ConvNovaModel, ConvNovaForMaskedLM, ConvNovaForSequenceClassification]
)
@torch.no_grad()
def test_our_models_return_from_the_released_layout(model_class, tmp_path):
    config = ConvNovaConfig(
        hidden_size=8, kernel_size=3, dilations=(1, 3, 5), use_final_conv=True, use_ffn=False, num_labels=4
    )
    model = model_class(config).eval().to(torch.bfloat16)
    model.save_pretrained(tmp_path / "ours")
    convert(tmp_path / "ours", tmp_path / "released.ckpt")
    convert(tmp_path / "released.ckpt", tmp_path / "again")
    again = model_class.from_pretrained(tmp_path / "again", dtype=torch.bfloat16).eval()
    ids = torch.randint(0, 5, (2, 30))
    assert torch.equal(again(ids)[0], model(ids)[0])


def test_without_a_head_it_is_the_backbone(tmp_path):
    path = changed(
        tmp_path, lambda state: [state.pop(f"model.out_linear.{part}") for part in ("weight", "bias")]
    )
    assert convert(path, tmp_path / "ours").model == "ConvNovaModel"


@pytest.mark.parametrize(
    ("given", "settings", "dilations", "origin"),
    [
        ({}, None, (1, 1, 1, 4, 16), "assumed, as the weights do not hold them"),
        ({"dilation_base": 2}, None, (1, 1, 1, 2, 4), "as given (d=2, stacks=1)"),
        ({"dilation_base": 2, "stacks": 5}, None, (1,) * 5, "as given (d=2, stacks=5)"),
        ({"dilations": [1, 1, 2, 3, 5]}, None, (1, 1, 2, 3, 5), "as given"),
        ({}, {"model": {"dilation": 3, "num_cnn_stacks": 1}}, (1, 1, 1, 3, 9), "settings in the checkpoint"),
        ({"dilation_base": 2}, {"dilation": 2}, (1, 1, 1, 2, 4), "as given"),
        ({}, {"model": {"hidden_dim": 16}}, (1, 1, 1, 4, 16), "assumed, as the weights do not hold them"),
    ],
)
def test_dilations_come_from_the_caller_the_checkpoint_or_the_released_schedule(
    given, settings, dilations, origin, tmp_path
):
    extra = {} if settings is None else {"hyper_parameters": settings}
    result = convert(changed(tmp_path, lambda state: None, **extra), tmp_path / "ours", **given)
    assert result.dilations == dilations
    assert result.dilations_from.startswith(origin)


def test_settings_of_omegaconf_are_read_without_it(tmp_path, monkeypatch):
    module = types.ModuleType("omegaconf.dictconfig")
    node_class = module.DictConfig = type("DictConfig", (), {"__module__": module.__name__})
    for name in ("omegaconf", module.__name__):
        monkeypatch.setitem(sys.modules, name, module)

    def node(**state):
        made = node_class()
        made.__dict__.update(state, _metadata=defaultdict(dict), _flags=int)
        return made

    model = node(_content={"dilation": node(_val=2), "num_cnn_stacks": node(_val=1)})
    path = changed(tmp_path, lambda state: None, hyper_parameters=node(_content={"model": model}))
    monkeypatch.undo()
    assert convert(path, tmp_path / "ours").dilations == (1, 1, 1, 2, 4)


def _rename(old, new):
    return lambda state: state.update({new: state.pop(old)})


def _replace(name, tensor):
    return lambda state: state.update({name: tensor})


BAD_STATES = {
    "foreign": (_replace("model.extra.weight", torch.ones(2)), "model.extra.weight is not in the model"),
    "missing": (lambda state: state.pop("model.norms.2.bias"), "model.norms.2.bias is missing"),
    "renamed": (
        _rename("model.rc_linear.bias", "model.other.bias"),
        "model.other.bias is not in the model; model.rc_linear.bias is missing",
    ),
    "shape": (
        _replace("model.gates.1.weight", torch.ones(16, 16, 7)),
        "model.gates.1.weight is (16, 16, 7), not (16, 16, 9)",
    ),
    "stem": (_replace("model.linear.weight", torch.ones(16, 4, 9)), "is (16, 4, 9), not (16, 5, 9)"),
    "vocabulary": (_replace("model.out_linear.weight", torch.ones(12, 16)), "is (12, 16), not (5, 16)"),
    "even kernel": (_replace("model.convs.0.weight", torch.ones(16, 16, 8)), "kernel_size must be odd"),
    "not ConvNova": (lambda state: state.pop("model.convs.0.weight"), "model.convs.0.weight is missing"),
    "flat": (_replace("model.milinear.0.weight", torch.ones(3)), "model.milinear.0.weight has shape (3,)"),
    "width": (_replace("model.milinear.0.weight", torch.ones(33, 16)), "33 wide, no multiple of 16 channels"),
    "two heads": (
        _replace("decoder.0.output_transform.weight", torch.ones(2, 16)),
        "is not in the model",
    ),
    "mixed types": (
        lambda state: state.update({"model.linear.bias": state["model.linear.bias"].half()}),
        "one floating type, not torch.float16, torch.float32",
    ),
}


@pytest.mark.parametrize("case", BAD_STATES)
def test_what_is_unexplained_is_refused_and_nothing_is_written(case, tmp_path):
    edit, message = BAD_STATES[case]
    path = changed(tmp_path, edit)
    with pytest.raises(InputError, match=re.escape(message)) as error:
        convert(path, tmp_path / "ours")
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)
    assert names_in(tmp_path) == ["changed.ckpt"]


class Bomb:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("place", ["state_dict", "hyper_parameters"])
def test_a_checkpoint_that_would_run_code_is_refused(place, tmp_path):
    path, target = tmp_path / "bomb.ckpt", tmp_path / "ran"
    torch.save({"state_dict": weights_of(CASE)} | {place: {"model": Bomb(target)}}, path)
    with pytest.raises(InputError, match=r"bomb.ckpt: reading it would run posix.mkdir, .*not to be trusted"):
        convert(path, tmp_path / "ours")
    assert names_in(tmp_path) == ["bomb.ckpt"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no PyTorch checkpoint, or it is cut short"),
        (b">chrI\nACGT\n", "no PyTorch checkpoint, or it is cut short"),
        (b"PK\x03\x04 no archive", "no PyTorch checkpoint, or it is cut short"),
        (CASE.read_bytes()[:50_000], "no PyTorch checkpoint, or it is cut short"),
        ([1, 2], "there is no state_dict of tensors in it"),
        ({"weights": {}}, "there is no state_dict of tensors in it"),
        ({"state_dict": {}}, "there is no state_dict of tensors in it"),
        ({"state_dict": {"a": 1}}, "there is no state_dict of tensors in it"),
    ],
    ids=["empty", "text", "zip", "truncated", "list", "no state", "empty state", "no tensors"],
)
def test_other_files_are_refused_in_one_line(content, message, tmp_path, capsys):
    path = tmp_path / "file.ckpt"
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    assert main(["convert", str(path), str(tmp_path / "ours")]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert message in lines[0]
    assert names_in(tmp_path) == ["file.ckpt"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"dilations": [1, 2]}, r"dilations \[1, 2\] for 5 blocks; give one for each block"),
        ({"stacks": 2}, "5 blocks cannot be stacks of 2"),
        ({"dilation_base": 0}, "dilation_base and stacks must be at least 1; got 0 and 1"),
        ({"dilation_base": 4, "dilations": [1] * 5}, "give either dilations, or dilation_base and stacks"),
        ({"dilations": [1, 1, 1, 1, 0]}, "dilations must be one whole number of at least 1"),
    ],
)
def test_dilations_that_do_not_fit_are_refused(given, message, tmp_path):
    with pytest.raises(InputError, match=message):
        convert(CASE, tmp_path / "ours", **given)
    assert names_in(tmp_path) == []


def test_dilations_that_contradict_the_checkpoint_are_refused(tmp_path):
    path = changed(tmp_path, lambda state: None, hyper_parameters={"dilation": 3})
    message = "the checkpoint has dilations 1,1,1,3,9, and 1,1,1,2,4 are given; leave the dilation settings"
    with pytest.raises(InputError, match=message):
        convert(path, tmp_path / "ours", dilation_base=2)


def test_nothing_is_overwritten_and_a_source_must_exist(tmp_path):
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="ours already exists; give a new name"):
        convert(CASE, tmp_path / "ours")
    with pytest.raises(InputError, match=r"none\.ckpt: no such file or folder"):
        convert(tmp_path / "none.ckpt", tmp_path / "new")
    assert (tmp_path / "ours" / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        RuntimeError("No space left: unexpected pos 64 vs 0"),
        SafetensorError("IoError(Os { code: 28, No space left on device })"),
    ],
    ids=["python", "torch", "safetensors"],
)
def test_a_failure_while_writing_leaves_nothing(tmp_path, monkeypatch, error):
    def full_disk(self, folder):
        (Path(folder) / "half.json").write_text("{")
        raise error

    monkeypatch.setattr("convnova.model.ConvNovaTokenizer.save_pretrained", full_disk)
    with pytest.raises(InputError, match=r"ours could not be written \(.*No space left.*\); free some space"):
        convert(CASE, tmp_path / "new" / "ours")
    assert names_in(tmp_path / "new") == []


def test_folders_that_have_no_place_in_the_released_layout_are_refused(tmp_path):
    toy = {"hidden_size": 8, "kernel_size": 3, "dilations": (1,)}
    ConvNovaForTokenClassification(ConvNovaConfig(**toy)).save_pretrained(tmp_path / "bases")
    ConvNovaForSequenceClassification(ConvNovaConfig(**toy, pooling="max")).save_pretrained(tmp_path / "max")
    (tmp_path / "empty").mkdir()
    for name, message in [
        ("bases", r"no place for \['ConvNovaForTokenClassification'\]"),
        ("max", "it would compute something else"),
        ("empty", "there is no model.safetensors in it"),
    ]:
        with pytest.raises(InputError, match=f"{name}: .*{message}"):
            convert(tmp_path / name, tmp_path / "out.ckpt")
    with pytest.raises(InputError, match="a folder holds its own dilations"):
        convert(tmp_path / "bases", tmp_path / "out.ckpt", dilation_base=4)
    assert not (tmp_path / "out.ckpt").exists()


def test_the_command_prints_the_report(tmp_path, capsys):
    arguments = ["convert", str(CASE), str(tmp_path / "ours"), "--dilations", "[1,1,1,4,16]"]
    assert main(arguments) == 0
    report = capsys.readouterr().out
    assert "model.rc_linear.weight      convnova.complement_stem.weight" in report
    assert "dilations 1,1,1,4,16: as given" in report
    assert "78 tensors, all accounted for: ConvNovaForMaskedLM in" in report
