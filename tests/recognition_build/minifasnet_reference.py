"""MiniFASNet once more, in plain NumPy with unfolded batch norms: slow, and independent of what is tested with it."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from recognition.build.torch_state import Tensor

Values = NDArray[np.float64]
STAGES = (("conv_23", "conv_3", 4), ("conv_34", "conv_4", 6), ("conv_45", "conv_5", 2))


class Reference:
    """Computes (3, 80, 80) pixels -> 3 probabilities from a state whose names have no prefix."""

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        self._state = {name: values.astype(np.float64) for name, values in state.items()}

    def probabilities(self, pixels: Values) -> Values:
        x = self._convolved(pixels, "conv1", 2, 1)
        x = self._convolved(x, "conv2_dw", 1, 1)
        for halving, stage, blocks in STAGES:
            x = self.block(x, halving, 2)
            for index in range(blocks):
                x = x + self.attended(self.block(x, f"{stage}.model.{index}", 1), f"{stage}.model.{index}")
        x = self._convolved(x, "conv_6_sep", 1, 0)
        x = self._convolved(x, "conv_6_dw", 1, 0).reshape(-1)
        x = self._norm((self._state["linear.weight"] @ x)[:, None, None], "bn").reshape(-1)
        logits = self._state["prob.weight"] @ x
        powers = np.exp(logits - logits.max())
        total: Values = powers / powers.sum()
        return total

    def block(self, x: Values, name: str, stride: int) -> Values:
        x = self._convolved(x, f"{name}.conv", 1, 0)
        x = self._convolved(x, f"{name}.conv_dw", stride, 1)
        return self._convolved(x, f"{name}.project", 1, 0)

    def attended(self, x: Values, name: str) -> Values:
        if f"{name}.se_module.fc1.weight" not in self._state:
            return x
        y = x.mean(axis=(1, 2), keepdims=True)
        first = self._state[f"{name}.se_module.fc1.weight"][:, :, 0, 0]
        second = self._state[f"{name}.se_module.fc2.weight"][:, :, 0, 0]
        y = np.maximum(self._norm((first @ y[:, 0, 0])[:, None, None], f"{name}.se_module.bn1"), 0)
        y = self._norm((second @ y[:, 0, 0])[:, None, None], f"{name}.se_module.bn2")
        weighed: Values = x / (1 + np.exp(-y))
        return weighed

    def _convolved(self, x: Values, name: str, stride: int, padding: int) -> Values:
        filters = self._state[f"{name}.conv.weight"]
        size = filters.shape[2]
        padded = np.pad(x, ((0, 0), (padding, padding), (padding, padding)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(1, 2))[:, ::stride, ::stride]
        if filters.shape[1] == 1 and len(filters) == len(x):
            y = np.einsum("chwij,cij->chw", windows, filters[:, 0])
        else:
            y = np.einsum("chwij,ocij->ohw", windows, filters)
        y = self._norm(y, f"{name}.bn")
        slopes = self._state.get(f"{name}.prelu.weight")
        return y if slopes is None else np.where(y > 0, y, slopes[:, None, None] * y)

    def _norm(self, x: Values, name: str) -> Values:
        gamma, beta, mean, variance = (
            self._state[f"{name}.{part}"][:, None, None] for part in ("weight", "bias", "running_mean", "running_var")
        )
        normal: Values = (x - mean) / np.sqrt(variance + 1e-5) * gamma + beta
        return normal


def small_state(*, attention: bool, seed: int = 0) -> dict[str, Tensor]:
    """Return random weights of a narrow network, with the names that PyTorch gives them."""
    random = np.random.default_rng(seed)
    state: dict[str, Tensor] = {}

    def norm(name: str, channels: int) -> None:
        state[f"{name}.weight"] = random.uniform(0.5, 1.5, channels).astype(np.float32)
        state[f"{name}.bias"] = random.normal(0, 0.2, channels).astype(np.float32)
        state[f"{name}.running_mean"] = random.normal(0, 0.2, channels).astype(np.float32)
        state[f"{name}.running_var"] = random.uniform(0.5, 2, channels).astype(np.float32)
        state[f"{name}.num_batches_tracked"] = np.array(1, dtype=np.int64)

    def convolution(name: str, shape: tuple[int, int, int, int], *, slopes: bool = True) -> None:
        scale = 1 / np.sqrt(shape[1] * shape[2] * shape[3])
        state[f"{name}.conv.weight"] = random.normal(0, scale, shape).astype(np.float32)
        norm(f"{name}.bn", shape[0])
        if slopes:
            state[f"{name}.prelu.weight"] = random.uniform(-0.5, 0.5, shape[0]).astype(np.float32)

    def block(name: str, before: int, inside: int, after: int) -> None:
        convolution(f"{name}.conv", (inside, before, 1, 1))
        convolution(f"{name}.conv_dw", (inside, 1, 3, 3))
        convolution(f"{name}.project", (after, inside, 1, 1), slopes=False)

    convolution("conv1", (4, 3, 3, 3))
    convolution("conv2_dw", (4, 1, 3, 3))
    before = 4
    for (halving, stage, blocks), channels in zip(STAGES, (8, 12, 16), strict=True):
        block(halving, before, 6, channels)
        for index in range(blocks):
            block(f"{stage}.model.{index}", channels, 3 + index, channels)
        if attention:
            last = f"{stage}.model.{blocks - 1}.se_module"
            state[f"{last}.fc1.weight"] = random.normal(0, 1, (channels // 4, channels, 1, 1)).astype(np.float32)
            state[f"{last}.fc2.weight"] = random.normal(0, 1, (channels, channels // 4, 1, 1)).astype(np.float32)
            norm(f"{last}.bn1", channels // 4)
            norm(f"{last}.bn2", channels)
        before = channels
    convolution("conv_6_sep", (20, 16, 1, 1))
    convolution("conv_6_dw", (20, 1, 5, 5), slopes=False)
    state["linear.weight"] = random.normal(0, 0.2, (10, 20)).astype(np.float32)
    norm("bn", 10)
    state["prob.weight"] = random.normal(0, 0.3, (3, 10)).astype(np.float32)
    # The first convolution sees values up to 255; without this every softmax would say 0 or 1.
    state["conv1.bn.running_var"] *= np.float32(128**2)
    return {f"module.{name}": values for name, values in state.items()}
