"""The process and its machine: paths, streams, memory."""
