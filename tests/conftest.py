"""Music, libraries and data that several tests share."""

import os
from dataclasses import dataclass
from pathlib import Path

import pytest
import soundfile
from demo_music import Recorded, write_collection
from demo_pieces import PIECES
from serving import serving

from retrieval import Collection


@dataclass(frozen=True)
class Music:
    """Folder of performances, two of each piece, and their ground truth."""

    folder: Path
    recorded: list[Recorded]

    def pair(self, name: str) -> tuple[Recorded, Recorded]:
        first, second = (item for item in self.recorded if item.piece == name)
        return first, second


@pytest.fixture(scope="session")
def music(tmp_path_factory: pytest.TempPathFactory) -> Music:
    folder = tmp_path_factory.mktemp("music")
    return Music(folder, write_collection(folder, PIECES[:6]))


@pytest.fixture(scope="session")
def collection(music: Music, tmp_path_factory: pytest.TempPathFactory) -> Collection:
    """A library of all performances; read it, do not change it."""
    made = Collection(tmp_path_factory.mktemp("library") / "lib")
    report = made.add(music.folder)
    assert report.added == len(music.recorded)
    return made


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real recordings and performances."""
    named = os.environ.get("INCIPIT_DATA")
    if not named or not Path(named).is_dir():
        pytest.skip("INCIPIT_DATA names no folder of recordings")
    return Path(named)


@pytest.fixture(scope="module")
def client(collection, music):
    """Serves the library of all performances, and may read their folder."""
    with serving(collection.folder, [music.folder]) as made:
        yield made


@pytest.fixture(scope="module")
def snippet(music, tmp_path_factory):
    """Eight seconds of a performance, and which."""
    recorded = music.recorded[0]
    sound, rate = soundfile.read(recorded.path)
    path = tmp_path_factory.mktemp("snippet") / "snippet.wav"
    soundfile.write(path, sound[3 * rate : 11 * rate], rate)
    return path, Path(recorded.path)
