"""DNA foundation models by convolution: pretrain, fine-tune and use ConvNova."""
