"""What a trained model says about sequences."""
