"""Alignments as files that other programs read; one module a format.

Every function returns the text of the file. All times are seconds unless the format has its own unit.
"""

from alignment.export.audacity import audacity_labels
from alignment.export.document import synchronisation_document
from alignment.export.measures import measure_table
from alignment.export.path_csv import path_csv
from alignment.export.sonic_visualiser import sample_rate, sonic_visualiser_layer
from alignment.export.trackswitch import trackswitch_csv

__all__ = [
    "audacity_labels",
    "measure_table",
    "path_csv",
    "sample_rate",
    "sonic_visualiser_layer",
    "synchronisation_document",
    "trackswitch_csv",
]
