"""Makes the pictures of the page on evaluating: what `gan evaluate RUN --steps all` draws of a run on digits.

Run by hand, from the root of the repository:

    gan run --plugin image data=digits --steps 1000 held_out=0.2 every.checkpoint=100 keep=10 --out runs/digits
    python docs/_scripts/evaluation_pictures.py runs/digits docs/assets/evaluation
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from gancore.evaluation.evaluator import evaluate_steps
from gancore.evaluation.keeping import keep_curve
from gancore.run import RunFolder


def main() -> None:
    """Evaluate every checkpoint, and copy the curve and the pictures of the last one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    found = list(evaluate_steps(arguments.run, device="cpu", options={"features": "pixels"}))
    last = found[-1]
    assert last.path is not None
    pictures = {path: path.name.removeprefix(f"{last.path.stem}-") for path in last.pictures}
    if (curve := keep_curve(found, RunFolder.open(arguments.run))) is not None:
        pictures[curve] = "checkpoints.png"
    arguments.out.mkdir(parents=True, exist_ok=True)
    for path, name in pictures.items():
        shutil.copyfile(path, arguments.out / name)
    print("\n".join(last.summary))


if __name__ == "__main__":
    main()
