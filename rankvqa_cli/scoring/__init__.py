"""Clips, prefetching, devices and the engine that ties them together."""
