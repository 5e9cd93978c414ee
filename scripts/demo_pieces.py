"""Twelve public-domain works written in as notes, for the demo and the tests of Incipit.

A voice is written as tokens of pitch and length in beats (quarter notes), such as ``E5:1 F5:.5 G5``:
a length holds until the next one, ``R`` is a rest, ``C4+E4+G4`` a chord, and ``|`` is for the eye only.
An accompaniment is written as chord symbols with lengths (``D:4 A7:2 Bm``, ``C/E`` for a chosen bass) and
a pattern that is repeated under each of them, in which ``b`` is the bass note, ``c`` the whole chord, and
``0``, ``1``, ``2`` its tones from the bottom (beyond the top, the tones go on an octave higher).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, cycle

MELODY, ACCOMPANIMENT, BASS = 0, 1, 2

_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_SIGNS = {"": 0, "#": 1, "b": -1}
_QUALITIES = {"": (0, 4, 7), "m": (0, 3, 7), "7": (0, 4, 7, 10)}
_CHORD = re.compile(r"([A-G][#b]?)(m|7)?(?:/([A-G][#b]?))?")
_LOWEST_BASS = 38
_LOWEST_TONE = 53


@dataclass(frozen=True)
class Note:
    """One note: onset and duration in beats, MIDI pitch, and part (0 melody, 1 accompaniment, 2 bass)."""

    onset: float
    duration: float
    pitch: int
    part: int = MELODY


@dataclass(frozen=True)
class Piece:
    """A work: its slug, its names, its tempo in beats a minute, and its notes by rising onset."""

    name: str
    title: str
    composer: str
    tempo: float
    notes: tuple[Note, ...]

    @property
    def beats(self) -> float:
        """The beat at which the last note ends."""
        return max(note.onset + note.duration for note in self.notes)


def _pitch_class(name: str) -> int:
    return _STEPS[name[0]] + _SIGNS[name[1:]]


def _pitch(name: str) -> int:
    return 12 * (int(name[-1]) + 1) + _pitch_class(name[:-1])


def _tokens(text: str) -> Iterator[tuple[str, float]]:
    """Yield each symbol of a text with its length in beats; a length holds until the next one."""
    length = 1.0
    for token in text.replace("|", " ").split():
        symbol, _, written = token.partition(":")
        length = float(written) if written else length
        yield symbol, length


def line(text: str, part: int = MELODY, start: float = 0.0, shift: int = 0) -> list[Note]:
    """Read a voice that begins at beat `start`, moved by `shift` semitones."""
    notes, beat = [], start
    for symbol, length in _tokens(text):
        if symbol != "R":
            notes += [Note(beat, length, _pitch(name) + shift, part) for name in symbol.split("+")]
        beat += length
    return notes


def _chord(symbol: str, shift: int) -> tuple[int, list[int]]:
    """Return the bass pitch of a chord symbol and its tones in close position, lowest first."""
    match = _CHORD.fullmatch(symbol)
    if match is None:
        raise ValueError(f"not a chord symbol: {symbol!r}")
    root, quality, bass = match.groups()
    tones = [_pitch_class(root) + step + shift for step in _QUALITIES[quality or ""]]
    low = _pitch_class(bass or root) + shift
    close = sorted(_LOWEST_TONE + (tone - _LOWEST_TONE) % 12 for tone in tones)
    return _LOWEST_BASS + (low - _LOWEST_BASS) % 12, close


def _cell(symbol: str, bass: int, tones: list[int]) -> list[tuple[int, int]]:
    """Return the (pitch, part) pairs of one pattern cell over one chord."""
    found = []
    for item in symbol.split("+"):
        if item == "b":
            found.append((bass, BASS))
        elif item == "c":
            found += [(tone, ACCOMPANIMENT) for tone in tones]
        elif item != "R":
            octave, index = divmod(int(item), len(tones))
            found.append((tones[index] + 12 * octave, ACCOMPANIMENT))
    return found


def accompany(symbols: str, pattern: str, start: float = 0.0, shift: int = 0) -> list[Note]:
    """Play a pattern under chord symbols from beat `start`, moved by `shift` semitones."""
    notes, beat = [], start
    for symbol, length in _tokens(symbols):
        bass, tones = _chord(symbol, shift)
        used = 0.0
        for cell, wanted in cycle(_tokens(pattern)):
            held = min(wanted, length - used)
            notes += [Note(beat + used, held, pitch, part) for pitch, part in _cell(cell, bass, tones)]
            used += held
            if used >= length:
                break
        beat += length
    return notes


def _piece(name: str, title: str, composer: str, tempo: float, *voices: list[Note]) -> Piece:
    notes = sorted(chain(*voices), key=lambda note: (note.onset, note.part, note.pitch))
    return Piece(name, title, composer, tempo, tuple(notes))


def _prelude() -> Piece:
    """Bach, bars 1 to 19 and a closing chord: five pitches a bar, each half bar the same figure."""
    bars = """C4 E4 G4 C5 E5 | C4 D4 A4 D5 F5 | B3 D4 G4 D5 F5 | C4 E4 G4 C5 E5 | C4 E4 A4 E5 A5
        | C4 D4 F#4 A4 D5 | B3 D4 G4 D5 G5 | B3 C4 E4 G4 C5 | A3 C4 E4 G4 C5 | D3 A3 D4 F#4 C5
        | G3 B3 D4 G4 B4 | G3 Bb3 E4 G4 C#5 | F3 A3 D4 A4 D5 | F3 Ab3 D4 F4 B4 | E3 G3 C4 G4 C5
        | E3 F3 A3 C4 F4 | D3 F3 A3 C4 F4 | G2 D3 G3 B3 F4 | C3 E3 G3 C4 E4"""
    notes = []
    for number, bar in enumerate(bars.split("|")):
        low, inner, *upper = bar.split()
        for start in (4.0 * number, 4.0 * number + 2):
            notes += line(f"{low}:2", BASS, start) + line(f"{inner}:1.75", ACCOMPANIMENT, start + 0.25)
            notes += line("R:.5 " + " ".join(f"{name}:.25" for name in upper * 2), MELODY, start)
    closing = line("C2+C3:4", BASS, 76) + line("E3+G3+C4:4", ACCOMPANIMENT, 76)
    title = "Prelude in C major, BWV 846"
    return _piece("bach-prelude", title, "Johann Sebastian Bach", 80, notes, closing)


def _canon() -> Piece:
    """Pachelbel: a ground of sixteen beats six times over, three voices one ground apart."""
    ground = "D3:2 A2 B2 F#2 G2 D2 G2 A2 "
    upper = [
        "F#5:2 E5 D5 C#5 B4 A4 B4 C#5",
        "D5:2 C#5 B4 A4 G4 F#4 G4 E4",
        "D4:1 F#4 A4 G4 F#4 D4 F#4 E4 D4 B3 D4 A4 G4 B4 A4 G4",
        "F#4:1 D4 E4 C#5 D5 F#5 A5 A4 B4 G4 A4 F#4 D4 D5 D5:1.5 C#5:.5",
        """D5:.5 C#5 D5 D4 C#4 A4 E4 F#4 D4 D5 C#5 B4 C#5 F#5 A5 B5
        G5 F#5 E5 G5 F#5 E5 D5 C#5 B4 A4 G4 F#4 E4 G4 F#4 E4""",
    ]
    return _piece(
        "pachelbel-canon", "Canon in D major", "Johann Pachelbel", 112,
        line(ground * 6 + "D2+D3:4", BASS),
        line(" ".join([*upper, "D5:4"]), MELODY, 16),
        line(" ".join([*upper[:4], "F#4:4"]), ACCOMPANIMENT, 32),
        line(" ".join([*upper[:3], "A4:4"]), ACCOMPANIMENT, 48),
    )  # fmt: skip


