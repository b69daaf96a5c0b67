"""`gan blend`: a generator out of those of two runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from gan_cli.arguments import Best, Json, path_of
from gan_cli.errors import guarded, say, tell
from gan_cli.waiting import loading
from gancore.errors import UsageError


@guarded
def blend(
    run: Annotated[Path, typer.Argument(parser=path_of, help="A run's folder.")],
    other: Annotated[
        Path,
        typer.Argument(parser=path_of, help="Another one of the same architecture, such as one begun with --from."),
    ],
    layers: Annotated[
        str | None,
        typer.Option("--layers", metavar="0-3", help="Take these layers of the other run, counted as --list does."),
    ] = None,
    weights: Annotated[
        float | None,
        typer.Option(
            "--weights",
            metavar="SHARE",
            min=0.0,
            max=1.0,
            help="Take the mean of all weights, with this share of the other's.",
        ),
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="Only list the layers that --layers counts.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            parser=path_of,
            help="The new run's folder (default: runs/PLUGIN-001 and so on).",
        ),
    ] = None,
    best: Best = False,
    as_json: Json = False,
) -> None:
    """Blend the generators of two runs into a new run: some layers of the one and others of the other, or the mean of all weights.

    The new run is sampled, steered and trained further as any other. All but its generator is that of the first.
    """
    if sum([layers is not None, weights is not None, listed]) != 1:
        raise UsageError("say how to blend: --layers 0-3 or --weights 0.5; --list shows the layers")
    with loading():
        from gancore.latent.asking import layers as layers_of
        from gancore.sampling.blending import blend_layers, blend_weights, open_pair

    pair = open_pair(run, other, step="best" if best else None)
    if listed:
        found = pair.stages
        if as_json:
            print(
                json.dumps(
                    [{"layer": n, "modules": [*s.modules], "parameters": s.parameters} for n, s in enumerate(found)]
                )
            )
        for number, stage in enumerate([] if as_json else found):
            tell(f"{number:>3}  {stage.parameters:>12,}  {stage.name}")
        return
    if layers is not None:
        folder = blend_layers(pair, *layers_of(layers), out)
    else:
        folder = blend_weights(pair, weights or 0.0, out)
    [words] = folder.read_start()
    if as_json:
        print(json.dumps({"folder": str(folder.path), "words": words}))
    else:
        tell(folder.path)
        spec = pair.one.spec
        look = f"gan sample {folder.path}" + ("" if spec.given_shape is None else " --given FILE")
        say(f"{words}; look at it: {f'gan translate {folder.path} FILES --to DOMAIN' if spec.domains else look}")
