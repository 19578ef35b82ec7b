"""Where samples come from: memory, or files that are decoded while they are needed."""
