"""Train the embedding of scores that Incipit ships, on scores that may be trained on.

    INCIPIT_DATA=DATA python scripts/train_scores.py --folder FOLDER [--steps 2000] [--jobs 2] [--device cpu]
        [--out FILE.onnx]

Performs OpenScore lieder and some POP909 songs, then trains on them as `incipit train scores` does; wants the `train`
extra and the program `fluidsynth`. Stopped, it goes on where it was. The half of the lieder that
`train_sync.trained_on` does not name is left out.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from train_sync import lieder, sound_fonts

from retrieval.cli.console import StageBars
from retrieval.embedding.score_encoder import SCORE_MODEL_PATH

_POP_SONGS = 58


def main() -> None:
    """Perform, train and write the model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where the training lives")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=SCORE_MODEL_PATH)
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # for the processes that perform

    # Not on top: the processes that perform import this file too, and need no torch.
    from retrieval.embedding.checkpoint import save_score_network
    from retrieval.embedding.score_training import ScoreRecipe, train_on_scores

    pop = sorted((Path(os.environ["INCIPIT_DATA"]) / "pop909").glob("*/*.mid"))
    scores = [*lieder(None), *pop[:_POP_SONGS]]
    recipe, fonts, jobs = ScoreRecipe(steps=arguments.steps), sound_fonts([]), arguments.jobs
    with StageBars(quiet=False) as bars:
        network = train_on_scores(
            scores, arguments.folder, recipe, bars, fonts=fonts, jobs=jobs, device=arguments.device
        )
    save_score_network(network, arguments.out)


if __name__ == "__main__":
    main()
