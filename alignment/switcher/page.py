"""The page of the switcher, as one HTML file beside a folder of sound.

From a file a browser loads neither modules nor fetched sound. So the modules are joined into one inline script, which
the page's content-security policy allows by its hash, and the pieces of sound are classic scripts, which that script
adds. These no hash can allow (integrity of a file's script cannot be checked). 'strict-dynamic' says that what the
allowed script itself adds may run, and nothing that stands in the page, wherever it is from: so no address has to be
allowed, neither `file:` nor `data:`, by which the module of the audio worklet is given to the browser (Chromium takes
none from a `blob:` of a file). 'wasm-unsafe-eval' lets the worklet compile its WebAssembly, and no text to be run.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import math
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alignment.engraving import Engraving
from alignment.export.document import synchronisation_document
from alignment.following import follow, recording_rows
from alignment.score import Score
from alignment.segments import Synchronisation
from alignment.switcher.sound import (
    MARGIN_FRAMES,
    PIECE_FRAMES,
    RATE,
    SEAM_FRAMES,
    Sound,
    remove_pieces,
    write_pieces,
    write_script,
)
from alignment.tempo import tempo_ratio

__all__ = [
    "STRETCHER",
    "STYLES",
    "Performance",
    "Sheets",
    "Switcher",
    "joined_script",
    "model_document",
    "page_text",
    "relative_tempi",
    "shown_names",
    "source",
    "write_switcher",
]

MODULES = (
    "elements.js",
    "note.js",
    "timemap.js",
    "state.js",
    "voice.js",
    "speed.js",
    "player.js",
    "score.js",
    "view.js",
    "main.js",
)
"""In the order in which they need each other."""

STYLES = ("base.css", "page.css")

STRETCHER = "vendor/SignalsmithStretch.mjs"
"""What changes the speed; vendor/README.md tells whence it comes."""

_ENTRY = "file.js"
"""Begins where the page is a file."""

_IMPORT = re.compile(r"^import\b[^;]*;\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=async |class |const |function )", re.MULTILINE)
_PLACE = re.compile(r"\{\{(\w+)\}\}")

_LONG_BEGINNING = 12
_SHORTEST_NAME = 3

_LOUDEST = -14.0
"""LUFS at which performances are played at most."""

_HEADROOM = 1.0
"""Decibels below full scale that peaks stay."""

_TEMPO_STEP = 0.5
_MOST_TEMPI = 2000


@dataclass(frozen=True)
class Performance:
    """A recording of the work.

    Attributes:
        path: of the file.
        name: under which it is shown.
        alignment: with the reference, accepted; None for the reference itself.
    """

    path: str
    name: str
    alignment: Synchronisation | None = None


@dataclass(frozen=True)
class Sheets:
    """The engraved score of the work.

    Attributes:
        alignment: of the score, as reference, with the recording that is the switcher's; accepted.
    """

    score: Score
    engraving: Engraving
    alignment: Synchronisation


@dataclass(frozen=True)
class Switcher:
    """What was written: the page, the length of each performance in seconds, and how many bytes in all."""

    page: Path
    durations: tuple[float, ...]
    size: int


def write_switcher(
    folder: Path,
    title: str,
    performances: Sequence[Performance],
    sheets: Sheets | None = None,
    done: Callable[[str], None] | None = None,
) -> Switcher:
    """Write `index.html`, `audio/`, `code/` and, of a score, `score/` into a folder, which is made if need be.

    What an earlier run has written there is replaced.

    Args:
        performances: the reference first.
        done: told the name of each performance that is written.

    Raises:
        AudioError: one of the recordings cannot be decoded.
    """
    audio = folder / "audio"
    audio.mkdir(parents=True, exist_ok=True)
    remove_pieces(audio)
    names = [_file_name(number, performance.name) for number, performance in enumerate(performances, 1)]
    sounds = []
    for name, performance in zip(names, performances, strict=True):
        sounds.append(write_pieces(performance.path, audio, name))
        if done is not None:
            done(performance.name)
    pages = [] if sheets is None else _write_pages(folder / "score", sheets.engraving)
    document = model_document(title, performances, names, sounds, sheets, pages)
    code = folder / "code"
    code.mkdir(exist_ok=True)
    write_script(code, "stretcher", source(STRETCHER).encode())
    page = folder / "index.html"
    page.write_text(_page(title, document), "utf-8", "replace", newline="")  # a file's name may be no text
    written = [page, code / "stretcher.js", *(file for name in names for file in audio.glob(f"{name}-*.js"))]
    if sheets is not None:
        written += (folder / "score").glob("page-*.js")
    size = sum(file.stat().st_size for file in written)
    return Switcher(page, tuple(sound.frames / RATE for sound in sounds), size)


def shown_names(files: Sequence[str]) -> list[str]:
    """Names to show: stems without a long beginning that all share, numbered where they are the same."""
    stems = [Path(file).stem for file in files]
    shared = re.sub(r"[^\W_]*$", "", os.path.commonprefix(stems))  # noqa: RUF071  letters are meant
    if len(shared) >= _LONG_BEGINNING and all(len(stem) >= len(shared) + _SHORTEST_NAME for stem in stems):
        stems = [stem[len(shared) :] for stem in stems]
    names: list[str] = []
    for stem in stems:
        name, number = stem, 2
        while name in names:
            name, number = f"{stem} ({number})", number + 1
        names.append(name)
    return names


def joined_script() -> str:
    """The page's modules as one."""
    text = "\n".join(_EXPORT.sub("", _IMPORT.sub("", source(name))) for name in (*MODULES, _ENTRY))
    assert not re.search("</script|<!--", text), "that would end the script"
    return text


