"""The process and its machine: files, paths, streams, memory, signals."""
