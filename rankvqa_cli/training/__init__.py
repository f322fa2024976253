"""Corpora, losses and the one training loop."""
