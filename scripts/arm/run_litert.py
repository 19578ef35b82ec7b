"""python run_litert.py FILE.tflite INPUTS.npy OUTPUTS.npy: what a file makes of given inputs.

The inputs [N, ...] are of the file's own type and are run one by one, as on a phone; the outputs [N, ...] are written
as the file returns them. The same program runs on this machine and on an emulated one: it needs LiteRT and NumPy, and
nothing of this repository.
"""

from __future__ import annotations

import sys

import numpy as np
from ai_edge_litert.interpreter import Interpreter


def run(model_path: str, inputs: np.ndarray) -> np.ndarray:
    """The outputs [N, ...] of a file of one input and one output, on one thread."""
    interpreter = Interpreter(model_path=model_path, num_threads=1)
    interpreter.allocate_tensors()
    source, result = interpreter.get_input_details()[0]['index'], interpreter.get_output_details()[0]['index']
    outputs = []
    for sample in inputs:
        interpreter.reset_all_variables()  # else an LSTM goes on from the state that the sample before has left
        interpreter.set_tensor(source, sample[np.newaxis])
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(result)[0])
    return np.stack(outputs)


if __name__ == '__main__':
    np.save(sys.argv[3], run(sys.argv[1], np.load(sys.argv[2])))
