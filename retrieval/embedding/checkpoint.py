"""A trained network on disk: one ONNX file is the model, for running and for training on.

ONNX holds tensors and a graph and executes nothing on loading. The torch form is made from it.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import numpy_helper

from retrieval.embedding.model import FingerprintNetwork
from retrieval.embedding.patches import PATCH_FRAMES, PATCH_LAYOUT
from retrieval.embedding.score_model import ScoreNetwork
from retrieval.embedding.score_windows import COMPONENTS, WINDOW_FRAMES
from retrieval.embedding.version_model import FRAMES_A_VECTOR, VersionNetwork
from retrieval.embedding.version_patches import SEMITONES

__all__ = ["load_parameters", "save_network", "save_score_network", "save_version_network"]


def save_network(network: FingerprintNetwork, path: Path) -> None:
    """Write the network, in evaluation mode, as ONNX: input `patches` (n, 1, 120, 50), output `vectors` (n, d)."""
    example = torch.zeros(2, 1, PATCH_LAYOUT.bins, PATCH_FRAMES)
    _save(network, example, {0: torch.export.Dim("n", min=1)}, ["patches"], ["vectors"], path)


def save_version_network(network: VersionNetwork, path: Path) -> None:
    """Write the network, in evaluation mode, as ONNX.

    Input `spectrograms` (n, 84, frames), `frames` a multiple of 4; outputs `local` and `contributions`.
    """
    example = torch.zeros(1, SEMITONES, 64 * FRAMES_A_VECTOR)
    frames = {2: FRAMES_A_VECTOR * torch.export.Dim("vectors", min=2)}
    _save(network, example, frames, ["spectrograms"], ["local", "contributions"], path)


def save_score_network(network: ScoreNetwork, path: Path) -> None:
    """Write the network, in evaluation mode, as ONNX: input `windows` (n, 50, 32), output `vectors` (n, 64)."""
    example = torch.zeros(2, WINDOW_FRAMES, COMPONENTS)
    _save(network, example, {0: torch.export.Dim("n", min=1)}, ["windows"], ["vectors"], path)


def _save(
    network: torch.nn.Module,
    example: torch.Tensor,
    sizes: dict[int, Any],
    inputs: list[str],
    outputs: list[str],
    path: Path,
) -> None:
    """The file keeps the names of the parameters, so that `load_parameters` finds them again."""
    network = network.to("cpu").eval()
    buffer = io.BytesIO()
    program = torch.onnx.export(
        network,
        (example,),
        dynamo=True,
        optimize=False,
        verbose=False,
        input_names=inputs,
        output_names=outputs,
        dynamic_shapes=(sizes,),
    )
    assert program is not None
    program.save(buffer)  # type: ignore[arg-type]  # files opened for writing are taken too
    model = onnx.load_from_string(buffer.getvalue())
    for node in model.graph.node:
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    _without_zero_biases(model.graph)
    for value in model.graph.value_info:
        value.ClearField("metadata_props")
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def _without_zero_biases(graph: onnx.GraphProto) -> None:
    """Take away the biases that the exporter computes for convolutions that have none.

    They hinder onnxruntime from joining a convolution with what follows it, and cost half of its speed.
    """
    parameters = {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Conv" and len(node.input) == 3 and node.input[2] not in parameters:
            del node.input[2]
    nodes = list(graph.node)
    while True:
        wanted = {name for node in nodes for name in node.input} | {value.name for value in graph.output}
        used = [node for node in nodes if wanted.intersection(node.output)]
        if len(used) == len(nodes):
            break
        nodes = used
    del graph.node[:]
    graph.node.extend(nodes)
    values = [value for value in graph.value_info if value.name in wanted]
    del graph.value_info[:]
    graph.value_info.extend(values)


def load_parameters(network: torch.nn.Module, path: Path) -> None:
    """Put the parameters of an ONNX file that was written here into a network of the same kind."""
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(path).graph.initializer}
    state = network.state_dict()
    for name in state:
        if not name.endswith("num_batches_tracked"):
            state[name] = torch.from_numpy(tensors[name].copy())
    network.load_state_dict(state)
    network.eval()
