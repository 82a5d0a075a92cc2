"""Sizes that a spec can state: each is answered within a second, by a bound or without the work."""

from __future__ import annotations

import pytest

from netspec.diagnostics import SHOWN, SpecError, suggestion
from netspec.planning import make_plan
from netspec.spec.loading import loads
from tests.soundness.answering import SECONDS, Answer, apart


def spec(model: str, input: str = "[4]", head: str = "") -> str:
    return f"netspec: 1\ninput: {input}\n{head}\nmodel:\n{model}\n"


def joined(*items: str, times: int) -> str:
    return ", ".join(items * times)


LINEAR = "  - Linear: {out_features: 4}\n"
TRAIN = "train: {epochs: 1, loss: CrossEntropyLoss, optimizer: SGD, metrics: [%s]}"
DOUBLED = "{Upsample: {scale_factor: 2}}"
LAYER = "{TransformerEncoderLayer: {nhead: 1}}"

REFUSED = {
    **{
        name: spec(f"  - {name}: {{hidden_size: 4, num_layers: 1000000}}", "[5, 4]")
        for name in ("RNN", "LSTM", "GRU")
    },
    "TransformerEncoder": spec(
        f"  - TransformerEncoder: {{num_layers: 1000000000, encoder_layer: {LAYER}}}", "[5, 4]"
    ),
    "stacks of stacks": spec(
        "  - Repeat: {times: 9000, body: [{LSTM: {hidden_size: 4, num_layers: 1000}}]}", "[5, 4]"
    ),
    "text pasted twice": spec(
        "  - ReLU:\n    name: $v40",
        head="vars:\n  v0: ab\n" + "".join(f"  v{i + 1}: $v{i}$v{i}\n" for i in range(40)),
    ),
    "lists of lists": spec(
        "  - Unflatten: {dim: 1, unflattened_size: $v30}",
        head="vars:\n  v0: [1, 2]\n" + "".join(f"  v{i + 1}: [$v{i}, $v{i}]\n" for i in range(30)),
    ),
    "eight times, then halved": spec(
        f"  - Repeat: {{times: 20, body: [{joined(DOUBLED, times=3)}, "
        "{MaxPool2d: {kernel_size: 2}}]}",
        "[3, H, W]",
    ),
    "three halves": spec(
        "  - Repeat: {times: 20, body: [{Upsample: {scale_factor: 3}}, "
        "{MaxPool2d: {kernel_size: 2}}]}",
        "[3, H, W]",
    ),
    "cat of strided branches": spec(
        "  - Repeat: {times: 20, body: [{Parallel: {dim: 2, branches: ["
        "[{Conv1d: {out_channels: 3, kernel_size: 3, stride: 2}}], "
        "[{Conv1d: {out_channels: 3, kernel_size: 2, stride: 3}}]]}}]}",
        "[3, H]",
    ),
    "strided convolutions": spec(
        "  - Repeat: {times: 3000, body: [{Conv2d: {out_channels: 3, kernel_size: 3, stride: 2}}]}",
        "[3, H, W]",
    ),
    "padding": spec("  - MaxPool2d: {kernel_size: 2, padding: 2147483648}", "[3, 8, 8]"),
    "padding and kernel": spec(
        "  - MaxPool2d: {kernel_size: 2000000000, stride: 1, padding: 1000000000, dilation: 2}",
        "[3, 2000000000, 8]",
    ),
    "names": spec("  - ReLU\n" * 300, f"[{', '.join(f'a{i}' for i in range(1000))}]"),
    "dimensions": spec("  - ReLU\n" * 3000, f"[{joined('2', times=5000)}]"),
    "metrics": spec(LINEAR, head=TRAIN % joined("accuracy", times=20_000)),
    "rules": spec(
        LINEAR * 300,
        head="init:\n" + "  - {match: '*.weight', weight: {normal_: {std: 0.1}}}\n" * 3000,
    ),
    "unknown blocks": spec(
        "".join(f"  - qlinner{i}x\n" for i in range(1000)),
        head="blocks:\n" + "".join(f"  linear{i}: {{body: [ReLU]}}\n" for i in range(1000)),
    ),
    "unknown vars": spec(
        "".join(f"  - Linear: {{out_features: $vvarr{i}}}\n" for i in range(1000)),
        head="vars:\n" + "".join(f"  var{i}x: 3\n" for i in range(1000)),
    ),
    "one long line": "netspec: 1\ninput: [4]\nmodel: ["
    + joined("{Linear: {out_features: x}}", times=3000)
    + "]\n",
    "parameters of a block": spec(
        "  - Repeat: {times: 9000, body: [b]}",
        head=f"blocks: {{b: {{params: {{{', '.join(f'p{i}: 1' for i in range(2000))}}}, "
        "body: [ReLU]}}",
    ),
    "sixteen huge factors": spec("  - Upsample: {scale_factor: 1e30}\n" * 16, "[3, 8, 8]"),
    "classes": spec(LINEAR, head="data: {source: {Synthetic: {samples: 10, classes: 1000000000}}}"),
    "a long number": spec(f"  - Linear: {{out_features: {'9' * 100_000}}}"),
    "values": spec(f"  - Linear: {{out_features: [{joined('1', times=500_000)}]}}"),
    "layers": spec("  - ReLU\n" * 100_000),
}


