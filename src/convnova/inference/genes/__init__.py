"""Per-base log-probabilities to genes that can be translated, and genes to GFF3."""

from convnova.inference.genes.decoder import Decoder
from convnova.inference.genes.emissions import emissions
from convnova.inference.genes.gene_model import GeneModel
from convnova.inference.genes.gff3 import write_gff3
from convnova.inference.genes.grammar import DecoderSettings

__all__ = ["Decoder", "DecoderSettings", "GeneModel", "emissions", "write_gff3"]