def _minuet() -> Piece:
    """Petzold: the two sections of the minuet once each, thirty-two bars."""
    right = """D5:1 G4:.5 A4 B4 C5 | D5:1 G4 G4 | E5 C5:.5 D5 E5 F#5 | G5:1 G4 G4
        | C5 D5:.5 C5 B4 A4 | B4:1 C5:.5 B4 A4 G4 | F#4:1 G4:.5 A4 B4 G4 | A4:3
        | D5:1 G4:.5 A4 B4 C5 | D5:1 G4 G4 | E5 C5:.5 D5 E5 F#5 | G5:1 G4 G4
        | C5 D5:.5 C5 B4 A4 | B4:1 C5:.5 B4 A4 G4 | A4:1 B4:.5 A4 G4 F#4 | G4:3
        | B5:1 G5:.5 A5 B5 G5 | A5:1 D5:.5 E5 F#5 D5 | G5:1 E5:.5 F#5 G5 D5 | C#5:1 B4:.5 C#5 A4:1
        | A4:.5 B4 C#5 D5 E5 F#5 | G5:1 F#5 E5 | F#5 A4 C#5 | D5:3
        | D5:1 G4:.5 F#4 G4:1 | E5 G4:.5 F#4 G4:1 | D5 C5 B4 | A4:.5 G4 F#4 G4 A4:1
        | D4:.5 E4 F#4 G4 A4 B4 | C5:1 B4 A4 | B4:.5 D5 G4:1 F#4 | B3+D4+G4:3"""
    left = """G3+B3+D4:2 A3:1 | B3:3 | C4 | B3 | A3 | G3 | D4:1 B3 G3 | D4:1 D3:.5 C4 B3 A3
        | B3:2 A3:1 | G3 B3 G3 | C4:3 | B3:1 C4:.5 B3 A3 G3
        | A3:2 F#3:1 | G3:2 B3:1 | C4 D4 D3 | G3:2 G2:1
        | G3:3 | F#3 | E3:1 G3 E3 | A3:2 A2:1 | A3:3 | B3:1 D4 C#4 | D4 F#3 A3 | D4 D3 C4
        | B3+D4:2 B3:1 | C4+E4:2 C4:1 | B3 A3 G3 | D4:2 D3:1
        | F#3:3 | E3:1 G3 F#3 | G3 B2 D3 | G3 D3 G2"""
    title = "Minuet in G major, BWV Anh. 114"
    return _piece("petzold-minuet", title, "Christian Petzold", 112, line(right), line(left, BASS))


