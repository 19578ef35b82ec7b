"""python run_litert.py FILE.tflite INPUTS.npy OUTPUTS.npy: runs a file on given inputs.

The inputs [N, ...] have the file's type and are run at batch 1; the outputs [N, ...] are written in the file's type.
The same program runs on this machine and on an emulated one: it needs only LiteRT and NumPy.
"""

from __future__ import annotations

import sys

import numpy as np
from ai_edge_litert.interpreter import Interpreter


def run(model_path: str, inputs: np.ndarray) -> np.ndarray:
    """The outputs [N, ...] of a file with one input and one output, on one thread."""
    interpreter = Interpreter(model_path=model_path, num_threads=1)
    interpreter.allocate_tensors()
    source, result = interpreter.get_input_details()[0]['index'], interpreter.get_output_details()[0]['index']
    outputs = []
    for sample in inputs:
        interpreter.reset_all_variables()  # else an LSTM continues from the state of the sample before
        interpreter.set_tensor(source, sample[np.newaxis])
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(result)[0])
    return np.stack(outputs)


if __name__ == '__main__':
    np.save(sys.argv[3], run(sys.argv[1], np.load(sys.argv[2])))
