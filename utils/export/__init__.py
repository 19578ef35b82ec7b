"""Exports Keras models to files, and measures these files.

Files are written by `measure.export_files` (in one of `formats.formats`) and measured by `measure.measure_files` (of
`runner.LiteRtRunner`, `agreement.agreement` and `latency.time_alternating`).
"""