def relative_tempi(alignments: Sequence[Synchronisation], duration: float, step: float) -> list[NDArray[np.float64]]:
    """How much faster than the geometric mean of all each performance is, at each `step` of the reference.

    Returns:
        for the reference and each other, speeds above 0; NaN where it has nothing.
    """
    times = np.arange(0.0, duration, step)
    speeds = np.stack([np.ones(len(times)), *(1.0 / tempo_ratio(alignment, times) for alignment in alignments)])
    mean = np.exp(np.nanmean(np.log(speeds), axis=0))  # the reference has no NaN
    return list(speeds / mean)


def model_document(
    title: str,
    performances: Sequence[Performance],
    names: Sequence[str],
    sounds: Sequence[Sound],
    sheets: Sheets | None = None,
    pages: Sequence[str] = (),
) -> dict[str, Any]:
    """The data of the page; its form is what `createModel` in state.js reads.

    Args:
        performances: the reference first.
        names: by which the page asks for the pieces of each.
        sounds: what is told of each.
        pages: of the score, by which the page asks for them.
    """
    duration = sounds[0].frames / RATE
    step = max(_TEMPO_STEP, duration / _MOST_TEMPI)
    tempi = relative_tempi(
        [performance.alignment for performance in performances if performance.alignment is not None], duration, step
    )
    gains = _gains(sounds)
    loudest = (
        max(
            (
                float((sound.envelope * 10 ** (gain / 20)).max(initial=0.0))
                for sound, gain in zip(sounds, gains, strict=True)
            ),
            default=0.0,
        )
        or 1.0
    )
    tracks = [
        {
            "name": performance.name,
            "file": name,
            "duration": round(sound.frames / RATE, 6),
            "frames": sound.frames,
            "loudness": round(sound.loudness, 2) if math.isfinite(sound.loudness) else None,
            "gain": round(gain, 2),
            "envelope": _packed(sound.envelope * 10 ** (gain / 20) / loudest),
            "body": _packed(sound.body * 10 ** (gain / 20) / loudest),
            "tempo": [round(speed, 3) if math.isfinite(speed) else None for speed in tempo.tolist()],
            **_aligned(performance.alignment),
        }
        for performance, name, sound, gain, tempo in zip(performances, names, sounds, gains, tempi, strict=True)
    ]
    document = {
        "title": title,
        "rate": RATE,
        "piece_frames": PIECE_FRAMES,
        "margin_frames": MARGIN_FRAMES,
        "seam_frames": SEAM_FRAMES,
        "tempo_step": step,
        "tracks": tracks,
        "score": None if sheets is None else {"pages": list(pages), **_sounding(sheets)},
    }
    known = json.dumps([[track["name"], track["frames"]] for track in tracks])
    return {"id": hashlib.sha256(known.encode()).hexdigest()[:16], **document}


def _sounding(sheets: Sheets) -> dict[str, Any]:
    """When each measure and note sounds on the reference's timeline.

    Rows of measures: start, end, id, page; of notes: start, end, id.
    """
    rows = recording_rows(sheets.score, sheets.engraving, follow(sheets.score, sheets.engraving, sheets.alignment))
    return {"measures": [row[:4] for row in rows["measures"]], "notes": rows["notes"]}


def _write_pages(folder: Path, engraving: Engraving) -> list[str]:
    """Write the pages of a score; gives their names."""
    folder.mkdir(exist_ok=True)
    remove_pieces(folder)
    names = [f"page-{number:04d}" for number in range(1, len(engraving.pages) + 1)]
    for name, page in zip(names, engraving.pages, strict=True):
        write_script(folder, name, page.encode())
    return names


def _aligned(alignment: Synchronisation | None) -> dict[str, Any]:
    if alignment is None:
        return {"transposition": 0, "segments": []}
    segments = synchronisation_document("", alignment)["segments"]
    return {
        "transposition": alignment.transposition,
        "segments": [{key: segment[key] for key in ("kind", "ref", "other", "warping_path")} for segment in segments],
    }


def _gains(sounds: Sequence[Sound]) -> list[float]:
    """Decibels that make all equally loud, and none clip."""
    rooms = [sound.loudness - 20.0 * math.log10(sound.peak) for sound in sounds if math.isfinite(sound.loudness)]
    target = min([_LOUDEST, *(room - _HEADROOM for room in rooms)])
    return [target - sound.loudness if math.isfinite(sound.loudness) else 0.0 for sound in sounds]


def _packed(values: NDArray[np.float64]) -> str:
    return base64.b64encode(np.rint(np.clip(values, 0.0, 1.0) * 255.0).astype(np.uint8).tobytes()).decode("ascii")


def _file_name(number: int, name: str) -> str:
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40].strip("-")
    return f"{number:02d}-{plain}" if plain else f"{number:02d}"


def page_text(title: str, head: str, scripts: str, above: str = "") -> str:
    """The HTML of the page, with what it loads or holds in its head and at its end, and what stands above the title."""
    parts = {"title": html.escape(title), "head": head, "scripts": scripts, "above": above}
    return _PLACE.sub(lambda place: parts[place.group(1)], source("page.html"))


def _page(title: str, document: dict[str, Any]) -> str:
    script, style = joined_script(), "".join(source(name) for name in STYLES)
    policy = (
        f"default-src 'none'; script-src {_hash(script)} 'strict-dynamic' 'wasm-unsafe-eval'; "
        f"style-src {_hash(style)}; img-src data:; base-uri 'none'; form-action 'none'"
    )
    data = json.dumps(document, ensure_ascii=True, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    return page_text(
        title,
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n<style>{style}</style>',
        f'<script type="application/json" id="switcher-data">{data}</script>\n<script type="module">{script}</script>',
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"


def source(name: str) -> str:
    """The text of a file of the page."""
    return files("alignment.switcher").joinpath(name).read_text("utf-8").replace("\r\n", "\n")
