"""Layers of Sonic Visualiser (its reference manual, "Annotation Layer Import").

The `.svl` layer file, an XML format, is the one that opens without questions: a CSV asks what its columns mean.
Open the other recording, then the layer by File > Import Annotation Layer. Where a score is aligned it holds
time instants, one for each beat, labelled `measure:beat`, for paging from beat to beat; otherwise time values:
the seconds of the reference along the other recording, so that slope is tempo and a jump is a cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import numpy as np
import soundfile

from alignment.audio import libsndfile_name
from alignment.carrying import carry_times
from alignment.export.columns import thinned
from alignment.segments import Synchronisation

if TYPE_CHECKING:
    from alignment.score import Beat

__all__ = ["sample_rate", "sonic_visualiser_layer"]

_MODEL, _DATASET, _LAYER = "1", "2", "3"
_USUAL_RATE = 44100


def sample_rate(path: str) -> int:
    """Samples a second of a recording's file, in which a layer counts its frames; 44 100 for a score."""
    try:
        return int(soundfile.info(libsndfile_name(path)).samplerate)
    except (soundfile.SoundFileError, OSError, TypeError):
        pass  # libsndfile does not read every file that was decoded: PyAV may
    try:
        import av

        with av.open(path) as container:
            return int(container.streams.audio[0].rate)
    except (ImportError, OSError, ValueError, IndexError):
        return _USUAL_RATE


def sonic_visualiser_layer(alignment: Synchronisation, rate: int, beats: Sequence[Beat] = ()) -> str:
    """A layer for the other recording.

    Args:
        alignment: of a reference and the other recording.
        rate: samples a second of the other recording's file, in which the layer counts its frames.
        beats: of the reference, where it is a score.
    """
    if beats:
        times = carry_times([beat.seconds for beat in beats], alignment)
        points = [
            {"frame": _frame(time, rate), "label": f"{beat.measure}:{beat.beat:g}"}
            for beat, time in zip(beats, times, strict=True)
            if not np.isnan(time)
        ]
        return _layer("timeinstants", "Beats of the score", rate, points)
    paths = [thinned(segment) for segment in alignment.segments if segment.path is not None]
    points = [
        {"frame": _frame(other, rate), "value": f"{ref:.4f}", "label": ""}
        for path in paths
        for ref, other in zip(path.ref, path.other, strict=True)
    ]
    return _layer("timevalues", "Seconds of the reference", rate, points)


def _frame(seconds: float, rate: int) -> str:
    return str(round(float(seconds) * rate))


def _layer(kind: str, name: str, rate: int, points: list[dict[str, str]]) -> str:
    points = sorted(points, key=lambda point: int(point["frame"]))
    root = ET.Element("sv")
    data = ET.SubElement(root, "data")
    dimensions = "1" if kind == "timeinstants" else "2"
    model = {"id": _MODEL, "name": name, "sampleRate": str(rate), "type": "sparse", "dimensions": dimensions}
    model |= {"start": "0", "end": "0", "resolution": "1", "notifyOnAdd": "true", "dataset": _DATASET}
    if points:
        model |= {"start": points[0]["frame"], "end": str(int(points[-1]["frame"]) + 1)}
    if dimensions == "2":
        values = [float(point["value"]) for point in points] or [0.0]
        model |= {"minimum": f"{min(values):.4f}", "maximum": f"{max(values):.4f}", "units": "s"}
    ET.SubElement(data, "model", model)
    dataset = ET.SubElement(data, "dataset", {"id": _DATASET, "dimensions": dimensions})
    for point in points:
        ET.SubElement(dataset, "point", point)
    display = ET.SubElement(root, "display")
    ET.SubElement(display, "layer", {"id": _LAYER, "type": kind, "name": name, "model": _MODEL})
    ET.indent(root)
    text = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE sonic-visualiser>\n{text}\n'
