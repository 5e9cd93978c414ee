"""What scores say of themselves: work, movements, parts, and the title that is made of these."""

import json

import mido
import pytest
from hypothesis import given
from hypothesis import strategies as st
from written import KERN, MEI, attributes, document, measure, midi_note, note

from alignment.heading import Heading, Movement, full_title
from alignment.score import Score, read_score
from index import Library
from retrieval import Collection
from retrieval.cli.app import app
from retrieval.kept_score import from_kept, to_kept

pytest.importorskip("partitura", reason="wants the score extra")

MUSIC = document(
    measure(1, note(60, 4), attributes=attributes()) + measure(2, note(62, 4)),
    measure(1, note(48, 2), note(50, 2), attributes=attributes()) + measure(2, note(52, 4)),
)


@pytest.fixture
def read(tmp_path):
    def read(name, text):
        (tmp_path / name).write_text(text, encoding="utf-8")
        return read_score(tmp_path / name)

    return read


def stated(*lines):
    return MUSIC.replace("<score-partwise>", "<score-partwise>" + "".join(lines))


@pytest.mark.parametrize(
    ("lines", "title", "movements"),
    [
        (
            (
                "<work><work-number>D. 911</work-number><work-title>Winterreise</work-title></work>",
                "<movement-number>5</movement-number><movement-title>Der\n Lindenbaum</movement-title>",
            ),
            "Winterreise, D. 911, 5. Der Lindenbaum",
            [("5", "Der Lindenbaum")],
        ),
        (
            (
                "<work><work-number>Op.47</work-number><work-title>5 Lieder, Op. 47</work-title></work>",
                "<movement-number>1.</movement-number><movement-title>1. Botschaft</movement-title>",
            ),
            "5 Lieder, Op. 47, 1. Botschaft",
            [("1.", "1. Botschaft")],
        ),
        (("<work><work-title>Air</work-title></work>", "<movement-title>Air</movement-title>"), "Air", []),
        (("<movement-title>Air</movement-title>",), "Air", []),
        (
            ("<work><work-title>Sonata</work-title></work>", "<movement-number>2</movement-number>"),
            "Sonata, no. 2",
            [("2", "")],
        ),
        (
            (
                '<credit page="1"><credit-words justify="right" valign="bottom">A. Nonymous</credit-words></credit>',
                '<credit page="1"><credit-words justify="center" valign="top" font-size="14">1st Movement\n',
                "</credit-words><credit-words>Op. 14</credit-words></credit>",
                '<credit page="1"><credit-words justify="center" valign="top" font-size="24">Sonata No. 10',
                "</credit-words></credit>",
                '<credit page="2"><credit-words justify="center" valign="top" font-size="30">Over',
                "</credit-words></credit>",
            ),
            "Sonata No. 10, 1st Movement Op. 14",
            [],
        ),
        ((), None, []),
    ],
)
def test_musicxml_tells_the_work_and_the_movement(read, lines, title, movements):
    score = read("score.musicxml", stated(*lines))
    assert score.title == title
    assert [movement[:2] for movement in score.movements] == movements
    assert score.title_at(0.0, score.duration) == title


@given(st.text("aO1. ", max_size=6), st.text("aO1. ", max_size=6), st.text("aO1. ", max_size=6))
def test_a_title_holds_what_is_stated_and_no_empty_parts(work, number, title):
    made = full_title(Heading(work.strip(), number.strip()), Movement("", title.strip()))
    assert work.strip() in made
    assert title.strip() in made
    assert all(part.strip() for part in made.split(", ")) or not made


