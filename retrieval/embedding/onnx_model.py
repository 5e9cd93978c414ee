"""Loading the shipped networks: ONNX on the CPU, one thread each, told apart by the hash of their file."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from retrieval.errors import ModelError

__all__ = ["load_onnx"]


def load_onnx(path: Path, what: str) -> tuple[Any, str]:
    """The onnxruntime session of a model file, and the file's hash.

    Raises:
        ModelError: it cannot be loaded.
    """
    import onnxruntime

    onnxruntime.set_default_logger_severity(4)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    try:
        content = path.read_bytes()
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises classes of its own that share no base
        raise ModelError(f"{path}: cannot be loaded as {what} ({error})") from error
    return session, hashlib.sha256(content).hexdigest()
