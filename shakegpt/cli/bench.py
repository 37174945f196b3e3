"""``shakegpt bench``: what this machine does in a second."""

import sys
from typing import Annotated, Any, Literal

import typer

from shakegpt.cli.options import Json, complete_presets
from shakegpt.cli.output import print_json, print_note, reports_errors
from shakegpt.config import DEFAULT_PRESET, PRESETS, DeviceName, PrecisionName
from shakegpt.errors import UsageError
from shakegpt.system.text import escape_line


@reports_errors
def bench(
    preset: Annotated[
        str, typer.Option(help="The size of the model and the batch.", autocompletion=complete_presets)
    ] = DEFAULT_PRESET,
    against: Annotated[
        Literal["transformers"] | None, typer.Option(help="Measure this as well, in turn, and print the ratios.")
    ] = None,
    device: Annotated[DeviceName, typer.Option(help="Where.")] = "auto",
    precision: Annotated[PrecisionName, typer.Option(help="Format of the matrix multiplications.")] = "auto",
    rounds: Annotated[int, typer.Option(min=1, help="How often each task has its turn.")] = 7,
    quick: Annotated[bool, typer.Option("--quick", help="A rough idea: preset nano, everything once.")] = False,
    json: Json = False,
) -> None:
    """Measure training, generation, start-up and memory beside this machine's limits. Takes two to three minutes."""
    if preset not in PRESETS:
        raise UsageError(f"There is no preset {preset!r}; the presets are {', '.join(PRESETS)}.")
    from shakegpt.benchmark import benchmark
    from shakegpt.system.device import choose_device_plan
    from shakegpt.system.threads import configure_process

    configure_process()
    device_plan = choose_device_plan(device, precision)
    if quick:
        figures = benchmark.measure(
            device_plan, preset="nano", against=against, rounds=1, seconds=0.1, starts=1, trainings=1, tell=_tell
        )
    else:
        figures = benchmark.measure(device_plan, preset=preset, against=against, rounds=rounds, tell=_tell)
    if json:
        print_json(figures)
    else:
        _print(figures)


def _tell(what: str) -> None:
    if sys.stderr.isatty():
        print_note(f"measured: {what}")


def _print(figures: dict[str, Any]) -> None:
    limits, train, generate = figures["limits"], figures["train"], figures["generate"]
    start = figures["start"]
    print(
        f"{figures['device_name']}, {figures['precision']}, {figures['threads']} threads; preset {figures['preset']}, "
        f"{figures['parameters']:,} weights; medians of {figures['rounds']} rounds"
    )
    print(f"  training      {train['tokens_per_second']:>9,.0f} characters/s  {_range(train)}")
    print(
        f"                {train['matmul_fraction']:>9.0%} of the matrix-multiply limit "
        f"({limits['matmul_flops_per_second'] / 1e9:,.0f} GFLOP/s)"
    )
    if (together := figures["distributed"]) is not None:
        _print_distributed(together)
    print(f"  generation    {generate['characters_per_second']:>9,.0f} characters/s  {_range(generate)}")
    print(f"                {generate['over_uncached']:>9.1f} times computing the whole window for each character")
    for key, where in (("samples", "within"), ("samples_past_window", "past")):
        rate, ratio = generate[f"{key}_characters_per_second"], generate[f"{key}_over_one"]
        print(
            f"  {generate['samples']} samples    {rate:>9,.0f} characters/s {where} the window, "
            f"{ratio:.1f} times one stream"
        )
    print(f"  while training{generate['while_training_characters_per_second']:>9,.0f} characters/s of one stream")
    print(f"  --help        {start['help_seconds']:>9.2f} s")
    print(
        f"  first word    {start['first_character_seconds']:>9.2f} s after torch's import, which takes "
        f"{start['torch_import_seconds']:.2f} s"
    )
    if start["first_paint_seconds"] is not None:
        print(f"  first paint   {start['first_paint_seconds']:>9.2f} s from starting the app")
    memory = figures["memory"]["train_peak_bytes_over_torch"]
    print(f"  memory        {memory / 1e6:>9,.0f} MB for training, beside what torch's import takes")
    print(f"  copying       {limits['memory_bytes_per_second'] / 1e9:>9,.1f} GB/s")
    if "against" in figures:
        peer = figures["against"]
        print(f"against {peer['name']} {peer['version']} ({peer['precision']}, in turn, in a process of its own):")
        for what, rate in (("train", "tokens_per_second"), ("generate", "characters_per_second")):
            ratio = peer[what]["ratio"]
            print(f"  {what:<14}{peer[what][rate]:>9,.0f} characters/s; shakegpt is {ratio:.2f} times as fast")


def _print_distributed(figures: dict[str, Any]) -> None:
    name = f"{figures['processes']} processes"
    if "failure" in figures:
        print(f"  {name:<14}could not train as one: {escape_line(figures['failure'])}")
        return
    print(
        f"  {name:<14}{figures['tokens_per_second']:>9,.0f} characters/s of training under torchrun, "
        f"{figures['over_threads']:.2f} times threads in one"
    )


def _range(figures: dict[str, Any]) -> str:
    lowest, highest = figures["spread"]
    return f"({lowest:,.0f} to {highest:,.0f})"
