"""A model file opened: checked, then run by onnxruntime; no torch and no onnx."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from netspec import files
from netspec.devices import parse
from netspec.diagnostics import Code, InputError, NetspecError
from netspec.runtime import devices, integrity, metadata, samples
from netspec.shapes import name, show
from netspec.sizes import describe, solve

Array = npt.NDArray[Any]

MAX_BYTES = (1 << 31) - 1  # protobuf's own bound
BATCH = 64
BATCH_BYTES = 1 << 28

_TYPES = {
    "tensor(uint8)": "uint8",
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(int64)": "int64",
}


class Session:
    """A model that `netspec export` wrote, ready to run on `device`: `cpu`, `cuda` or `cuda:N`.

    The file is untrusted: its seal is checked over its bytes before anything parses them, and
    onnxruntime gets these bytes, not the path. No other file is read on a model's behalf.
    Raises InputError (code MODEL) for any other or a damaged file, SetupError where the device
    can't be had, DeviceNameError where there is none of the name; never falls back from GPU to CPU.
    """

    def __init__(self, path: str | os.PathLike[str], device: str = "cpu") -> None:
        self.path, chosen = Path(path), parse(device)
        content = self._content()
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        # A model given as bytes may still name external data, which onnxruntime would then look for
        # in and above the working directory. Below a file that is no folder nothing can lie.
        options.add_session_config_entry(
            "session.model_external_initializers_file_folder_path", os.devnull
        )
        try:
            self._session = devices.open_model(content, options, chosen)
        except NetspecError:
            raise
        except Exception as error:  # its classes share no base but this one
            raise self._wrong(
                f"onnxruntime {onnxruntime.__version__} can't load the model: {_line(error)}",
                "update onnxruntime, or export the model again",
            ) from None
        text = self._session.get_modelmeta().custom_metadata_map.get(metadata.KEY)
        if text is None:
            raise self._wrong(*_FOREIGN)
        self.metadata = metadata.decode(text, str(self.path))
        self.providers: tuple[str, ...] = tuple(self._session.get_providers())
        self._check_graph()

    def run(self, batch: Array) -> Array:
        """The graph's output [N, …] for a batch exactly as it takes it: [N, *metadata.input.shape].

        Raises InputError where dtype, rank or a size differs from what the model takes.
        """
        taken = self.metadata.input
        fits = batch.dtype == taken.dtype and batch.ndim > 0 and len(batch) > 0
        if not fits or solve(taken.shape, self.metadata.least, batch.shape[1:]) is None:
            wanted = describe((name("batch"), *taken.shape), self.metadata.least)
            raise InputError.of(
                Code.INPUT,
                f"the batch is {batch.dtype} {show(batch.shape)}; "
                f"the model takes {taken.dtype} {wanted}",
                file=str(self.path),
                remedy="give such a batch, or let `predict` arrange what you have",
            )
        try:
            (output,) = self._session.run(None, {self._input: np.ascontiguousarray(batch)})
        except Exception as error:  # its classes share no base but this one
            raise InputError.of(
                Code.INPUT,
                f"onnxruntime can't run the model on {batch.dtype} {show(batch.shape)}: "
                + _line(error),
                file=str(self.path),
                remedy="check the values, such as token ids, or give smaller batches",
            ) from None
        found: Array = output
        return found

    def predict(self, inputs: samples.Inputs) -> Array:
        """The outputs [N, …] for the N samples that `inputs` holds, in its order.

        `inputs` is one of these or a sequence of them: an array, one sample or a batch (pixels
        uint8, channels last or first); a path of an image, a `.npy` file or a folder; a Pillow
        image. Samples of equal size run together, BATCH at most. Raises InputError, also where a
        value of an input or of its output is not finite.
        """
        found = [output for _, output in self.outputs(samples.read(self.metadata, inputs))]
        if not found:
            raise InputError.of(Code.INPUT, "there is nothing to predict", remedy="give a sample")
        shapes = {each.shape for each in found}
        if len(shapes) > 1:
            raise InputError.of(
                Code.INPUT,
                "the outputs differ in shape: " + ", ".join(map(show, sorted(shapes))),
                remedy="predict samples of one size at a time",
            )
        return np.stack(found)

    def outputs(
        self, found: Iterable[samples.Sample], refuse: samples.Refuse = samples.stop
    ) -> Iterator[samples.Sample]:
        """The output of each sample, in order, under its label; no more samples are held than a
        batch takes. `refuse` gets an InputError about each without one: what onnxruntime can't run,
        and outputs that are not finite."""
        waiting: list[samples.Sample] = []
        held = 0
        for label, sample in found:
            if waiting and (len(waiting) == BATCH or held + sample.nbytes > BATCH_BYTES):
                yield from self._together(waiting, refuse)
                waiting, held = [], 0
            waiting.append((label, sample))
            held += sample.nbytes
        yield from self._together(waiting, refuse)

    def _together(
        self, waiting: list[samples.Sample], refuse: samples.Refuse
    ) -> Iterator[samples.Sample]:
        groups: dict[tuple[int, ...], list[int]] = {}
        for index, (_, sample) in enumerate(waiting):
            groups.setdefault(sample.shape, []).append(index)
        outputs: dict[int, Array | NetspecError] = {}
        for members in groups.values():
            outputs.update(self._group(waiting, members))
        for index, (label, _) in enumerate(waiting):
            output = outputs[index]
            if isinstance(output, NetspecError):
                refuse(output)
            elif not np.isfinite(output).all():
                refuse(
                    _input_error(
                        label,
                        f"the model's output for it is not finite ({self.path})",
                        "compare the values with those of the training; `netspec verify` tells "
                        "whether the model is right",
                    )
                )
            else:
                yield label, output

    def _group(
        self, waiting: list[samples.Sample], members: list[int]
    ) -> dict[int, Array | NetspecError]:
        """The outputs of samples of one shape; alone where they can't be run together, so that
        the wrong one is named."""
        try:
            together = self.run(np.stack([waiting[i][1] for i in members]))
            return dict(zip(members, together, strict=True))
        except NetspecError as error:
            if len(members) > 1:
                return {i: found for i in members for found in self._group(waiting, [i]).values()}
            label = waiting[members[0]][0]
            found = error.diagnostics[0]
            return {members[0]: _input_error(label, found.message, found.remedy)}

    def _content(self) -> bytes:
        content = files.read(self.path, MAX_BYTES, Code.MODEL)
        seal = integrity.find(content)
        if seal is None:
            raise self._wrong(*_FOREIGN)
        if not integrity.check(content, seal):
            raise self._wrong(
                "the file was changed or damaged since it was exported",
                "copy it again from where it was exported, or export it again",
            )
        return content

    def _check_graph(self) -> None:
        """That the graph takes and gives one tensor each, of the kind the metadata says."""
        taken, given = self._session.get_inputs(), self._session.get_outputs()
        wanted = self.metadata.input
        fits = (
            len(taken) == len(given) == 1
            and _TYPES.get(taken[0].type) == wanted.dtype
            and len(taken[0].shape) == len(wanted.shape) + 1
        )
        if not fits:
            raise self._wrong(
                "the graph takes or gives something else than its metadata says",
                "export the model again",
            )
        self._input: str = taken[0].name

    def _wrong(self, message: str, remedy: str) -> NetspecError:
        return InputError.of(Code.MODEL, message, file=str(self.path), remedy=remedy)


def _input_error(label: str, message: str, remedy: str | None) -> NetspecError:
    return InputError.of(Code.INPUT, message, file=label, remedy=remedy)


_FOREIGN = (
    "the file carries no account by netspec: `netspec export` didn't write it, or it was damaged",
    "export a model with `netspec export --onnx`",
)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
