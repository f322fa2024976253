"""What scores become: pools, intervals, gates, files. Imports neither torch nor click."""
