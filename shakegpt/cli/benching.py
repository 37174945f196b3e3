"""``shakegpt bench``: what this machine does in a second."""

import sys
from typing import Annotated, Any, Literal

import typer

from shakegpt.cli.options import Json, complete_presets
from shakegpt.cli.output import note, reports_errors, say, say_json
from shakegpt.config import DEFAULT_PRESET, PRESETS
from shakegpt.errors import UsageError


@reports_errors
def bench(
    preset: Annotated[
        str, typer.Option(help="The size of the model and the batch.", autocompletion=complete_presets)
    ] = DEFAULT_PRESET,
    against: Annotated[
        Literal["transformers"] | None, typer.Option(help="Measure this as well, in turn, and print the ratios.")
    ] = None,
    device: Annotated[Literal["auto", "cpu", "cuda", "mps"], typer.Option(help="Where.")] = "auto",
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "fp16"], typer.Option(help="Format of the matrix multiplications.")
    ] = "auto",
    rounds: Annotated[int, typer.Option(min=1, help="How often each task has its turn.")] = 7,
    quick: Annotated[bool, typer.Option("--quick", help="A rough idea: preset nano, everything once.")] = False,
    json: Json = False,
) -> None:
    """Measure training, generation, start-up and memory beside the limits of this machine. Takes about a minute."""
    if preset not in PRESETS:
        raise UsageError(f"There is no preset {preset!r}; the presets are {', '.join(PRESETS)}.")
    from shakegpt import benchmark
    from shakegpt.device import choose_placement

    placement = choose_placement(device, precision)
    if quick:
        figures = benchmark.measure(placement, preset="nano", against=against, rounds=1, seconds=0.1, starts=1)
    else:
        figures = benchmark.measure(placement, preset=preset, against=against, rounds=rounds, on_round=_tell)
    if json:
        say_json(figures)
    else:
        _print(figures)


def _tell(done: int, of: int) -> None:
    if sys.stderr.isatty():
        note(f"round {done} of {of}" if done else "warmed up")


def _print(figures: dict[str, Any]) -> None:
    limits, train, generate = figures["limits"], figures["train"], figures["generate"]
    start = figures["start"]
    say(
        f"{figures['device_name']}, {figures['precision']}, {figures['threads']} threads; preset {figures['preset']}, "
        f"{figures['parameters']:,} weights; medians of {figures['rounds']} rounds"
    )
    say(f"  training      {train['tokens_per_second']:>9,.0f} characters/s  {_range(train)}")
    say(
        f"                {train['matmul_fraction']:>9.0%} of the matrix-multiply limit "
        f"({limits['matmul_flops_per_second'] / 1e9:,.0f} GFLOP/s)"
    )
    say(f"  generation    {generate['characters_per_second']:>9,.0f} characters/s  {_range(generate)}")
    say(f"                {generate['over_uncached']:>9.1f} times computing the whole window for each character")
    say(
        f"  {generate['samples']} samples    {generate['samples_characters_per_second']:>9,.0f} characters/s, "
        f"{generate['samples_over_one']:.1f} times one stream"
    )
    say(f"  while training{generate['while_training_characters_per_second']:>9,.0f} characters/s of one stream")
    say(f"  --help        {start['help_seconds']:>9.2f} s")
    say(
        f"  first word    {start['first_character_seconds']:>9.2f} s after torch's import, which takes "
        f"{start['torch_import_seconds']:.2f} s"
    )
    memory = figures["memory"]["train_peak_bytes_over_torch"]
    say(f"  memory        {memory / 1e6:>9,.0f} MB for training, beside what torch's import takes")
    say(f"  copying       {limits['memory_bytes_per_second'] / 1e9:>9,.1f} GB/s")
    if "against" in figures:
        peer = figures["against"]
        say(f"against {peer['name']} {peer['version']} ({peer['precision']}, in turn):")
        for what, rate in (("train", "tokens_per_second"), ("generate", "characters_per_second")):
            ratio = peer[what]["ratio"]
            say(f"  {what:<14}{peer[what][rate]:>9,.0f} characters/s; shakegpt is {ratio:.2f} times as fast")


def _range(figures: dict[str, Any]) -> str:
    lowest, highest = figures["spread"]
    return f"({lowest:,.0f} to {highest:,.0f})"
