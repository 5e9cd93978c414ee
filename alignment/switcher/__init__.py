"""The interpretation switcher: a folder with a page that plays several performances of a work in step.

`page` writes it, `sound` cuts the recordings into the pieces that it plays. The page itself is HTML, CSS and the
modules beside them: `timemap.js` (which time is which), `state.js` (what is shown and played), `player.js` (sound, by
`voice.js` and, at another speed, `speed.js`), `score.js` (its pages), `view.js` (drawing), `note.js` (short messages),
`main.js` (all together); `file.js` opens it where it is a file.
"""

from alignment.switcher.page import Performance, Sheets, Switcher, shown_names, write_switcher

__all__ = ["Performance", "Sheets", "Switcher", "shown_names", "write_switcher"]
