"""Fit the directions to which sonority is projected, on recordings that may be trained on.

    INCIPIT_DATA=DATA python scripts/fit_sonority.py

The principal directions, the mean left in, of the synchroniser's embedding in the middle twenty seconds of each
recording of `recordings/train`; to be run again whenever the synchroniser's encoder has been trained anew, before
`calibrate_matching.py`. Prints how much of the embedding they hold.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from alignment.audio import ANALYSIS_RATE, read_audio
from alignment.features import estimate_tuning
from retrieval.embedding.encoder import MODEL_PATH
from retrieval.embedding.sonority import SONORITY, smoothed_embedding

_SECONDS = 20.0
_DIMENSIONS = SONORITY.format.dimensions


def main() -> None:
    """Fit, print, write."""
    parts = []
    for path in sorted((Path(os.environ["INCIPIT_DATA"]) / "recordings" / "train").iterdir()):
        samples = read_audio(path).samples
        first = max(0, (len(samples) - int(_SECONDS * ANALYSIS_RATE)) // 2)
        piece = samples[first : first + int(_SECONDS * ANALYSIS_RATE)]
        parts.append(smoothed_embedding(piece, ANALYSIS_RATE, estimate_tuning(piece, ANALYSIS_RATE)))
    strengths, directions = np.linalg.svd(np.concatenate(parts, axis=1).T, full_matrices=False)[1:]
    power = np.square(strengths)
    print(f"{len(parts)} recordings, {power[:_DIMENSIONS].sum() / power.sum():.3f} of the power")
    np.save(MODEL_PATH.with_name("sonority.npy"), np.ascontiguousarray(directions[:_DIMENSIONS].T, np.float32))


if __name__ == "__main__":
    main()
