"""Fingerprints: the vectors of a recording's or a clip's seconds.

Recordings are embedded every half second, clips more often: whatever a clip's offset, some of its windows then
lie near those in the library. A clip can also be embedded as if it were played lower or higher.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from alignment.audio import ANALYSIS_RATE, Audio
from alignment.errors import FeatureError
from alignment.features import FEATURE_RATE
from retrieval.embedding.encoder import Encoder
from retrieval.embedding.patches import PATCH_FRAMES, cut_patches, patch_spectrogram
from retrieval.rises import rises_in_phases

__all__ = [
    "FIRST_CENTRE",
    "RECORDING_HOP_FRAMES",
    "RECORDING_HOP_SECONDS",
    "Fingerprint",
    "Windows",
    "fingerprint",
]

RECORDING_HOP_FRAMES = 25
RECORDING_HOP_SECONDS = RECORDING_HOP_FRAMES / FEATURE_RATE
FIRST_CENTRE = (PATCH_FRAMES - 1) / 2 / FEATURE_RATE
"""Seconds from a window's first frame to its middle."""

_SILENCE = 1e-4
_SILENCE_BELOW_LOUDEST = 1e-3
_PATCHES_AT_ONCE = 512

Neighbours = dict[float, tuple[NDArray[np.int64], NDArray[np.float32]]]


@dataclass(frozen=True)
class Fingerprint:
    """Vectors of a signal's windows.

    Attributes:
        vectors: float32, shape `(windows, dimensions)`; zero where nothing sounds.
        audible: bool, shape `(windows,)`.
        centres: seconds of the middle of each window, evenly spaced, shape `(windows,)`.
        quarter_tones: by which the signal was moved down before.
        neighbours: numbers and similarities of the stored vectors most similar to windows, by their centres, as far as
            they were asked for; shared by the fingerprints of a signal.
    """

    vectors: NDArray[np.float32]
    audible: NDArray[np.bool_]
    centres: NDArray[np.float64]
    quarter_tones: int = 0
    neighbours: Neighbours = field(default_factory=dict)


class Windows:
    """A signal, ready to be embedded; one shorter than a window has none.

    Args:
        audio: at the analysis rate.
        encoder: of the fingerprint model.

    Raises:
        FeatureError: it has another rate.
    """

    def __init__(self, audio: Audio, encoder: Encoder) -> None:
        if audio.rate != ANALYSIS_RATE:
            raise FeatureError(f"Sound must be at {ANALYSIS_RATE} samples a second. Got {audio.rate} instead.")
        self._encoder = encoder
        self._samples = audio.samples
        self._spectrogram = patch_spectrogram(audio.samples, audio.rate)
        self._embedded: dict[tuple[int, int], Fingerprint] = {}
        self._rises: dict[int, NDArray[np.float32]] = {}
        self._moved: dict[int, tuple[NDArray[np.float32], float]] = {0: (self._spectrogram, 1.0)}

    def __len__(self) -> int:
        """How many frames a window can begin at."""
        return max(self._spectrogram.shape[1] - PATCH_FRAMES + 1, 0)

    def embed(self, hop_frames: int, quarter_tones: int = 0) -> Fingerprint:
        """Embed the windows that begin every so many frames; asked again, the answer is at hand.

        Args:
            hop_frames: frames from window to window.
            quarter_tones: how much higher the signal is than what it is compared with. It may be so by its speed,
                its pitch alone, or something between, so its tempo is brought half the way.
        """
        if (hop_frames, quarter_tones) not in self._embedded:
            self._embedded[hop_frames, quarter_tones] = self._embed(hop_frames, quarter_tones)
        return self._embedded[hop_frames, quarter_tones]

    def finest(self, quarter_tones: int = 0) -> Fingerprint:
        """Of what was embedded so far the windows that lie nearest together.

        Raises:
            ValueError: nothing was, of this pitch.
        """
        return self._embedded[min(key for key in self._embedded if key[1] == quarter_tones)]

    def rises(self, quarter_tones: int = 0) -> NDArray[np.float32]:
        """How its bands rise and fall, in `PHASES` phases, for `retrieval.timing`.

        Args:
            quarter_tones: how much higher the signal may be than what it is laid along.
        """
        if quarter_tones not in self._rises:
            self._rises[quarter_tones] = rises_in_phases(self._samples, quarter_tones)
        return self._rises[quarter_tones]

    def _embed(self, hop_frames: int, quarter_tones: int) -> Fingerprint:
        spectrogram, frame = self._at_tempo(quarter_tones)
        starts = np.arange(0, max(spectrogram.shape[1] - PATCH_FRAMES + 1, 0), hop_frames)
        vectors = np.zeros((len(starts), self._encoder.model.format.dimensions), np.float32)
        audible = _audible(spectrogram, starts)
        neighbours: Neighbours = {}
        for (coarser, moved), known in self._embedded.items():
            neighbours = known.neighbours if moved == quarter_tones else neighbours
            if moved == quarter_tones and coarser % hop_frames == 0:
                each = coarser // hop_frames
                vectors[::each] = known.vectors * audible[::each, None]
        heard = np.flatnonzero(audible & ~vectors.any(axis=1))
        for first in range(0, len(heard), _PATCHES_AT_ONCE):
            rows = heard[first : first + _PATCHES_AT_ONCE]
            vectors[rows] = self._encoder.encode(cut_patches(spectrogram, starts[rows], quarter_tones))
        centres = (starts / FEATURE_RATE + FIRST_CENTRE) * frame
        return Fingerprint(vectors, audible, centres, quarter_tones, neighbours)

    def _at_tempo(self, quarter_tones: int) -> tuple[NDArray[np.float32], float]:
        """The spectrogram at the tempo at which a pitch is tried, and how many frames of the signal's a frame is."""
        if quarter_tones not in self._moved and len(self):
            frame = 2.0 ** (-quarter_tones / 48)
            self._moved[quarter_tones] = _at_tempo(self._spectrogram, frame), frame
        return self._moved.get(quarter_tones, self._moved[0])


def fingerprint(audio: Audio, encoder: Encoder) -> Fingerprint:
    """Embed a recording for the library, a window every half second."""
    return Windows(audio, encoder).embed(RECORDING_HOP_FRAMES)


def _at_tempo(spectrogram: NDArray[np.float32], frame: float) -> NDArray[np.float32]:
    """The spectrogram with a frame for each `frame` of its frames, at least as many as a window has."""
    count = max(int((spectrogram.shape[1] - 1) / frame) + 1, PATCH_FRAMES)
    wanted = np.minimum(np.arange(count) * frame, spectrogram.shape[1] - 1.001)
    left = wanted.astype(np.int64)
    share = (wanted - left).astype(np.float32)
    return spectrogram[:, left] * (1 - share) + spectrogram[:, left + 1] * share


def _audible(spectrogram: NDArray[np.float32], starts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Windows whose loudest bin is neither absolutely silent nor 60 dB below the loudest of the signal."""
    if not len(starts):
        return np.zeros(0, bool)
    peaks = spectrogram.max(axis=0)
    windows = peaks[starts[:, None] + np.arange(PATCH_FRAMES)].max(axis=1)
    return np.asarray(windows > max(_SILENCE, _SILENCE_BELOW_LOUDEST * float(windows.max())))