def _ode() -> Piece:
    """Beethoven: the tune of the Ninth twice, the second time an octave up over an Alberti bass."""
    tune = """F#4:1 F#4 G4 A4 | A4 G4 F#4 E4 | D4 D4 E4 F#4 | F#4:1.5 E4:.5 E4:2
        | F#4:1 F#4 G4 A4 | A4 G4 F#4 E4 | D4 D4 E4 F#4 | E4:1.5 D4:.5 D4:2
        | E4:1 E4 F#4 D4 | E4 F#4:.5 G4 F#4:1 D4 | E4 F#4:.5 G4 F#4:1 E4 | D4 E4 A3 F#4:2
        | F#4:1 G4 A4 | A4 G4 F#4 E4 | D4 D4 E4 F#4 | E4:1.5 D4:.5 D4:2"""
    chords = """D:4 | D:2 A7:2 | D:2 A7:1 D:1 | D:1.5 A:2.5 | D:4 | D:2 A7:2 | D:2 A7:1 D:1 | A7:1.5 D:2.5
        | A:2 D:2 | A7:2 D:2 | A7:2 F#7/A#:2 | Bm:1 E7:1 A:1 D:1
        | D:4 | D:2 A7:2 | D:2 A7:1 D:1 | A7:1.5 D:2.5"""
    return _piece(
        "beethoven-ode", "Ode to Joy", "Ludwig van Beethoven", 138,
        line(tune, shift=1), accompany(chords, "b+c:2", shift=1),
        line(tune, start=64, shift=13), accompany(chords, "b+0:.5 2 1 2", 64, 1),
    )  # fmt: skip


