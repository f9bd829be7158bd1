"""Write a model with its weights in half precision: half the size on disk, read back as float32.

    python models/make_half.py runs/yeast models/yeast

It prints the largest change of a logit over random sequences.
"""

import json
import sys
from pathlib import Path

import torch

from convnova.model import ConvNovaForMaskedLM, ConvNovaTokenizer


def main(run: Path, output: Path) -> None:
    """Write `output` from `run`, and say what the rounding does."""
    model = ConvNovaForMaskedLM.from_pretrained(run).eval()
    model.half().save_pretrained(output)
    ConvNovaTokenizer().save_pretrained(output)
    config = output / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"dtype": "float32"}, indent=2) + "\n")

    ids = torch.randint(0, 4, (8, 1024), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before, after = (
            ConvNovaForMaskedLM.from_pretrained(path).eval()(ids).logits for path in (run, output)
        )
    print(f"{output}: {after.dtype} in memory, largest change of a logit {(after - before).abs().max():.1e}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
