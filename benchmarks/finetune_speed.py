"""A step of fine-tuning as it is against the same step in fp32, and against PyTorch's own dropout.

All hold the same network and see the same sequences; they run in turns, A B C A B C, in one process. A step
is forward, backward and AdamW.
"""

import statistics
from typing import Any

import torch
from measure import arguments, interleaved, paired_ratio, report, save
from model_speed import training_step
from torch import nn

from convnova.model.layers_convnova import Dropout
from convnova.model.modeling_convnova import ConvNovaForSequenceClassification
from convnova.model.presets import preset

OURS = "as it is: bf16, eight random bits an element"
TWINS = {"in fp32": (False, False), "with torch.nn.Dropout": (True, True), OURS: (True, False)}
"""Whether a contender computes in bf16, and whether it has PyTorch's dropout."""


def main(argv: list[str] | None = None) -> dict[str, Any]:
    parser = arguments(__doc__)
    parser.add_argument("--sequences", type=int, default=128, help="in a batch")
    parser.add_argument("--length", type=int, default=101, help="of each in bp")
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--threads", type=int, help="default: all cores")
    parser.add_argument("--rounds", type=int, default=21, help="odd, so that a median is one of them")
    options = parser.parse_args(argv)
    if options.quick:
        options.sequences, options.channels, options.rounds = 4, 8, 1
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    ids = torch.randint(0, 4, (options.sequences, options.length))
    labels = torch.randint(0, 2, (options.sequences,))
    contenders = {
        name: training_step(network(options, is_textbook), ids, labels, is_bf16)
        for name, (is_bf16, is_textbook) in TWINS.items()
    }
    times = interleaved(contenders, options.rounds, warmup=1 if options.quick else 3)
    rows = [
        {
            "step": name,
            "bp/s": ids.numel() / statistics.median(times[name]),
            "ours is times faster": paired_ratio(times[OURS], times[name]),
        }
        for name in TWINS
    ]
    names = ("sequences", "length", "channels", "dropout", "rounds")
    settings = {name: getattr(options, name) for name in names}
    shown = [[row["step"], f"{row['bp/s']:,.0f}", f"{row['ours is times faster']:.2f}"] for row in rows]
    report("a step of fine-tuning", settings, list(rows[0]), shown)
    result = {"settings": settings, "rows": rows}
    if options.save:
        save("finetune_speed", result)
    return result


def network(options: Any, is_textbook: bool) -> nn.Module:
    """Return a classifier of two classes, with our dropout or PyTorch's."""
    config = preset("nt", hidden_size=options.channels, dropout=options.dropout, num_labels=2)
    config.problem_type = "single_label_classification"
    model = ConvNovaForSequenceClassification(config)
    for block in model.convnova.blocks if is_textbook else ():
        assert isinstance(block.dropout, Dropout)
        block.dropout = nn.Dropout(options.dropout)
    return model


if __name__ == "__main__":
    main()
