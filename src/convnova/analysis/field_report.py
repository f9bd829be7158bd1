"""`convnova receptive-field`: how far a trained model looks.

OUTPUT/receptive_field.csv, .md, .png    influence by distance, and the widths that hold 50, 90 and 95 %
"""

from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console

from convnova.analysis.field_settings import ReceptiveFieldSettings
from convnova.analysis.receptive_field import SHARES, FieldProfile, effective_field
from convnova.analysis.study_figures import profile_figure
from convnova.analysis.study_report import write_report
from convnova.baselines.architectures import any_config
from convnova.benchmark.formats import markdown_table
from convnova.console import log_console, plain_table, progress_bar, say
from convnova.data.packed import pack
from convnova.data.reading import read_sequences
from convnova.data.table import counted
from convnova.errors import InputError
from convnova.model.configuration_convnova import ConvNovaConfig
from convnova.model.modeling_convnova import ConvNovaModel
from convnova.sequence import Ids
from convnova.training.arguments import quiet_libraries
from convnova.writing import check_new, make_folder

NAME = "receptive_field"


def receptive_field(settings: ReceptiveFieldSettings, console: Console | None = None) -> FieldProfile:
    """Write how far a trained model looks, its effective receptive field, and return it.

    Raises:
        InputError: for a model or sequences that cannot be used.
    """
    console = console or log_console()
    quiet_libraries()
    model = load_backbone(settings.model)
    field = model.config.receptive_field
    sequences, count = _windows(settings, 2 * field if settings.window_bp is None else settings.window_bp)
    check_new((settings.output / NAME).with_suffix(".md"), settings.overwrite)
    make_folder(settings.output)
    window = len(sequences[0])
    remarks = []
    if window < field:
        remarks.append(
            f"windows of {window:,} bp are shorter than the receptive field ({field:,} bp): what lies beyond "
            "is not seen, the widths are of what is, and few outputs see the farthest distances"
        )
        say(console, remarks[0])
    with progress_bar(console, "gradients", len(sequences)) as advance:
        profile = effective_field(
            model, sequences, settings.positions, settings.seed, reach=field, advance=advance
        )
    header = ["window", "bp"]
    rows = [[f"holds {share:.0%} of the influence", f"{profile.width(share):,}"] for share in SHARES]
    rows.append(["receptive field of the network", f"{field:,}"])
    console.print(plain_table(header, rows))
    lines = [f"# Receptive field of {settings.model}", "", *markdown_table(header, rows), ""]
    lines += [
        f"Influence is the mean norm of the gradient of an output with respect to the bases, over "
        f"{counted(len(sequences), 'window')} of {window:,} bp in {counted(count, 'sequence')}, "
        f"{counted(settings.positions, 'output')} each, at {profile.places:,} different positions of a "
        "window. An output is a sum of all channels of the backbone, each with a random sign.",
        *(f"\nNote: {remark}." for remark in remarks),
        "",
    ]
    table = [["distance_bp", "influence"]]
    table += [[str(d), f"{v:.6g}"] for d, v in zip(profile.offsets, profile.influence, strict=True)]
    draw = partial(profile_figure, profile, Path(settings.model).name)
    write_report(settings.output / NAME, lines, table, draw)
    say(console, f"-> {settings.output / f'{NAME}.md'}")
    return profile


def load_backbone(folder: str) -> ConvNovaModel:
    """Return the backbone of a trained ConvNova model, whatever its head.

    Raises:
        InputError: when there is none in the folder.
    """
    config = any_config(Path(folder))
    if not isinstance(config, ConvNovaConfig):
        raise InputError(
            f"{folder}: its model is {config.model_type}, and gradients of single bases are of ConvNova; "
            "give a ConvNova model"
        )
    try:
        return ConvNovaModel.from_pretrained(folder, config=config, local_files_only=True).eval()
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(f"{folder}: its model cannot be loaded ({str(error).splitlines()[0]})") from None


def _windows(settings: ReceptiveFieldSettings, window_bp: int) -> tuple[list[Ids], int]:
    """Return windows of one length at random places, all alike likely, and how many sequences they are of.

    At least half of the sequences are that long; shorter ones are left out.
    """
    assert settings.input is not None
    table = read_sequences(settings.input, settings.read)
    lengths = np.array(table.ids.lengths)
    window = min(window_bp, int(np.median(lengths)))
    starts = np.maximum(lengths - window + 1, 0)  # places where a window begins, of each sequence
    rng = np.random.default_rng(settings.seed)
    drawn = rng.choice(int(starts.sum()), min(settings.most_sequences, int(starts.sum())), replace=False)
    ends = np.cumsum(starts)
    windows, seen = [], set()
    for place in np.sort(drawn):
        index = int(np.searchsorted(ends, place, side="right"))
        start = int(place - (ends[index] - starts[index]))
        windows.append(table.ids[index][start : start + window])
        seen.add(index)
    if pack(windows).is_unknown.all():
        raise InputError(
            f"{settings.input}: its sequences are only N, so there is nothing to see; give others"
        )
    return windows, len(seen)
