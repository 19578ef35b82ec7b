"""Reading and writing models: what a file is, what it may contain, and how it is built without running its code."""
