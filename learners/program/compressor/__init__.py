"""The Python interface to whole runs, `pocketflow.Compressor`."""
