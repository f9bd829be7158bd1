"""Multiply-adds of ConvNova, counted from its configuration.

Counted are convolutions and matrix products, as dense products over all positions and taps, also those that
fall on the padding at both ends: what the direct form does. Activations, norms and sums are not counted.
"""

from convnova.model.configuration_convnova import STEM_KERNEL_SIZE, ConvNovaConfig


def stem_multiply_adds_per_bp(config: ConvNovaConfig) -> int:
    """Return the multiply-adds for one base in the two stems."""
    return 2 * STEM_KERNEL_SIZE * config.vocab_size * config.hidden_size


def multiply_adds_per_bp(config: ConvNovaConfig) -> int:
    """Return the multiply-adds for one base, ids to logits of the masked LM, forward only."""
    channels, width = config.hidden_size, config.mlp_expansion * config.hidden_size
    block = 2 * config.kernel_size * channels**2 + (channels**2 if config.use_ffn else 0)
    mlp = channels * width + 2 * width**2 + width * channels
    final_conv = 2 * channels**2 if config.use_final_conv else 0
    head = channels * config.vocab_size
    return stem_multiply_adds_per_bp(config) + len(config.dilations) * block + mlp + final_conv + head


def training_multiply_adds_per_bp(config: ConvNovaConfig) -> int:
    """Return the multiply-adds for one base of a training step: forward, and a gradient for each factor.

    Nothing asks for the gradient of the one-hot bases, so the stems count twice, all else three times.
    """
    return 3 * multiply_adds_per_bp(config) - stem_multiply_adds_per_bp(config)