def _elise() -> Piece:
    """Beethoven: the opening section with its repeats; a sixteenth is a quarter of a beat."""
    first = """E5:.25 D#5 | E5 D#5 E5 B4 D5 C5 | A4:.5 R:.25 C4 E4 A4 | B4:.5 R:.25 E4 G#4 B4
        | C5:.5 R:.25 E4 """
    second = """E5:.25 D#5 | E5 D#5 E5 B4 D5 C5 | A4:.5 R:.25 C4 E4 A4 | B4:.5 R:.25 E4 C5 B4 """
    end, link = "| A4:1 ", "| A4:.5 R:.25 B4 C5 D5 "
    middle = """| E5:.75 G4:.25 F5 E5 | D5:.75 F4:.25 E5 D5 | C5:.75 E4:.25 D5 C5 | B4:.5 R:.25 E4 E5 R
        | R E5 E6 R R D#5 | E5 R R D#5 """
    low = "R:2.25 | E3:.25 A3:1 R:.25 | E3:.25 G#3:1 R:.25 | E3:.25 A3:.5 "
    low_middle = """R:.25 | G3 C4:1 R:.25 | G3:.25 B3:1 R:.25 | E3:.25 A3:1 R:.25 | E3:.25 R:.75 E4:.25
        | E5 R:.5 D#5:.25 E5 R | R D#5 E5 R """
    bass, bass_middle = "R:2 A2:1.5 E2 A2:1 ", "C3:1.5 G2 A2 E2 R:2.5 "
    right = first + second + end + 2 * (first + second + link + middle) + first + second + end
    left = low * 2 + 2 * (low * 2 + "R:.5 " + low_middle) + low * 2
    bass = bass * 2 + 2 * (bass * 2 + "R:.5 " + bass_middle) + bass * 2
    title = "Bagatelle in A minor, Für Elise"
    return _piece(
        "beethoven-elise", title, "Ludwig van Beethoven", 72,
        line(right), line(left, ACCOMPANIMENT), line(bass, BASS),
    )  # fmt: skip


def _vous() -> Piece:
    """Mozart: the theme, then a variation in sixteenths over chords."""
    theme = "C5:1 C5 G5 G5 | A5 A5 G5:2 | F5:1 F5 E5 E5 | D5:1 D5:.5 E5 C5:2 "
    middle = "G5:1 G5 F5 F5 | E5 E5 D5:2 "
    low = "C3:1 C4 E4 C4 | F4 C4 E4 C4 | D4 B3 C4 A3 | F3 G3 C3:2 "
    low_middle = "E4:1 G3 D4 G3 | C4 G3 B3 G3 "
    runs = """D5:.25 C5 B4 C5 B4 C5 B4 C5 | A5 G5 F#5 G5 F#5 G5 F#5 G5 | G#5 A5 C6 B5 D6 C6 B5 A5
        | A5 G5 E6 D6 C6 B5 A5 G5 | G5 F5 D6 C6 B5 A5 G5 F5 | F5 E5 C6 B5 A5 G5 F5 E5
        | E5 D5 A5 G5 F5 E5 D5 B4 | C5:2 """
    turns = """A5:.25 G5 F#5 G5 F#5 G5 E5 G5 | G5 F5 E5 F5 E5 F5 D5 F5 | F5 E5 D#5 E5 D#5 E5 C5 E5
        | E5 D5 C#5 D5 C#5 D5 B4 D5 """
    chords = "C:4 F:2 C | G7 C | Dm:1 G7 C:2 "
    return _piece(
        "mozart-vous", "Ah vous dirai-je, Maman", "Wolfgang Amadeus Mozart", 104,
        line(theme + middle * 2 + theme), line(low + low_middle * 2 + low, BASS),
        line(runs + turns * 2 + runs, start=48),
        accompany(chords + "C:2 G7 C/E G C G7 C/E G " + chords, "b:1 c", 48),
    )  # fmt: skip


def _mountain() -> Piece:
    """Grieg: the theme in B minor and on F sharp, climbing by octaves over a quickening bass."""
    minor = """B2:.5 C#3 D3 E3 F#3 D3 F#3:1 | F3:.5 C#3 F3:1 E3:.5 C3 E3:1
        | B2:.5 C#3 D3 E3 F#3 D3 F#3 B3 | A3 F#3 D3 F#3 A3:2 """
    major = """F#3:.5 G#3 A#3 B3 C#4 A#3 C#4:1 | D4:.5 A#3 D4:1 C#4:.5 A#3 C#4:1
        | F#3:.5 G#3 A#3 B3 C#4 A#3 C#4:1 | D4:.5 A#3 D4:1 C#4:2 """
    chords, pedal = "Bm:4 C#:2 C Bm:4 D ", "F#:16 "
    last = "B2+B3+D4+F#4:1 R | B2+B3+D4+F#4 R | B2+B3+D4+F#4:4"
    return _piece(
        "grieg-mountain-king", "In the Hall of the Mountain King", "Edvard Grieg", 138,
        line(minor + major + minor, shift=12), accompany(chords + pedal + chords, "b:1 c"),
        line(minor + major + minor, start=48, shift=24),
        accompany(chords + pedal + chords, "b:.5 c", 48),
        line(minor, start=96, shift=36), accompany(chords, "b+c:.5", 96), line(last, ACCOMPANIMENT, 112),
    )  # fmt: skip


