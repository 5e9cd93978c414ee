"""Features of sound: spectra, chroma, CENS, onset strength, tuning. Axis order is `(dims, frames)`."""

from alignment.features.chroma import cens, chroma
from alignment.features.frames import FEATURE_RATE, HOP, frame_count, frames_to_seconds, seconds_to_frames
from alignment.features.onsets import onset_strength
from alignment.features.spectrum import LogFrequency, log_frequency_spectrogram, stft_magnitude
from alignment.features.tuning import estimate_tuning

__all__ = [
    "FEATURE_RATE",
    "HOP",
    "LogFrequency",
    "cens",
    "chroma",
    "estimate_tuning",
    "frame_count",
    "frames_to_seconds",
    "log_frequency_spectrogram",
    "onset_strength",
    "seconds_to_frames",
    "stft_magnitude",
]
