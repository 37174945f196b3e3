"""Seeds that depend on their name alone."""

from shakegpt.system.seeds import derive_seed


def test_a_seed_depends_on_every_part_of_its_name() -> None:
    names = [(1, "batch", 5), (1, "batch", 6), (2, "batch", 5), (1, "dropout", 5), (1, "batch", 5, 0), (1, "batch")]
    seeds = [derive_seed(*name) for name in names]
    assert len(set(seeds)) == len(names)
    assert derive_seed(*names[0]) == seeds[0] == 4056541531313688330  # fixed: a run must resume on any machine
    assert all(0 <= seed < 2**63 for seed in seeds)
