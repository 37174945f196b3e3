"""``shakegpt bench``: how fast shakegpt is on this machine."""

import sys
from typing import Annotated, Any, Literal

import typer

from shakegpt.cli.options import DEVICE_METAVAR, Json, choices, complete_devices, complete_presets, parse_device
from shakegpt.cli.output import print_json, print_note
from shakegpt.config import DEFAULT_PRESET, PRESETS, DeviceName, PrecisionName, current_preset
from shakegpt.errors import UsageError


def bench(
    preset: Annotated[
        str, typer.Option(metavar="NAME", help="The size of the model and the batch.", autocompletion=complete_presets)
    ] = DEFAULT_PRESET,
    against: Annotated[
        Literal["transformers"] | None,
        typer.Option(metavar="transformers", help="Measure this as well, and print the ratios."),
    ] = None,
    device: Annotated[
        DeviceName,
        typer.Option(
            metavar=DEVICE_METAVAR, help="Where to compute.", parser=parse_device, autocompletion=complete_devices
        ),
    ] = "auto",
    precision: Annotated[
        PrecisionName, typer.Option(metavar=choices(PrecisionName), help="Format of the matrix multiplications.")
    ] = "auto",
    train_steps: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Steps of the whole command `train`; by default 20 on a CPU, elsewhere up to the first evaluation.",
        ),
    ] = None,
    rounds: Annotated[int, typer.Option(metavar="N", min=1, help="How many times each task is measured.")] = 7,
    quick: Annotated[bool, typer.Option("--quick", help="A rough estimate: preset nano, measured once.")] = False,
    json: Json = False,
) -> None:
    """Measure training, generation and memory beside this machine's limits. Takes some minutes."""
    preset = current_preset(preset)
    if preset not in PRESETS:
        raise UsageError(f"There is no preset {preset!r}; the presets are {', '.join(PRESETS)}.")
    from shakegpt.benchmark import benchmark
    from shakegpt.system.device import choose_device_plan
    from shakegpt.system.threads import configure_process

    configure_process()
    device_plan = choose_device_plan(device, precision)
    results = benchmark.measure(
        device_plan,
        preset="nano" if quick else preset,
        against=against,
        train_steps=train_steps,
        rounds=1 if quick else rounds,
        seconds=0.1 if quick else 0.5,
        report=_report,
    )
    if json:
        print_json(results)
    else:
        _print(results)


def _report(part: str) -> None:
    if sys.stderr.isatty():
        print_note(f"measured: {part}")


def _print(results: dict[str, Any]) -> None:
    limits, train, generate = results["limits"], results["train"], results["generate"]
    print(
        f"{results['device_name']}, {results['precision']}, {results['threads']} threads; preset {results['preset']}, "
        f"{results['parameters']:,} weights; medians of {results['rounds']} rounds"
    )
    print(f"  training      {train['tokens_per_second']:>9,.0f} characters/s  {_range(train)}")
    print(
        f"                {train['matmul_fraction']:>9.0%} of the matrix-multiply limit "
        f"({limits['matmul_flops_per_second'] / 1e9:,.0f} GFLOP/s)"
    )
    print(f"  generation    {generate['characters_per_second']:>9,.0f} characters/s  {_range(generate)}")
    print(f"                {generate['over_uncached']:>9.1f} times computing the whole window for each character")
    for key, position in (("samples", "within"), ("samples_past_window", "past")):
        rate, ratio = generate[f"{key}_characters_per_second"], generate[f"{key}_over_one"]
        print(
            f"  {generate['samples']} samples    {rate:>9,.0f} characters/s {position} the window, "
            f"{ratio:.1f} times one stream"
        )
    print(f"  while training{generate['while_training_characters_per_second']:>9,.0f} characters/s of one stream")
    memory = results["memory"]["train_peak_bytes_over_torch"]
    print(f"  memory        {memory / 1e6:>9,.0f} MB for training, beside what torch's import takes")
    print(f"  copying       {limits['memory_bytes_per_second'] / 1e9:>9,.1f} GB/s")
    command = results["command"]
    split = ", ".join(f"{part} {seconds:,.1f}" for part, seconds in command["split"].items())
    print(f"  whole command {command['seconds']:>9,.1f} s for {command['steps']:,} steps ({split})")
    for name, steps in results.get("presets", {}).items():
        share = steps["launch_bound_share"]
        launches = "not recorded" if share is None else f"recording saves {share:.0%}"
        print(
            f"  {name:<14}{steps['tokens_per_second']:>9,.0f} characters/s  {_range(steps)}, "
            f"{1e3 * steps['step_seconds']:,.2f} ms a step, {steps['gpu_peak_bytes'] / 1e6:,.0f} MB of the GPU; "
            f"{launches}"
        )
    if "against" in results:
        baseline = results["against"]
        how = baseline["precision"] + ", compiled" * baseline["compiled"]
        print(f"against {baseline['name']} {baseline['version']} ({how}, in a process of its own):")
        for task, rate in (("train", "tokens_per_second"), ("generate", "characters_per_second")):
            speed, ratio = baseline[task][rate], baseline[task]["ratio"]
            print(f"  {task:<14}{speed:>9,.0f} characters/s; shakegpt is {ratio:.2f} times as fast")


def _range(results: dict[str, Any]) -> str:
    lowest, highest = results["spread"]
    return f"({lowest:,.0f} to {highest:,.0f})"
