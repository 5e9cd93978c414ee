"""Alignment of performances: sound to features to warping paths."""

from alignment.audio import Audio, read_audio
from alignment.dtw import dtw
from alignment.errors import AlignmentError, AudioError, FeatureError
from alignment.path import WarpingPath
from alignment.segments import Segment, Synchronisation
from alignment.synchronise import synchronise

__all__ = [
    "AlignmentError",
    "Audio",
    "AudioError",
    "FeatureError",
    "Segment",
    "Synchronisation",
    "WarpingPath",
    "dtw",
    "read_audio",
    "synchronise",
]