ACCEPTED = {"the most layers": spec(LINEAR * 10_000)}


@pytest.fixture(scope="module")
def answers() -> dict[str, Answer]:
    return apart(REFUSED | ACCEPTED)


@pytest.mark.parametrize("name", [*REFUSED, *ACCEPTED])
def test_it_is_answered_within_a_second_and_little_memory(
    name: str, answers: dict[str, Answer]
) -> None:
    answer = answers[name]
    assert not answer.error, answer.error
    assert answer.accepted == (name in ACCEPTED)
    assert answer.seconds < 2 * SECONDS  # no pace is exact


@pytest.mark.parametrize(
    "text",
    [
        "Scale: {factor: 1e39}",
        "ELU: {alpha: -1e300}",
        "Softplus: {beta: 1e300}",
        "Threshold: {threshold: 1e308, value: 0}",
        "Upsample: {scale_factor: 1e300}",
    ],
)
def test_a_number_that_float32_cannot_hold_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match=r"float32 holds, at most 3\.4e\+38 from zero"):
        loads(spec(f"  - {text}", "[3, 8]"))


@pytest.mark.parametrize(
    "head",
    [
        "train: {epochs: 1, loss: MSELoss, optimizer: {SGD: {lr: 1e308}}}",
        "train: {epochs: 1, loss: MSELoss, optimizer: SGD, scheduler: "
        "{StepLR: {step_size: 1, gamma: 1e308}}}",
        "init: [{match: '*', weight: {constant_: {val: 1e300}}}]",
    ],
)
def test_nor_is_it_accepted_where_the_network_learns_or_begins(head: str) -> None:
    with pytest.raises(SpecError, match=r"float32 holds, at most 3\.4e\+38 from zero"):
        make_plan(loads(spec(LINEAR, head=head)))


def test_the_largest_number_of_float32_is_accepted() -> None:
    assert make_plan(loads(spec("  - Scale: {factor: 3.4e38}"))).output.shape == (4,)


@pytest.mark.parametrize(
    "text",
    [
        "MaxPool2d: {kernel_size: 2, stride: 4611686018427387904}",
        "ZeroPad2d: {padding: -4611686018427387904}",
        "Linear: {out_features: 2147483648}",
    ],
)
def test_an_integer_that_no_dimension_has_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match=r"less than 2\*\*31 from zero"):
        loads(spec(f"  - {text}", "[3, 8, 8]"))


def test_nor_has_a_source_so_many_samples() -> None:
    head = f"data: {{source: {{Synthetic: {{samples: {2**62}, classes: 4}}}}}}"
    with pytest.raises(SpecError, match=r"less than 2\*\*31 from zero"):
        make_plan(loads(spec(LINEAR, head=head)))


def test_a_seed_may_have_63_bits() -> None:
    head = f"train: {{epochs: 1, loss: MSELoss, optimizer: SGD, seed: {2**63 - 1}}}"
    assert loads(spec(LINEAR, head=head)).seed == 2**63 - 1


def test_every_finding_is_there_and_those_that_are_shown_have_a_remedy() -> None:
    with pytest.raises(SpecError) as caught:
        loads(REFUSED["unknown vars"])
    found = caught.value.diagnostics
    assert len(found) == 1000
    assert all(each.remedy for each in found[:SHOWN])


@pytest.mark.parametrize(
    ("word", "known", "meant"),
    [
        ("Lineer", ["Linear", "Bilinear"], "Linear"),
        ("conv2d", ["Conv1d", "Conv2d", "Conv3d"], "Conv2d"),
        ("stdire", ["dilation", "stride"], "stride"),
        ("x", ["y", "z"], None),
        ("relu" * 100_000, ["relu" * 100_000], None),
    ],
)
def test_suggestion(word: str, known: list[str], meant: str | None) -> None:
    assert suggestion(word, known) == (meant and f"did you mean '{meant}'?")
