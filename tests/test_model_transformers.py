"""What users of Transformers rely on: Auto classes, saving, code that travels with a model, pipelines."""

import json
import os
import subprocess
import sys

import pytest
import torch
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    pipeline,
)

from convnova.model import (
    ConvNovaConfig,
    ConvNovaForMaskedLM,
    ConvNovaForSequenceClassification,
    ConvNovaForTokenClassification,
    ConvNovaModel,
    ConvNovaTokenizer,
)

IDS = torch.tensor([[0, 1, 2, 3, 4, 0, 3]])
CODE = {"configuration_convnova.py", "layers_convnova.py", "modeling_convnova.py", "tokenization_convnova.py"}


def toy(model_class, **settings):
    torch.manual_seed(0)
    return model_class(ConvNovaConfig(hidden_size=8, kernel_size=3, dilations=(1, 2), **settings)).eval()


@pytest.mark.parametrize(
    ("auto_class", "model_class"),
    [
        (AutoModel, ConvNovaModel),
        (AutoModelForMaskedLM, ConvNovaForMaskedLM),
        (AutoModelForSequenceClassification, ConvNovaForSequenceClassification),
        (AutoModelForTokenClassification, ConvNovaForTokenClassification),
    ],
)
@torch.no_grad()
def test_saved_models_load_by_their_auto_class(auto_class, model_class, tmp_path):
    model = toy(model_class, num_labels=3, pooling="center")
    model.save_pretrained(tmp_path)
    for loader in (auto_class, model_class):
        loaded = loader.from_pretrained(tmp_path).eval()
        assert type(loaded) is model_class
        assert torch.equal(loaded(IDS)[0], model(IDS)[0])
        assert loaded.config.dilations == (1, 2)
    assert AutoConfig.from_pretrained(tmp_path).pooling == "center"


def test_a_new_model_keeps_the_initial_values_of_pytorch():
    torch.manual_seed(0)
    weight = ConvNovaModel(ConvNovaConfig(dilations=(1,))).blocks[0].feature_conv.weight
    bound = (128 * 9) ** -0.5
    assert 0.99 * bound < weight.abs().max().item() <= bound


def test_settings_that_transformers_writes_itself_are_read_again(tmp_path):
    config = ConvNovaConfig(num_labels=3, problem_type="regression", output_hidden_states=True)
    config.use_cache = False  # as the Trainer does
    config.bos_token_id = config.eos_token_id = None
    config.save_pretrained(tmp_path)
    again = ConvNovaConfig.from_pretrained(tmp_path, attn_implementation="eager", dtype="bfloat16")
    assert (again.num_labels, again.problem_type, again.output_hidden_states) == (3, "regression", True)


REMOTE = """
import json, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "convnova":
            raise ImportError("convnova is not installed here")

sys.meta_path.insert(0, Blocker())
import torch
from transformers import AutoConfig, AutoModel, AutoModelForMaskedLM, AutoTokenizer, pipeline

folder, copy = sys.argv[1:]
ids = torch.tensor([[0, 1, 2, 3, 4, 0, 3]])
backbone = AutoModel.from_pretrained(folder, trust_remote_code=True).eval()
model = AutoModelForMaskedLM.from_pretrained(folder, trust_remote_code=True).eval()
model.save_pretrained(copy)
AutoTokenizer.from_pretrained(folder, trust_remote_code=True).save_pretrained(copy)
again = AutoModelForMaskedLM.from_pretrained(copy, trust_remote_code=True).eval()
fill = pipeline("fill-mask", model=copy, trust_remote_code=True)
with torch.no_grad():
    print(json.dumps({
        "hidden": backbone(ids).last_hidden_state.tolist(),
        "logits": again(ids).logits.tolist(),
        "letters": fill("ACGTTGCANGATTACA"),
        "is_foreign": any(name.split(".")[0] == "convnova" for name in sys.modules),
    }))
"""


def test_a_saved_folder_carries_its_code_to_where_the_package_is_not(tmp_path):
    model, folder = toy(ConvNovaForMaskedLM), tmp_path / "model.v1"
    model.save_pretrained(folder)
    ConvNovaTokenizer().save_pretrained(folder)
    assert {path.name for path in folder.glob("*.py")} == CODE

    environment = os.environ | {"HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1"}
    environment |= {"HF_MODULES_CACHE": str(tmp_path / "modules"), "OMP_NUM_THREADS": "1"}
    process = subprocess.run(
        [sys.executable, "-c", REMOTE, str(folder), str(tmp_path / "copy")],
        env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    there = json.loads(process.stdout.splitlines()[-1])
    with torch.no_grad():
        torch.testing.assert_close(torch.tensor(there["hidden"]), model.convnova(IDS).last_hidden_state)
        torch.testing.assert_close(torch.tensor(there["logits"]), model(IDS).logits)
    assert there["letters"] == pipeline("fill-mask", model=str(folder))("ACGTTGCANGATTACA")
    assert not there["is_foreign"]


def test_fill_mask_gives_letters(tmp_path):
    model = toy(ConvNovaForMaskedLM)
    model.save_pretrained(tmp_path)
    ConvNovaTokenizer().save_pretrained(tmp_path)
    found = pipeline("fill-mask", model=str(tmp_path))("acgttgcangauuaca", top_k=4)
    assert {answer["token_str"] for answer in found} <= set("ACGTN")
    assert len(found) == 4
    for answer in found:
        if answer["token_str"] != "N":
            assert answer["sequence"] == f"ACGTTGCA{answer['token_str']}GATTACA"
    assert [answer["score"] for answer in found] == sorted((a["score"] for a in found), reverse=True)


def test_the_tokenizer_loads_by_its_auto_class(tmp_path):
    toy(ConvNovaModel).save_pretrained(tmp_path)
    ConvNovaTokenizer().save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    assert type(tokenizer) is ConvNovaTokenizer
    batch = tokenizer(["acgu", "NA"], padding=True)
    assert batch["input_ids"] == [[0, 1, 2, 3], [4, 0, 4, 4]]
    assert batch["attention_mask"] == [[1, 1, 1, 1], [1, 1, 0, 0]]


def test_importing_the_package_is_light():
    code = "import sys, convnova; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
