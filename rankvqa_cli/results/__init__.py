"""Scores to answers: pooling, confidence, gates, writers."""
