"""The systems that ConvNova is compared with: one contract, one file an architecture."""
