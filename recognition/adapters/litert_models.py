"""A LiteRT model prepared once per input shape, so that a call costs its arithmetic and nothing else."""

import os
import sys
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from recognition.core.errors import PackInvalid

Tensor = NDArray[np.float32]


class LitertModel:
    """A model with one float32 input of changeable shape. One instance belongs to one thread."""

    def __init__(self, path: Path, *, threads: int, most_shapes: int) -> None:
        """Read the model; PackInvalid when the runtime refuses it. `most_shapes` bounds the memory kept prepared."""
        self._path = path
        self._threads = threads
        self._most_shapes = most_shapes
        # The bytes are kept: reading the file again later could meet another file than the one that was verified.
        self._content = path.read_bytes()
        self._prepared: OrderedDict[tuple[int, ...], Any] = OrderedDict()
        self.input_shape: tuple[int, ...] = tuple(int(n) for n in self._interpreter().get_input_details()[0]["shape"])

    def run(self, inputs: Tensor) -> list[Tensor]:
        """Run on float32 `inputs`; return copies of the outputs, the one with fewest values per place first."""
        interpreter = self._for_shape(inputs.shape)
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], inputs)
        interpreter.invoke()
        outputs = [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]
        # A converted model names and orders its outputs as it likes; their widths tell them apart.
        return sorted(outputs, key=lambda output: output.shape[-1])

    def _for_shape(self, shape: tuple[int, ...]) -> Any:
        interpreter = self._prepared.get(shape)
        if interpreter is None:
            interpreter = self._interpreter()
            # Resizing an interpreter in use costs more than keeping one per shape: every buffer is planned again.
            with _quiet():
                interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], shape)
                interpreter.allocate_tensors()
            self._prepared[shape] = interpreter
            while len(self._prepared) > self._most_shapes:
                self._prepared.popitem(last=False)
        self._prepared.move_to_end(shape)
        return interpreter

    def _interpreter(self) -> Any:
        try:
            return Interpreter(model_content=self._content, num_threads=self._threads)
        except (ValueError, RuntimeError) as exc:
            raise PackInvalid(f"{self._path} is not a model that LiteRT can run: {exc}") from exc


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the runtime's C++ writes to stderr while a model is prepared away from the operator's screen.

    It announces its CPU kernels there, as an INFO line without a level to set; what goes wrong is raised as well.
    """
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def in_batches(count: int, sizes: Sequence[int]) -> list[tuple[int, int]]:
    """Split `count` items into (start, stop) of the given sizes, largest first; `sizes` must hold 1.

    Few sizes, because each keeps its own prepared interpreter. Nothing is padded: on these networks a batch of 64 takes
    64 times as long as one, so every padded place would be paid in full.
    """
    plan = []
    start = 0
    while start < count:
        size = max(size for size in sizes if size <= count - start)
        plan.append((start, start + size))
        start += size
    return plan