def _greensleeves() -> Piece:
    """Traditional, in D minor: broken chords under the first verse, a lilt under the second."""
    tune = """A4:.5 | C5:1 D5:.5 E5:.75 F5:.25 E5:.5 | D5:1 B4:.5 G4:.75 A4:.25 B4:.5
        | C5:1 A4:.5 A4:.75 G#4:.25 A4:.5 | B4:1 G#4:.5 E4:1 A4:.5
        | C5:1 D5:.5 E5:.75 F5:.25 E5:.5 | D5:1 B4:.5 G4:.75 A4:.25 B4:.5
        | C5:.75 B4:.25 A4:.5 G#4:.75 F#4:.25 G#4:.5 | A4:3
        | G5:1.5 G5:.75 F#5:.25 E5:.5 | D5:1 B4:.5 G4:.75 A4:.25 B4:.5
        | C5:1 A4:.5 A4:.75 G#4:.25 A4:.5 | B4:1 G#4:.5 E4:1.5
        | G5:1.5 G5:.75 F#5:.25 E5:.5 | D5:1 B4:.5 G4:.75 A4:.25 B4:.5
        | C5:.75 B4:.25 A4:.5 G#4:.75 F#4:.25 G#4:.5 | A4:2.5"""
    chords = """Am:3 G Am E | Am G Am:1.5 E Am:3 | C G Am E | C G Am:1.5 E7 Am:"""
    return _piece(
        "greensleeves", "Greensleeves", "Traditional", 100,
        line(tune, shift=5), accompany(chords + "3", "b:.5 0 1 2 1 0", 0.5, 5),
        line(tune, start=48, shift=5), accompany(chords + "2.5", "b:1 c:.5", 48.5, 5),
    )  # fmt: skip


def _auld() -> Piece:
    """Traditional, in F: bass and chord under the verse, broken chords under the refrain."""
    tune = """C4:1 | F4:1.5 F4:.5 F4:1 A4 | G4:1.5 F4:.5 G4:1 A4 | F4:1.5 F4:.5 A4:1 C5 | D5:3 D5:1
        | C5:1.5 A4:.5 A4:1 F4 | G4:1.5 F4:.5 G4:1 A4 | F4:1.5 D4:.5 D4:1 C4 | F4:3 D5:1
        | C5:1.5 A4:.5 A4:1 F4 | G4:1.5 F4:.5 G4:1 D5 | C5:1.5 A4:.5 A4:1 C5 | D5:3 D5:1
        | C5:1.5 A4:.5 A4:1 F4 | G4:1.5 F4:.5 G4:1 A4 | F4:1.5 D4:.5 D4:1 C4 | F4:3"""
    chords = "F:4 C7 F Bb F C7 Bb:2 C7 F:"
    return _piece(
        "auld-lang-syne", "Auld Lang Syne", "Traditional", 88,
        line(tune), accompany(chords + "4", "b:1 c", 1), accompany(chords + "3", "b:.5 0 1 2", 33),
    )  # fmt: skip


