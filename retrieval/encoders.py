"""The trained models that a library is filled with."""

from __future__ import annotations

from dataclasses import dataclass, field

from index.runs import Model
from retrieval.embedding.encoder import Encoder
from retrieval.embedding.score_encoder import ScoreEncoder
from retrieval.embedding.version_encoder import VersionEncoder

__all__ = ["Encoders"]


@dataclass(frozen=True)
class Encoders:
    """Those that are shipped, if none are given.

    Attributes:
        fingerprint: for identification.
        versions: for versions of a work.
        scores: for the scores of what is played.
    """

    fingerprint: Encoder = field(default_factory=Encoder)
    versions: VersionEncoder = field(default_factory=VersionEncoder)
    scores: ScoreEncoder = field(default_factory=ScoreEncoder)

    @property
    def models(self) -> tuple[Model, ...]:
        """Whose vectors a library keeps."""
        versions = self.versions
        return self.fingerprint.model, versions.local, versions.quick, versions.segments, self.scores.model

    @property
    def searched(self) -> tuple[Model, ...]:
        """Whose vectors are searched by nearest neighbours."""
        return self.fingerprint.model, self.versions.segments, self.scores.model
