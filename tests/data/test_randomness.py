"""SplitMix64, as its authors' C code has it."""

from __future__ import annotations

import numpy as np

from netspec.data.randomness import generator, integers, keys, uniform


def test_outputs_are_those_of_the_reference_code() -> None:
    # The first outputs of splitmix64.c for the state 1234567.
    known = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    assert keys(1234567, np.arange(5)).tolist() == known
    assert [int(keys(1234567, number)[0]) for number in range(5)] == known


def test_one_seed_goes_with_many_numbers_and_one_number_with_many_seeds() -> None:
    seeds = keys(7, np.arange(4))
    assert keys(seeds, 3).tolist() == [int(keys(int(seed), 3)[0]) for seed in seeds]
    assert keys(seeds[:1], np.arange(3)).tolist() == keys(int(seeds[0]), np.arange(3)).tolist()
    assert keys(2**63 - 1, -1) != keys(2**63 - 1, 0)


def test_numbers_are_spread_evenly_and_not_related() -> None:
    seeds = keys(0, np.arange(100_000))
    one, other = uniform(seeds, 0), uniform(seeds, 1)
    assert (one.min() >= 0, one.max() < 1) == (True, True)
    for values in (one, other, (one + other) % 1):
        counts = np.histogram(values, 100, (0, 1))[0]
        # 99 degrees of freedom: mean 99, deviation 14.1.
        assert 50 < ((counts - 1000) ** 2 / 1000).sum() < 170
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.02
    assert abs(np.corrcoef(one[1:], one[:-1])[0, 1]) < 0.02
    assert set(integers(seeds, 0, 3).tolist()) == {0, 1, 2}


def test_a_generator_follows_from_its_key() -> None:
    key = keys(3, 4)
    assert generator(key).initial_seed() == generator(key).initial_seed()
    assert generator(key).initial_seed() != generator(keys(3, 5)).initial_seed()
