"""Which accelerators run a `.tflite` file: delegates' rules, the runtime's own answer, and checks of the file.

`lint_file` in `linter.py` is the inner door; `--exec_mode=lint` and the report of a run are the outer ones.
"""
