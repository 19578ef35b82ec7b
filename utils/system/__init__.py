"""System services: files, paths, streams, memory, signals."""