def test_parts_are_told_from_the_top_with_what_each_plays(read):
    listed = (
        '<score-part id="P0"><part-name>Clarinet\nin B♭</part-name>'
        '<score-instrument id="I0"><instrument-name>Clarinet</instrument-name></score-instrument></score-part>'
        '<score-part id="P1"><part-name>Basso</part-name>'
        '<midi-instrument id="I1"><midi-program>33</midi-program></midi-instrument></score-part>'
    )
    text = MUSIC.replace(MUSIC[MUSIC.index("<score-part id") : MUSIC.index("</part-list>")], listed)
    transpose = "<transpose><chromatic>-2</chromatic></transpose></attributes>"
    repeat = '<barline location="right"><repeat direction="backward"/></barline></measure></part>'
    text = text.replace("</attributes>", transpose, 1).replace("</measure></part>", repeat)
    score = read("score.musicxml", text)
    assert score.parts == (("Clarinet in B♭", "Clarinet", -2, 4), ("Basso", "Acoustic Bass", 0, 6))
    assert sum(part.notes for part in score.parts) == len(score.notes)


def movement(label, number, tempo, staves, transposed=""):
    """An `mdiv` of one measure in 2/4, two quarters in each of the staves `(name, number, pitch)`."""
    defined = "".join(
        f'<staffDef n="{n}" lines="5" clef.shape="G" clef.line="2" {transposed if n == 1 else ""}>'
        f"{f'<label>{name}</label>' if name else ''}</staffDef>"
        for name, n, _ in staves
    )
    if len(staves) > 1:
        defined = f'<staffGrp symbol="brace"><label>Piano</label>{defined}</staffGrp>'
    music = "".join(
        f'<staff n="{n}"><layer n="1">{f"""<note dur="4" pname="{pitch}" oct="4"/>""" * 2}</layer></staff>'
        for _, n, pitch in staves
    )
    return (
        f'<mdiv n="{number}" label="{label}"><score><scoreDef meter.count="2" meter.unit="4">'
        f"<staffGrp>{defined}</staffGrp></scoreDef><section>"
        f'<measure n="0"><staff n="1"><layer n="1"><note dur="4" pname="{staves[0][2]}" oct="4"/></layer></staff>'
        "</measure>"
        f'<measure n="1">{music}<tempo staff="1" tstamp="1" midi.bpm="{tempo}"/></measure></section></score></mdiv>'
    )


SUITE = (
    MEI[: MEI.index("<mdiv>")].replace("<title>Little</title>", "<title>Suite</title>")
    + movement("Air", "1", 60, [("Clarinet", 1, "c")], 'trans.semi="-2" trans.diat="-1"')
    + movement("Gigue", "2", 120, [("", 1, "d"), ("", 2, "e")])
    + "</body></music></mei>"
)


def test_all_movements_of_mei_are_read_each_with_its_own_transposition_and_tempo(read):
    score = read("suite.mei", SUITE)
    assert score.title == "Suite"
    assert [movement[:2] for movement in score.movements] == [("1", "Air"), ("2", "Gigue")]
    second = score.movements[1].start
    first, later = ([n for n in score.notes.tolist() if (n[0] >= second - 0.01) == after] for after in (False, True))
    assert [pitch for _, _, pitch, _ in first] == [58.0, 58.0, 58.0]
    assert sorted(pitch for _, _, pitch, _ in later) == [62.0, 62.0, 62.0, 64.0, 64.0]
    assert later[-1][1] - later[-1][0] == pytest.approx((first[-1][1] - first[-1][0]) / 2, abs=0.02)
    assert [(beat.measure, beat.beat) for beat in score.measures] == [("0", 2.0), ("1", 1.0), ("0", 2.0), ("1", 1.0)]
    assert [measure.written for measure in score.played] == [0, 1, 2, 3]
    assert score.parts == (("Clarinet", "", -2, 3), ("Piano", "", 0, 5))


def test_a_stretch_has_the_title_of_its_movement(read):
    score = read("suite.mei", SUITE)
    second = score.movements[1].start
    assert score.title_at(0.0, second) == "Suite, 1. Air"
    assert score.title_at(second, score.duration) == "Suite, 2. Gigue"
    assert score.title_at(0.0, score.duration) == "Suite"
    kept = from_kept(to_kept(score), score.path)
    assert (kept.title, kept.movements, kept.parts) == (score.title, score.movements, score.parts)
    assert kept.title_at(second, score.duration) == "Suite, 2. Gigue"


