"""Scores written out in tests: MusicXML, MIDI, kern and MEI."""

import mido

DIVISIONS = 4
REPEAT = '<barline location="right"><repeat direction="backward"/></barline>'
BEGIN = '<barline location="left"><repeat direction="forward"/></barline>'


def note(pitch, quarters, extra="", before=""):
    names = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"]
    name = names[pitch % 12]
    alter = "<alter>1</alter>" if "#" in name else ""
    duration = f"<duration>{round(quarters * DIVISIONS)}</duration>" if quarters else ""
    return (
        f"<note>{before}<pitch><step>{name[0]}</step>{alter}<octave>{pitch // 12 - 1}</octave></pitch>"
        f"{duration}{extra}<voice>1</voice></note>"
    )


def measure(number, *content, attributes="", implicit=False):
    hidden = ' implicit="yes"' if implicit else ""
    return f'<measure number="{number}"{hidden}>{attributes}{"".join(content)}</measure>'


def attributes(beats=4, beat_type=4, transpose=""):
    return (
        f"<attributes><divisions>{DIVISIONS}</divisions><time><beats>{beats}</beats>"
        f"<beat-type>{beat_type}</beat-type></time>{transpose}</attributes>"
    )


def volta(number, kind, place):
    repeat = '<repeat direction="backward"/>' if kind == "stop" else ""
    return f'<barline location="{place}"><ending number="{number}" type="{kind}"/>{repeat}</barline>'


def tempo(quarters):
    return f'<direction><direction-type><words/></direction-type><sound tempo="{quarters}"/></direction>'


def jump(**signs):
    text = " ".join(f'{name}="{value}"' for name, value in signs.items())
    return f"<direction><direction-type><words/></direction-type><sound {text}/></direction>"


def document(*parts, title=""):
    listed = "".join(f'<score-part id="P{i}"><part-name/></score-part>' for i, _ in enumerate(parts))
    music = "".join(f'<part id="P{i}">{part}</part>' for i, part in enumerate(parts))
    name = f"<movement-title>{title}</movement-title>" if title else ""
    return f'<?xml version="1.0"?><score-partwise>{name}<part-list>{listed}</part-list>{music}</score-partwise>'


def midi_note(pitch, ticks, wait=0, velocity=64, channel=0):
    return (
        mido.Message("note_on", note=pitch, velocity=velocity, time=wait, channel=channel),
        mido.Message("note_off", note=pitch, time=ticks, channel=channel),
    )


def write_midi(path, *tracks, **header):
    file = mido.MidiFile(ticks_per_beat=480, **header)
    for messages in tracks:
        track = mido.MidiTrack()
        track.extend(messages)
        file.tracks.append(track)
    file.save(path)
    return path


KERN = """!!!OTL: Small
**kern\t**kern
*M4/4\t*M4/4
=1-\t=1-
4C\t4c
4D\t4d
2E\t2e 2g
=2:|!|:\t=2:|!|:
1F\t[1f
=3\t=3
1G\t1f]
=:|!\t=:|!
*-\t*-
"""

MEI = """<?xml version="1.0"?><mei xmlns="http://www.music-encoding.org/ns/mei"><meiHead><fileDesc><titleStmt>
<title>Little</title></titleStmt><pubStmt/></fileDesc></meiHead><music><body><mdiv><score>
<scoreDef><staffGrp><staffDef n="1" lines="5" clef.shape="G" clef.line="2" meter.count="4" meter.unit="4"
 trans.semi="-2" trans.diat="-1"/></staffGrp></scoreDef>
<section><measure n="0" metcon="false">
<staff n="1"><layer n="1"><note dur="4" pname="c" oct="4"/></layer></staff></measure>
<measure n="1" right="rptend"><staff n="1"><layer n="1"><note dur="1" pname="d" oct="4"/></layer></staff>
<tempo tstamp="1" midi.bpm="60">Slow</tempo></measure>
<measure n="2"><staff n="1"><layer n="1"><note dur="1" pname="e" oct="4"/></layer></staff></measure>
</section></score></mdiv></body></music></mei>"""
