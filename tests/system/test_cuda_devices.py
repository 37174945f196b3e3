"""Which GPU is taken, and what is said of one that cannot be; machines with GPUs are simulated."""

import pytest
import torch

from shakegpt.config import DeviceName
from shakegpt.errors import ShakegptError
from shakegpt.system import device
from shakegpt.system.device import choose_device_plan, default_device_type, numbered_gpus
from tests.fake_cuda import GB, FakeNvml, add_gpus, gpu, install_nvml


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine with neither a GPU nor the driver's bindings, until a test says otherwise."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(device, "bf16_speed_ratio", lambda: 0.4)
    install_nvml(monkeypatch, None)
    return monkeypatch


@pytest.mark.parametrize("name", ["auto", "cuda"])
@pytest.mark.parametrize("from_driver", [True, False])
def test_the_gpu_with_the_most_free_memory_is_taken(
    machine: pytest.MonkeyPatch, name: DeviceName, *, from_driver: bool
) -> None:
    free = (3 * GB, 7 * GB, 5 * GB)
    add_gpus(machine, gpu("A"), gpu("B"), gpu("C"), free=() if from_driver else free)  # torch is not asked for nothing
    if from_driver:
        install_nvml(machine, FakeNvml(free=free))
    plan = choose_device_plan(name)
    assert (plan.device, plan.name, plan.gpu) == (torch.device("cuda:1"), "B", "GPU-uuid-1")
    assert "of 3 CUDA GPUs, cuda:1 has the most free memory, 7.0 GB" in plan.reason


def test_a_single_gpu_is_not_asked_for_its_memory(machine: pytest.MonkeyPatch) -> None:
    add_gpus(machine, gpu())
    plan = choose_device_plan()
    assert (plan.device, plan.reason) == (torch.device("cuda:0"), "a CUDA GPU was found; this GPU supports bf16")


def test_a_gpu_that_cannot_be_asked_is_not_taken(machine: pytest.MonkeyPatch) -> None:
    def ask(index: int) -> tuple[int, int]:
        if index == 0:
            raise RuntimeError("CUDA error: out of memory")
        return 2 * GB, 8 * GB

    add_gpus(machine, gpu(), gpu())
    machine.setattr(torch.cuda, "mem_get_info", ask)
    assert choose_device_plan().device.index == 1


def test_a_gpu_can_be_named_by_its_number(machine: pytest.MonkeyPatch) -> None:
    add_gpus(machine, gpu("A"), gpu("B"))
    plan = choose_device_plan("cuda:1")
    assert (plan.device, plan.name) == (torch.device("cuda:1"), "B")
    assert plan.reason.startswith("cuda:1 as requested;")


@pytest.mark.parametrize(("count", "message"), [(1, "it has cuda:0;"), (2, "it has cuda:0 to cuda:1;")])
def test_a_gpu_that_is_not_there_is_a_clear_error(machine: pytest.MonkeyPatch, count: int, message: str) -> None:
    add_gpus(machine, *(gpu() for _ in range(count)))
    with pytest.raises(ShakegptError, match=f"^This machine has no cuda:3: {message} give one that is here.$"):
        choose_device_plan("cuda:3")


def test_without_any_gpu_a_number_is_the_same_error_as_none(machine: pytest.MonkeyPatch) -> None:
    with pytest.raises(ShakegptError, match=r"no CUDA device.*--device cpu"):
        choose_device_plan("cuda:0")


@pytest.mark.parametrize(
    ("capability", "architectures", "usable"),
    [
        ((8, 6), ["sm_80", "sm_90"], True),
        ((9, 0), ["sm_80", "sm_86"], False),
        ((8, 0), ["sm_86"], False),
        ((6, 1), ["sm_75", "sm_80"], False),
        ((12, 0), ["sm_80", "compute_90"], True),
        ((8, 9), ["compute_90"], False),
        ((9, 0), ["sm_90a"], True),
        ((10, 3), ["sm_100f"], True),
        ((10, 3), ["sm_100a"], False),
        ((9, 4), ["gfx90a", "gfx942"], True),
    ],
)
def test_torch_has_to_have_kernels_for_a_gpu(
    machine: pytest.MonkeyPatch, capability: tuple[int, int], architectures: list[str], *, usable: bool
) -> None:
    add_gpus(machine, gpu("Some GPU", capability), architectures=architectures)
    assert default_device_type() == ("cuda" if usable else "cpu")
    if usable:
        assert choose_device_plan("cuda").device.type == "cuda"
        return
    plan = choose_device_plan()
    found = f"the GPU Some GPU (cuda:0, compute capability {capability[0]}.{capability[1]})"
    assert (plan.device.type, plan.reason.split(";")[0]) == ("cpu", f"this torch has no kernels for {found}")
    with pytest.raises(ShakegptError) as caught:
        choose_device_plan("cuda")
    assert str(caught.value) == (
        f"This torch has no kernels for {found}, only for {', '.join(architectures)}; "
        "install another build of torch, or give --device cpu."
    )


def test_an_old_gpu_gives_way_to_a_newer_one(machine: pytest.MonkeyPatch) -> None:
    add_gpus(machine, gpu("Old", (3, 7)), gpu("New"), free=(9 * GB, 1 * GB))
    assert choose_device_plan().name == choose_device_plan("cuda").name == "New"


def test_below_torchrun_every_process_has_a_gpu_of_its_own(machine: pytest.MonkeyPatch) -> None:
    add_gpus(machine, gpu("A"), gpu("B"))
    machine.setenv("WORLD_SIZE", "4")
    machine.setenv("LOCAL_RANK", "1")
    assert choose_device_plan().device == choose_device_plan("cuda").device == torch.device("cuda:1")
    with pytest.raises(ShakegptError, match="--device cuda:0 is one GPU, and torchrun gives each process its own"):
        choose_device_plan("cuda:0")
    machine.setenv("LOCAL_RANK", "2")
    with pytest.raises(ShakegptError, match="more processes here than there are GPUs; give --nproc-per-node 2"):
        choose_device_plan()


def test_a_gpu_without_bf16_has_no_tf32_either(machine: pytest.MonkeyPatch) -> None:
    add_gpus(machine, gpu("V100", (7, 0)), architectures=["sm_70"])
    assert choose_device_plan().precision == "fp16"
    assert choose_device_plan("cuda", "fp32").reason == "cuda as requested; fp32 as requested"


def test_gpus_are_numbered_where_there_is_a_choice(machine: pytest.MonkeyPatch) -> None:
    assert numbered_gpus() == ()
    add_gpus(machine, gpu(), gpu("Old", (3, 7)))
    assert numbered_gpus() == ()
    add_gpus(machine, gpu(), gpu("Old", (3, 7)), gpu())
    assert numbered_gpus() == ("cuda:0", "cuda:2")
