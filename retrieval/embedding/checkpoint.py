"""A trained network on disk: one ONNX file is the model, for running and for training on.

ONNX holds tensors and a graph and executes nothing on loading. The torch form is made from it.
"""

from __future__ import annotations

import io
from pathlib import Path

import onnx
import torch
from onnx import numpy_helper

from retrieval.embedding.model import FingerprintNetwork
from retrieval.embedding.patches import PATCH_FRAMES, PATCH_LAYOUT

__all__ = ["load_network", "save_network"]


def save_network(network: FingerprintNetwork, path: Path) -> None:
    """Write the network, in evaluation mode, as ONNX: input `patches` (n, 1, 120, 50), output `vectors` (n, d).

    The file keeps the names of the parameters, so that `load_network` finds them again.
    """
    network = network.to("cpu").eval()
    example = torch.zeros(2, 1, PATCH_LAYOUT.bins, PATCH_FRAMES)
    buffer = io.BytesIO()
    program = torch.onnx.export(
        network,
        (example,),
        dynamo=True,
        optimize=False,
        verbose=False,
        input_names=["patches"],
        output_names=["vectors"],
        dynamic_shapes=({0: torch.export.Dim("n", min=1)},),
    )
    assert program is not None
    program.save(buffer)  # type: ignore[arg-type]  # files opened for writing are taken too
    model = onnx.load_from_string(buffer.getvalue())
    for node in model.graph.node:
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    for value in model.graph.value_info:
        value.ClearField("metadata_props")
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def load_network(path: Path) -> FingerprintNetwork:
    """Read the parameters of an ONNX file written by `save_network` into a network in evaluation mode."""
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(path).graph.initializer}
    network = FingerprintNetwork()
    state = network.state_dict()
    for name in state:
        if not name.endswith("num_batches_tracked"):
            state[name] = torch.from_numpy(tensors[name].copy())
    network.load_state_dict(state)
    return network.eval()
