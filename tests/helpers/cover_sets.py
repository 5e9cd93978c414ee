"""Libraries of recordings that nobody plays, put to works as a finder was told."""

import numpy as np

from index import FileState, Model, NewRecording, VectorFormat, Vectors
from retrieval.work_upkeep import update_works

MODEL = Model("test", "a" * 64, VectorFormat(8, "int8", 127.0))


def add(library, number, model=MODEL, path=None, retagged=None):
    values = np.zeros((2, 8), np.float32)
    recording = NewRecording(f"{number:012x}" + "0" * 52, 10.0 + number, title=f"Title {number}")
    file = FileState(path or f"/music/{number}.wav", 100 + number, 1000 + number)
    return library.add(recording, file, [Vectors(model, values, 0.5)], retagged)


class Told:
    """A finder that was told the cover sets, and remembers what it was asked."""

    def __init__(self, library, *sets):
        self.library, self.sets, self.asked = library, sets, []

    def versions_of(self, recording, max_false_accepts):
        self.asked.append(recording.title)
        return [
            (other, 0.9)
            for other in self.library.recordings()
            if other is not recording and any({other.title, recording.title} <= titles for titles in self.sets)
        ]


class Noting:
    """Notes what is said."""

    def __init__(self):
        self.said = []

    def progress(self, stage, done, total):
        assert done <= total

    def say(self, text):
        self.said.append(text)


def titles(*numbers):
    return {f"Title {number}" for number in numbers}


def contents(library):
    return [(work.label, [recording.title[6:] for recording in work.recordings]) for work in library.works.all()]


def members(library):
    return [numbers for _, numbers in contents(library)]


def grouped(library, *sets, anew=False):
    finder = Told(library, *sets)
    update_works(library, finder, Noting(), anew=anew)
    return finder