RECORDS = "!!!OPR: Winterreise\n!!!OTL: Der Lindenbaum\n!!!ONM: 5\n!!!COM: Schubert, Franz\n"


def test_kern_tells_the_work_that_a_piece_is_from(read):
    score = read("score.krn", RECORDS + KERN.replace("!!!OTL: Small\n", "") + "!!!SCT: D 911\n")
    assert score.title == "Winterreise, D 911, 5. Der Lindenbaum"
    assert score.composer == "Franz Schubert"
    assert read("small.krn", KERN.replace("Small", "Sonata\n!!!OMV: II\n!!!OMD: Adagio")).title == "Sonata, II. Adagio"


def test_movements_of_kern_begin_where_the_records_say(read):
    within = KERN.replace("4D\t4d\n", "!!!OMD: Presto\n4D\t4d\n").replace(
        "=3\t=3\n", "=3\t=3\n!!!OMV: 2\n!!!OMD: Allegro\n"
    )
    score = read("score.krn", within.replace("Small", "Sonata"))
    assert [movement.title for movement in score.movements] == ["", "Allegro"]
    assert score.movements[1].start == next(start.seconds for start in score.measures if start.measure == "3")
    assert read("tempo.krn", KERN.replace("=3\t=3\n", "!!!OMD: Presto\n=3\t=3\n")).movements == ()


def test_midi_has_a_part_for_each_track_or_channel_that_plays(tmp_path):
    file = mido.MidiFile(ticks_per_beat=480)
    file.tracks.append(mido.MidiTrack([mido.MetaMessage("track_name", name="Air"), mido.MetaMessage("set_tempo")]))
    name = mido.MetaMessage("track_name", name="Melody")
    program = mido.Message("program_change", program=73)
    file.tracks.append(mido.MidiTrack([name, program, *midi_note(60, 480), *midi_note(62, 480)]))
    file.tracks.append(mido.MidiTrack(midi_note(38, 480, channel=9)))
    file.save(tmp_path / "tracks.mid")
    assert read_score(tmp_path / "tracks.mid").parts == (("Melody", "Flute", 0, 2), ("", "", 0, 0))
    file = mido.MidiFile(type=0, ticks_per_beat=480)
    file.tracks.append(mido.MidiTrack([*midi_note(60, 480, channel=3), *midi_note(48, 480), *midi_note(50, 480)]))
    file.save(tmp_path / "channels.mid")
    assert [part.notes for part in read_score(tmp_path / "channels.mid").parts] == [2, 1]


def test_the_library_keeps_and_shows_movements_and_parts(tmp_path, capsys):
    (tmp_path / "suite.mei").write_text(SUITE)
    collection = Collection(tmp_path / "lib")
    collection.add(tmp_path / "suite.mei", works=False)
    with Library(collection.folder) as library:
        (row,) = library.scores()
        assert isinstance(from_kept(library.score_sheet(row.id), row.path), Score)
    shown = ["show", row.key, "--library", str(collection.folder)]
    app([*shown, "--json"], standalone_mode=False)
    document = json.loads(capsys.readouterr().out)
    assert (document["title"], document["work_title"], document["work_number"]) == ("Suite", "Suite", None)
    assert [(told["number"], told["title"], told["measure"]) for told in document["movements"]] == [
        ("1", "Air", "0"),
        ("2", "Gigue", "0"),
    ]
    assert document["parts"][0] == {"name": "Clarinet", "instrument": None, "transposition": -2, "notes": 3}
    app(shown, standalone_mode=False)
    lines = capsys.readouterr().out.splitlines()
    assert "parts\tClarinet\ttransposition -2\tnotes 3" in lines
    assert [line.split("\t")[:3] for line in lines if line.startswith("movements")] == [
        ["movements", "1", "Air"],
        ["movements", "2", "Gigue"],
    ]
