"""Opening, running and predicting with real model files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from netspec.devices import parse
from netspec.diagnostics import Code, InputError, SetupError
from netspec.runtime import Session, integrity
from netspec.runtime.metadata import Input, Output
from netspec.runtime.samples import One
from tests.runtime import models


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(models.image_model(tmp_path / "small.onnx"))


@pytest.fixture
def resizing(tmp_path: Path) -> Session:
    shape = models.sized("4*H", "4*W", 3)
    return Session(models.image_model(tmp_path / "any.onnx", shape, least={"H": 2, "W": 1}))


def message(caught: pytest.ExceptionInfo[InputError]) -> str:
    (found,) = caught.value.diagnostics
    assert found.remedy
    return found.message


def test_run(session: Session) -> None:
    batch = models.pixels(7, 4, 5, 3)
    np.testing.assert_allclose(session.run(batch), models.expected(batch), atol=1e-5)
    assert session.providers == ("CPUExecutionProvider",)
    assert session.metadata.name == "small"


@pytest.mark.parametrize(
    "batch",
    [
        np.zeros((2, 4, 5, 3), np.float32),
        np.zeros((4, 5, 3), np.uint8),
        np.zeros((2, 3, 4, 5), np.uint8),
        np.zeros((2, 4, 6, 3), np.uint8),
        np.zeros((0, 4, 5, 3), np.uint8),
        np.zeros((), np.uint8),
    ],
    ids=lambda batch: f"{batch.dtype}{batch.shape}",
)
def test_run_refuses(session: Session, batch: np.ndarray) -> None:
    with pytest.raises(InputError) as caught:
        session.run(batch)
    assert "takes uint8 [batch, 4, 5, 3]" in message(caught)
    assert str(batch.dtype) in message(caught)


def test_named_sizes(resizing: Session) -> None:
    batch = models.pixels(2, 8, 12, 3)
    np.testing.assert_allclose(resizing.run(batch), models.expected(batch), atol=1e-5)
    for height, width in [(4, 8), (9, 8), (8, 6), (0, 4)]:
        with pytest.raises(InputError) as caught:
            resizing.run(np.zeros((1, height, width, 3), np.uint8))
        assert f"[1, {height}, {width}, 3]" in message(caught)
        assert "[batch, 4*H, 4*W, 3] with H from 2 and W from 1" in message(caught)


def test_predict_arrays(session: Session) -> None:
    batch = models.pixels(70, 4, 5, 3)  # more than one batch
    wanted = models.expected(batch)
    for inputs in (batch, batch.transpose(0, 3, 1, 2), list(batch), list(batch[:, None])):
        np.testing.assert_allclose(session.predict(inputs), wanted, atol=1e-5)
    for single in (batch[0], batch[0].transpose(2, 0, 1)):
        np.testing.assert_allclose(session.predict(single), wanted[:1], atol=1e-5)


def test_predict_refuses(session: Session) -> None:
    with pytest.raises(InputError) as caught:
        session.predict(np.zeros((4, 5, 3), np.float32))
    assert message(caught).startswith("the pixels are float32")
    with pytest.raises(InputError) as caught:
        session.predict(np.zeros((6, 7, 3), np.uint8))
    assert message(caught) == "the image is 6×7 (height × width); the model takes 4×5"
    with pytest.raises(InputError) as caught:
        session.predict(np.zeros((4, 5), np.uint8))
    assert "no image of 3 channels" in message(caught)
    with pytest.raises(InputError) as caught:
        session.predict([])
    assert "nothing" in message(caught)
    with pytest.raises(InputError) as caught:
        session.predict([[1, 2]])  # type: ignore[list-item]
    assert "a list is no input" in message(caught)


def test_both_layouts_possible_takes_the_one_that_fits(tmp_path: Path) -> None:
    session = Session(models.image_model(tmp_path / "m.onnx", (5, 3, 3)))
    planes = models.pixels(3, 5, 3)
    wanted = models.expected(planes.transpose(1, 2, 0)[None])
    np.testing.assert_allclose(session.predict(planes), wanted, atol=1e-5)


def test_grey(tmp_path: Path) -> None:
    graph = models.step_graph("Cast", [4, 5, 1], TensorProto.UINT8)
    account = models.account((4, 5, 1), classes=None, output=Output("none", "values", (4, 5, 1)))
    path = tmp_path / "grey.onnx"
    path.write_bytes(models.content(graph, account.encode()))
    session = Session(path)
    grey = models.pixels(6, 4, 5)
    for inputs in (grey, grey[..., None], grey[:, None], list(grey)):
        np.testing.assert_array_equal(session.predict(inputs), grey[..., None])
    np.testing.assert_array_equal(session.predict(grey[0])[0], grey[0][..., None])


def test_predict_files_in_order(session: Session, tmp_path: Path) -> None:
    batch = models.pixels(4, 4, 5, 3)
    folder = tmp_path / "images"
    folder.mkdir()
    for name, sample in zip("dbca", batch, strict=True):
        Image.fromarray(sample).save(folder / f"{name}.png")
    np.save(tmp_path / "two.npy", batch[:2])
    wanted = models.expected(batch)
    paths: list[One] = [folder / "d.png", tmp_path / "two.npy", str(folder / "a.png")]
    np.testing.assert_allclose(session.predict(paths), wanted[[0, 0, 1, 3]], atol=1e-5)
    np.testing.assert_allclose(session.predict(folder), wanted[[3, 1, 2, 0]], atol=1e-5)
    opened = [Image.fromarray(each) for each in batch]
    np.testing.assert_allclose(session.predict(opened), wanted, atol=1e-5)
    np.testing.assert_allclose(session.predict(opened[1]), wanted[1:2], atol=1e-5)


def test_predict_names_the_wrong_file(session: Session, tmp_path: Path) -> None:
    Image.new("RGB", (9, 8)).save(tmp_path / "big.png")
    with pytest.raises(InputError) as caught:
        session.predict(tmp_path / "big.png")
    assert caught.value.diagnostics[0].place.file == str(tmp_path / "big.png")
    assert message(caught) == "the image is 8×9 (height × width); the model takes 4×5"
    for path in (tmp_path / "missing.png", tmp_path / "empty"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(InputError) as caught:
            session.predict(path)
        assert caught.value.diagnostics[0].place.file == str(path)


def test_mixed_sizes_keep_their_order(resizing: Session) -> None:
    generator = np.random.default_rng(2)
    inputs = [
        models.pixels(8 + 4 * h, 4 + 4 * w, 3, seed=n)
        for n, (h, w) in enumerate(generator.integers(0, 3, (150, 2)))
    ]
    wanted = np.concatenate([models.expected(each[None]) for each in inputs])
    np.testing.assert_allclose(resizing.predict(inputs), wanted, atol=1e-5)


def test_outputs_of_several_shapes_are_not_stacked(tmp_path: Path) -> None:
    session = Session(models.values_model(tmp_path / "m.onnx", shape=("T", 2)))
    with pytest.raises(InputError, match="differ in shape"):
        session.predict([np.zeros((3, 2)), np.zeros((4, 2))])


def test_tensor_models(tmp_path: Path) -> None:
    session = Session(models.values_model(tmp_path / "m.onnx"))
    rows = np.arange(6.0).reshape(2, 3)
    for inputs in (rows, rows.astype(np.float16), rows.astype(np.int64), list(rows)):
        np.testing.assert_array_equal(session.predict(inputs), -rows)
    assert session.predict(rows[0]).dtype == np.float32
    np.save(tmp_path / "rows.npy", rows.astype(">f8"))
    np.testing.assert_array_equal(session.predict(tmp_path), -rows)
    with pytest.raises(InputError, match="array is uint8"):
        session.predict(np.zeros((2, 3), np.uint8))
    with pytest.raises(InputError, match=r"shape \[4\]"):
        session.predict(np.zeros(4))
    Image.new("L", (3, 3)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="not images"):
        session.predict(tmp_path / "a.png")


def test_token_ids(tmp_path: Path) -> None:
    session = Session(models.values_model(tmp_path / "m.onnx", "Cast", ("T",), "int64"))
    np.testing.assert_array_equal(session.predict(np.array([1, 2, 3], np.int32)), [[1, 2, 3]])
    with pytest.raises(InputError, match="array is float64"):
        session.predict(np.zeros(3))


def test_a_failure_inside_onnxruntime(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "x"], ["y"])],
        "embedding",
        [helper.make_tensor_value_info("x", TensorProto.INT64, ["batch", "T"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", "T"])],
        [onnx.numpy_helper.from_array(np.zeros(5, np.float32), "table")],
    )
    shape = models.sized("T")
    account = models.account(
        shape,
        classes=None,
        input=Input("tensor", shape, "int64"),
        output=Output("none", "values", shape),
    )
    (tmp_path / "m.onnx").write_bytes(models.content(graph, account.encode()))
    session = Session(tmp_path / "m.onnx")
    with pytest.raises(InputError) as caught:
        session.run(np.array([[7]]))
    assert "can't run" in message(caught)
    assert capfd.readouterr() == ("", "")


def refused(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        Session(path)
    (found,) = caught.value.diagnostics
    assert (found.code, found.place.file) == (Code.MODEL, str(path))
    assert found.remedy
    return found.message


def test_what_is_no_model(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "m.onnx"
    assert refused(path) == "there is no such file"
    assert refused(tmp_path) == "this is no file"
    path.write_bytes(b"")
    assert "no account by netspec" in refused(path)
    model = helper.make_model(
        models.image_graph((4, 5, 3)),
        opset_imports=[helper.make_opsetid("", 20)],
        ir_version=10,
    )
    path.write_bytes(model.SerializeToString())
    assert "no account by netspec" in refused(path)
    helper.set_model_props(model, {integrity.SEAL_KEY: integrity.PLACEHOLDER})
    path.write_bytes(integrity.seal(model.SerializeToString()))
    assert "no account by netspec" in refused(path)
    path.write_bytes(models.content(models.image_graph((4, 5, 3)), "[]"))
    assert "metadata is wrong" in refused(path)
    account = models.account((4, 5, 3)).encode()
    graph = models.step_graph("Neg", [3], TensorProto.FLOAT)
    path.write_bytes(models.content(graph, account))
    assert "something else than its metadata says" in refused(path)
    path.write_bytes(models.content(models.step_graph("Nonsense", [3], TensorProto.FLOAT), account))
    assert "can't load the model" in refused(path)
    with path.open("wb") as file:
        file.truncate(1 << 31)  # sparse
    assert "at most" in refused(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
def test_a_fifo_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "m.onnx")
    assert refused(tmp_path / "m.onnx") == "this is no file"


def test_flipped_bits(tmp_path: Path) -> None:
    whole = models.image_model(tmp_path / "m.onnx").read_bytes()
    path = tmp_path / "flipped.onnx"
    positions = {*range(len(whole))}
    generator = np.random.default_rng(0)
    for at in positions:
        changed = bytearray(whole)
        changed[at] ^= 1 << int(generator.integers(8))
        path.write_bytes(changed)
        assert "damaged" in refused(path)
    for cut in (whole[:-1], whole + b"\0", whole + whole, whole[1:]):
        path.write_bytes(cut)
        assert "damaged" in refused(path)


# Where a tensor may say that its values lie; {folder} is the model's own.
ELSEWHERE = {
    "beside it": "secret.bin",
    "by its path": "{folder}/secret.bin",
    "above": "../../../../../../../../{folder}/secret.bin",
    "by a URL": "file://{folder}/secret.bin",
    "in this process": "*/_ORT_MEM_ADDR_/*",  # onnxruntime's own mark of an address
}


@pytest.mark.parametrize("place", ELSEWHERE)
@pytest.mark.parametrize("constant", [False, True])
def test_external_data_is_never_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, constant: bool, place: str
) -> None:
    monkeypatch.chdir(tmp_path)
    secret = np.arange(3, dtype=np.float32)
    secret.tofile(tmp_path / "secret.bin")
    outside = TensorProto(
        name="w", data_type=TensorProto.FLOAT, dims=[3], data_location=TensorProto.EXTERNAL
    )
    location = ELSEWHERE[place].format(folder=tmp_path)
    offset = secret.ctypes.data if place == "in this process" else 0
    for key, value in {"location": location, "offset": offset, "length": 12}.items():
        outside.external_data.add(key=key, value=str(value))

    def model(weights: TensorProto) -> Path:
        nodes = [helper.make_node("Add", ["x", "w"], ["y"])]
        if constant:
            nodes.insert(0, helper.make_node("Constant", [], ["w"], value=weights))
        graph = helper.make_graph(
            nodes,
            "external",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 3])],
            [] if constant else [weights],
        )
        account = models.account((3,), input=Input("tensor", (3,), "float32"))
        path = tmp_path / "m.onnx"
        path.write_bytes(models.content(graph, account.encode()))
        return path

    assert "can't load the model" in refused(model(outside))
    inside = Session(model(numpy_helper.from_array(secret, "w")))  # the same, and nothing else
    assert inside.run(np.zeros((1, 3), np.float32)).tolist() == [[0, 1, 2]]


def has_gpu() -> bool:
    return any(Path("/dev").glob("nvidia[0-9]*")) or Path("/dev/dxg").exists()


@pytest.mark.skipif(has_gpu(), reason="a GPU is here: CUDA may well be had")
@pytest.mark.parametrize("device", ["cuda", "cuda:3"])
def test_cuda_is_refused_and_never_falls_back(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], device: str
) -> None:
    path = models.image_model(tmp_path / "m.onnx")
    with pytest.raises(SetupError) as caught:
        Session(path, device)
    assert caught.value.exit_status == 3
    (found,) = caught.value.diagnostics
    assert found.code == Code.ENVIRONMENT
    assert f"'{parse(device)}'" in found.message
    assert "pip install 'netspec-compiler[runtime-gpu]'" in (found.remedy or "")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:-1", "CPU", "cuda:1234"])
def test_devices(tmp_path: Path, device: str) -> None:
    path = models.image_model(tmp_path / "m.onnx")
    with pytest.raises(InputError, match="no device"):
        Session(path, device)


def test_no_torch_and_no_onnx(tmp_path: Path) -> None:
    path = models.image_model(
        tmp_path / "m.onnx", vectors=models.vectors(1, models.expected, 2, 4, 5, 3)
    )
    Image.fromarray(models.pixels(4, 5, 3)).save(tmp_path / "a.png")
    program = """
import sys
import netspec
from netspec.runtime.prediction import predictions
from netspec.runtime.verification import verify

session = netspec.Session(sys.argv[1])
assert session.predict(sys.argv[2]).shape == (1, 3)
(found,) = predictions(session, [sys.argv[2]], 2)
assert len(found.top) == 2
assert verify(session).ok
heavy = {"torch", "torchvision", "onnx", "onnxscript", "safetensors"} & sys.modules.keys()
sys.exit(f"{heavy} were imported" if heavy else 0)
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, str(path), str(tmp_path / "a.png")],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
