"""Files to frames: FFmpeg processes, probing, comparison plan, alignment."""
