"""Each module that netspec adds, held against what one would write in plain torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from netspec import modules

IMAGES = torch.randn(2, 4, 5, 6, generator=torch.Generator().manual_seed(0))
TOKENS = torch.randn(2, 7, 8, generator=torch.Generator().manual_seed(1))

Plain = Callable[[Tensor], Tensor]

STEPS: dict[str, tuple[nn.Module, Tensor, Plain]] = {
    "residual": (
        modules.Residual(nn.Tanh(), nn.Sequential()),
        IMAGES,
        lambda x: x.tanh() + x,
    ),
    "parallel cat": (
        modules.Parallel(nn.Tanh(), nn.Sequential(), nn.ReLU()),
        IMAGES,
        lambda x: torch.cat([x.tanh(), x, x.relu()], 1),
    ),
    "parallel cat along the width": (
        modules.Parallel(nn.Tanh(), nn.Sequential(), dim=-1),
        IMAGES,
        lambda x: torch.cat([x.tanh(), x], -1),
    ),
    "parallel add broadcasts": (
        modules.Parallel(nn.Tanh(), nn.AdaptiveAvgPool2d(1), merge="add"),
        IMAGES,
        lambda x: x.tanh() + nn.functional.adaptive_avg_pool2d(x, 1),
    ),
    "parallel mul of three": (
        modules.Parallel(nn.Tanh(), nn.Sigmoid(), nn.Sequential(), merge="mul"),
        IMAGES,
        lambda x: x.tanh() * x.sigmoid() * x,
    ),
    "reshape": (modules.Reshape((2, -1, 3)), IMAGES, lambda x: x.reshape(2, 2, -1, 3)),
    "mean": (modules.Mean((2, 3)), IMAGES, lambda x: x.mean((2, 3))),
    "mean of one, kept": (modules.Mean(-1, keepdim=True), IMAGES, lambda x: x.mean(-1, True)),
    "select": (modules.Select(1, -1), TOKENS, lambda x: x[:, -1]),
    "narrow": (modules.Narrow(1, 2, 3), TOKENS, lambda x: x[:, 2:5]),
    "scale": (modules.Scale(0.111), TOKENS, lambda x: x * 0.111),
}


@pytest.mark.parametrize("case", STEPS)
def test_steps(case: str) -> None:
    module, x, plain = STEPS[case]
    assert torch.equal(module(x), plain(x))
    assert not list(module.parameters())


def test_class_token_stands_before_the_others_and_learns() -> None:
    module = modules.ClassToken(8)
    assert module.class_token.tolist() == torch.zeros(1, 1, 8).tolist()
    nn.init.normal_(module.class_token)
    output = module(TOKENS)
    assert torch.equal(output[:, 0], module.class_token[0].expand(2, 8))
    assert torch.equal(output[:, 1:], TOKENS)


def test_positional_embedding_adds_a_vector_to_each_position() -> None:
    torch.manual_seed(0)
    module = modules.PositionalEmbedding(7, 8, std=0.02)
    assert torch.equal(module(TOKENS), TOKENS + module.pos_embedding)
    assert 0.015 < module.pos_embedding.detach().std() < 0.025


@pytest.mark.parametrize(("dim", "size"), [(1, 4), (-1, 6), (2, 5)])
def test_layer_scale_has_a_factor_for_each_index(dim: int, size: int) -> None:
    module = modules.LayerScale(size, init_values=1e-6, dim=dim)
    assert module.weight.unique().tolist() == [pytest.approx(1e-6)]
    nn.init.normal_(module.weight)
    plain = torch.stack(
        [x * w for x, w in zip(IMAGES.unbind(dim), module.weight, strict=True)], dim
    )
    assert torch.equal(module(IMAGES), plain)


# Recurrence: the same state_dict as torch's class, one output

RECURRENT = {
    "plain": {"hidden_size": 5},
    "two layers": {"hidden_size": 5, "num_layers": 2},
    "both directions": {"hidden_size": 5, "num_layers": 2, "bidirectional": True},
}


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("case", RECURRENT)
def test_recurrent_modules_give_torchs_output_or_its_last_state(name: str, case: str) -> None:
    args: dict[str, Any] = {"input_size": 8, "batch_first": True, **RECURRENT[case]}
    plain = getattr(nn, name)(**args)
    output, state = plain(TOKENS)
    hidden = state[0] if name == "LSTM" else state
    directions = 2 if args.get("bidirectional") else 1
    last = torch.cat([hidden[-directions + i] for i in range(directions)], 1)

    for kind, wanted in (("sequence", output), ("last", last)):
        module = getattr(modules, name)(output=kind, **args)
        module.load_state_dict(plain.state_dict())
        assert torch.equal(module(TOKENS), wanted)
        assert module.extra_repr().endswith(f"output='{kind}'")


def test_the_last_state_of_one_direction_is_the_last_output() -> None:
    module = modules.GRU(input_size=8, hidden_size=3, batch_first=True)
    last = modules.GRU(input_size=8, hidden_size=3, batch_first=True, output="last")
    last.load_state_dict(module.state_dict())
    assert torch.equal(last(TOKENS), module(TOKENS)[:, -1])


# Attention

MASK = nn.Transformer.generate_square_subsequent_mask(7)


@pytest.mark.parametrize("causal", [False, True])
def test_attention_is_of_the_sequence_with_itself(causal: bool) -> None:
    module = modules.MultiheadAttention(8, 2, batch_first=True, is_causal=causal).eval()
    plain = nn.MultiheadAttention(8, 2, batch_first=True).eval()
    plain.load_state_dict(module.state_dict())
    wanted, _ = plain(TOKENS, TOKENS, TOKENS, attn_mask=MASK if causal else None)
    torch.testing.assert_close(module(TOKENS), wanted)


@pytest.mark.parametrize("causal", [False, True])
def test_encoder_layers_see_only_what_came_before_where_causal(causal: bool) -> None:
    args: dict[str, Any] = {"d_model": 8, "nhead": 2, "dim_feedforward": 16, "batch_first": True}
    module = modules.TransformerEncoderLayer(is_causal=causal, **args).eval()
    plain = nn.TransformerEncoderLayer(**args).eval()
    plain.load_state_dict(module.state_dict())
    wanted = plain(TOKENS, src_mask=MASK if causal else None)
    torch.testing.assert_close(module(TOKENS), wanted)

    changed = TOKENS.clone()
    changed[:, -1] += 1
    untouched = torch.allclose(module(changed)[:, 0], wanted[:, 0], atol=1e-6)
    assert untouched is causal
