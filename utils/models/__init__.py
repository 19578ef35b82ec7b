"""Reading and writing models: file type detection, validation of the content, and building without running its code."""
