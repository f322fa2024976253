"""Many jobs in one run: lists of them, checks before any work, processes and clusters, and what a killed run left."""