def _night() -> Piece:
    """Gruber, in B flat: two verses, the second with an alto voice and held chords."""
    tune = """G4:.75 A4:.25 G4:.5 E4:1.5 | G4:.75 A4:.25 G4:.5 E4:1.5 | D5:1 D5:.5 B4:1.5 | C5:1 C5:.5 G4:1.5
        | A4:1 A4:.5 C5:.75 B4:.25 A4:.5 | G4:.75 A4:.25 G4:.5 E4:1.5
        | A4:1 A4:.5 C5:.75 B4:.25 A4:.5 | G4:.75 A4:.25 G4:.5 E4:1.5
        | D5:1 D5:.5 F5:.75 D5:.25 B4:.5 | C5:1.5 E5 | C5:.5 G4 E4 G4:.75 F4:.25 D4:.5 | C4:3"""
    alto = """E4:.75 F4:.25 E4:.5 C4:1.5 | E4:.75 F4:.25 E4:.5 C4:1.5 | F4:1 F4:.5 F4:1.5 | E4:1 E4:.5 E4:1.5
        | F4:1 F4:.5 A4:.75 G4:.25 F4:.5 | E4:.75 F4:.25 E4:.5 C4:1.5
        | F4:1 F4:.5 A4:.75 G4:.25 F4:.5 | E4:.75 F4:.25 E4:.5 C4:1.5
        | F4:1 F4:.5 G4:.75 F4:.25 D4:.5 | E4:1.5 G4 | E4:.5 E4 C4 B3:.75 B3:.25 B3:.5 | G3:3"""
    chords = "C:6 G7:3 C F C F C G7 C C:1.5 G7 C:3"
    return _piece(
        "silent-night", "Silent Night", "Franz Xaver Gruber", 76,
        line(tune, shift=-2), accompany(chords, "b:.5 0 1 2 1 0", shift=-2),
        line(tune, start=36, shift=-2), line(alto, ACCOMPANIMENT, 36, -2),
        accompany(chords, "b+c:1.5", 36, -2),
    )  # fmt: skip


def _largo() -> Piece:
    """Dvorak, in D flat, with the written lengths doubled: held chords, then broken ones."""
    head = "F4:1.5 Ab4:.5 Ab4:2 | F4:1.5 Eb4:.5 Db4:2 "
    opening = head + "| Eb4:1.5 F4:.5 Ab4:1.5 F4:.5 | Eb4:4 "
    closing = head + "| Eb4:1 F4 Eb4:1.5 Db4:.5 | Db4:4 "
    middle = "Bb4:1.5 Db5:.5 Db5:2 | C5:1.5 Ab4:.5 Bb4:2 | Bb4:1.5 Db5:.5 C5:1 Ab4 | Bb4:4 "
    last = "F4:1.5 Ab4:.5 Ab4:2 | Db5:1.5 Eb5:.5 F5:2 | Eb5:1.5 Db5:.5 Eb5:1 Bb4 | Db5:4"
    opened, closed = "Db:8 Ab:2 Db Ab7:4 ", "Db:4 Bbm Gb:2 Ab7 Db:4 "
    between = "Bbm:4 Ab:2 Bbm Gb Ab Bbm:4 "
    return _piece(
        "dvorak-largo", "Largo from the New World Symphony", "Antonin Dvorak", 100,
        line(opening + closing + middle * 2 + opening + last),
        accompany(opened + closed + between, "b+c:2"),
        accompany(between + opened + "Db:4 Bbm Ab7 Db", "b:.5 0 1 2 3 2 1 0", 48),
    )  # fmt: skip


def _gymnopedie() -> Piece:
    """Satie: the first twenty bars of the first piece and a closing chord."""
    phrase = "R:1 F#5 A5 | G5 F#5 C#5 | B4 C#5 D5 | A4:3 "
    tune = "R:12 " + phrase + "| F#4:12 | " + phrase + "| C#5:3 | F#5 | E4:6 | D4:3"
    sway, low = "R:1 B3+D4+F#4:2 R:1 A3+C#4+F#4:2 ", "G2:3 D2 "
    chords = sway * 8 + "R:1 A3+C#4+F#4:2 R:1 B3+D4+F#4:2 R:1 G3+B3+E4:2 R:1 G3+B3+C#4:2 F#3+A3:3"
    bass = low * 8 + "F#2:3 B2 E2 A2 D2"
    title = "Gymnopédie No. 1"
    return _piece(
        "satie-gymnopedie", title, "Erik Satie", 76, line(tune), line(chords, ACCOMPANIMENT), line(bass, BASS)
    )


PIECES: tuple[Piece, ...] = (
    _prelude(), _canon(), _minuet(), _ode(), _elise(), _vous(),
    _mountain(), _greensleeves(), _auld(), _night(), _largo(), _gymnopedie(),
)  # fmt: skip
