"""`gan explain`: why a sample is as it is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from gan_cli.arguments import Best, Json, Step, checkpoint_of
from gan_cli.errors import guarded, say, tell
from gan_cli.sampling_commands import STATION, Class, Device, Given, Out, Run

if TYPE_CHECKING:
    from gancore.explaining.explainer import Explanation


@guarded
def explain(
    run: Run,
    sample: Annotated[str, typer.Option("--sample", "-s", metavar="SEED:NUMBER|FILE", help=f"{STATION}.")] = "0",
    number: Annotated[
        int, typer.Option("--number", "-n", metavar="N", min=8, max=4096, help="Samples by which layers are looked at.")
    ] = 256,
    label: Class = None,
    given: Given = None,
    out: Out = None,
    step: Step = None,
    best: Best = False,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Explain a sample: what the discriminator minds of it, the training samples nearest to it, and which layers make what of it.

    Writes pictures and explain.json into a new folder.
    """
    from gan_cli.evaluating import told
    from gan_cli.sampling import Asked, Session

    asked = Asked(run=run, label=label, out=out, step=checkpoint_of(step, best), device=device, given=given)
    session = Session(asked, "explained")
    from gancore.explaining.explainer import explain as look

    address = session.named(sample)
    with session.new_folder() as folder, told(as_json) as progress:
        found = look(session.steering, address, folder, samples=number, given=session.given(), progress=progress)
    files = sorted(folder.iterdir())
    if as_json:
        print(json.dumps({"folder": str(folder), "files": [str(file) for file in files], **found.dump()}))
        return
    for line in lines(found):
        tell(line)
    say(f"pictures and explain.json are in {folder}: {', '.join(file.name for file in files)}")


def lines(found: Explanation) -> list[str]:
    """A table of attributes by layers, and what else there is to say."""
    said = [] if found.logit is None else [f"the discriminator's logit is {found.logit:.3g}"]
    if found.distances:
        said.append(f"the nearest training sample is {found.distances[0]:.3g} away by {found.by}")
    if found.attributes:
        wide = max(map(len, found.attributes))
        numbers = "".join(f"{number:>7}" for number in range(len(found.layers)))
        said.append(
            f"{'attribute':<{wide}}{'value':>10}{'mean':>10}{'std':>10}{numbers}   {'without' if numbers else ''}"
        )
        for name, facts in found.attributes.items():
            line = "".join(f"{_words(facts[key], '.4g'):>10}" for key in ("value", "mean", "std"))
            if "effect" in facts:
                line += "".join(f"{_words(r, '+.2f'):>7}" for r in facts["correlations"])
                line += f"   {_words(facts['effect'], '.2f')} ({facts['layer']}:{facts['units'][facts['layer']]})"
            said.append(f"{name:<{wide}}{line}")
        if numbers:
            said.append(
                "under each layer: the correlation of its best unit with the attribute; without: by how many standard deviations the "
                "attribute is another without the best of all (layer:unit)"
            )
            said += [f"{number:>4}  {one['name']}" for number, one in enumerate(found.layers)]
    return said + list(found.notes)


def _words(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
